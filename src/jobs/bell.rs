//! What a job's end rings for: its webhook, in the commit that ends it, and those who watch it, after that.

use super::Jobs;
use crate::model::id::JobId;
use crate::store::Tables;
use crate::store::error::StoreError;
use crate::store::jobs::{Closed, Edit};

/// Rings when a job ends.
#[derive(Clone, Default)]
pub(super) struct Bell {}

/// What a write did to jobs, for those who are told after its commit.
pub(super) type Told = Vec<(JobId, Closed)>;

impl Bell {
    /// Ends a change of a job.
    pub(super) fn close(&self, tables: &mut Tables<'_>, edit: Edit, told: &mut Told) -> Result<(), StoreError> {
        let id = edit.id();
        let closed = tables.close_job(edit)?;
        told.push((id, closed));
        Ok(())
    }
}

impl Jobs {
    /// Tells of what was committed.
    pub(super) fn tell(&self, told: &Told) {
        for (id, _closed) in told {
            self.hub.touch(*id);
        }
    }
}
