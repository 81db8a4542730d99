//! What happened to a job: the entries of its stream of events.

use serde::{Deserialize, Serialize};

use super::item::ItemState;
use super::state::{JobState, Tally};
use crate::model::clock::Timestamp;

/// One event. Its sequence number, from 1 within its job, is its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
    /// How the job's items stand after it.
    pub tally: Tally,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// The job came to stand so.
    Job(JobState),
    /// An item came to stand so.
    Item {
        /// Its position.
        index: u32,
        /// How it stands.
        state: ItemState,
        /// Attempts that counted so far.
        attempts: u32,
        /// The stable word of its error, if it has one.
        error: Option<String>,
    },
    /// An attempt of an item takes longer than its soft limit.
    Slow {
        /// Its position.
        index: u32,
    },
}

impl Happening {
    /// Its name on the wire, such as `job.succeeded`, `item.polling` or `item.slow`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Job(state) => match state {
                JobState::Queued => "job.queued",
                JobState::Running => "job.running",
                JobState::Succeeded => "job.succeeded",
                JobState::PartiallyFailed => "job.partially_failed",
                JobState::Failed => "job.failed",
                JobState::Cancelled => "job.cancelled",
                JobState::Dead => "job.dead",
                JobState::Held => "job.held",
            },
            Self::Item { state, .. } => match state {
                ItemState::Queued => "item.queued",
                ItemState::Running => "item.running",
                ItemState::Polling => "item.polling",
                ItemState::Succeeded => "item.succeeded",
                ItemState::Failed => "item.failed",
                ItemState::Unknown => "item.unknown",
                ItemState::Dead => "item.dead",
                ItemState::Cancelled => "item.cancelled",
            },
            Self::Slow { .. } => "item.slow",
        }
    }
}
