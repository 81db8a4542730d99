//! Forgetting jobs that ended long ago, or that are too many.

use std::time::Duration;

use super::{JobError, Jobs, Viewer};
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::store::error::StoreError;
use crate::store::jobs::index;
use crate::store::{Change, Tables, Urgency};

/// How long jobs that have ended are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Since their end.
    pub age: Duration,
    /// In all: the ones that ended first go first.
    pub most: u64,
}

impl Jobs {
    /// Forgets what is due at `now`, in small changes.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    ///
    /// # Cancel safety
    /// Dropping the future stops between two changes.
    pub async fn retain(&self, retention: Retention, now: Timestamp) -> Result<(), StoreError> {
        let old = now.minus(retention.age);
        while self.store.change(ForgetDeliveries { before: old }).await? >= ROWS {}
        while self.forget_before(old, STEP).await? > 0 {}
        let finished = self.store.read_aside(index::finished).await?;
        let mut over = finished.saturating_sub(retention.most);
        while over > 0 {
            let step = usize::try_from(over).unwrap_or(STEP).min(STEP);
            let gone = self.forget_before(Timestamp::from_micros(i64::MAX), step).await?;
            if gone == 0 {
                break;
            }
            over = over.saturating_sub(gone as u64);
        }
        Ok(())
    }

    /// Forgets one job that has ended, with everything of it.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or [`JobError::State`] for a job that has not ended.
    ///
    /// # Cancel safety
    /// Dropped, part of it may be left until it is forgotten again.
    pub async fn forget(&self, viewer: Viewer, id: JobId) -> Result<(), JobError> {
        let job = self.get(viewer, id).await?;
        if !job.state.is_finished() {
            return Err(JobError::State {
                state: job.state.label(),
                asked: "forgotten",
            });
        }
        while self.store.change(Forget { id }).await? >= ROWS {}
        self.hub.touch(id);
        Ok(())
    }

    /// Forgets up to `limit` jobs that ended before a moment. Returns how many.
    async fn forget_before(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let due = self
            .store
            .read_aside(move |rows| index::finished_before(rows, before, limit))
            .await?;
        let number = due.len();
        for id in due {
            while self.store.change(Forget { id }).await? >= ROWS {}
        }
        Ok(number)
    }
}

/// Deliveries that ended as long ago are of no more use than their jobs.
struct ForgetDeliveries {
    before: Timestamp,
}

impl Change for ForgetDeliveries {
    type Done = usize;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<usize, StoreError> {
        tables.forget_deliveries_before(self.before, ROWS)
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}

struct Forget {
    id: JobId,
}

impl Change for Forget {
    type Done = usize;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<usize, StoreError> {
        tables.forget_job(self.id, ROWS)
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}

/// Jobs that are looked up at once.
const STEP: usize = 100;

/// Rows that one change removes.
const ROWS: usize = 200;
