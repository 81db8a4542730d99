//! Durable background work: what clients post and go away from.
//!
//! A job is accepted with one commit and ends with one; in between every step of every item is a commit too. Items are
//! leased by workers of this process, which take the same way as any call: `Relay::run`, in the background lane. A
//! submit's task is then polled until it ends, without a worker.

pub mod error;
pub mod hub;
pub mod spec;
pub mod vault;

use std::sync::Arc;

pub use self::error::JobError;
pub use self::spec::{ItemSpec, JobSpec, Private};

use self::hub::Hub;
use self::vault::Vault;
use crate::crypto::entropy::Entropy;
use crate::model::clock::Clock;
use crate::model::id::{JobId, OwnerId};
use crate::model::job::Job;
use crate::store::{Store, jobs};

/// The service of jobs.
pub struct Jobs {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    vault: Vault,
    hub: Hub,
}

/// Who looks at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Its owner. A job of somebody else's is not there.
    Owner(OwnerId),
    /// The operator, who sees every one.
    Operator,
}

impl Viewer {
    /// Whether they may see a job.
    #[must_use]
    pub fn sees(self, job: &Job) -> bool {
        match self {
            Self::Owner(owner) => job.owner == owner,
            Self::Operator => true,
        }
    }
}

impl Jobs {
    /// One job.
    ///
    /// # Errors
    /// [`JobError::NotFound`] when it is not there or not theirs.
    pub async fn get(&self, viewer: Viewer, id: JobId) -> Result<Job, JobError> {
        let found = self.store.read_aside(move |rows| jobs::get(rows, id)).await?;
        found.filter(|job| viewer.sees(job)).ok_or(JobError::NotFound)
    }

    /// Its metadata and its webhook.
    ///
    /// # Errors
    /// [`JobError`] when it cannot be unsealed.
    pub fn private(&self, id: JobId, job: &Job) -> Result<Private, JobError> {
        self.vault.open_private(id, job)
    }

    /// Where changes of jobs are told.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }
}
