//! A provider's asynchronous task, as its replies let us see it.

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::id::{AccountId, OwnerId, RequestId};
use super::operation::Operation;
use super::outcome::Outcome;

/// How a task stands, by the latest reply that told.
///
/// `data.status` of Volcengine moves `in_queue → generating → done`; `done` covers success and failure, which the
/// reply's code tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// Nothing is known but that it was submitted.
    Submitted,
    /// Waiting at the provider.
    InQueue,
    /// Being worked on.
    Generating,
    /// Finished with a result.
    Done,
    /// Finished without one: a risk code, or another final error.
    Failed,
    /// The provider no longer knows it.
    NotFound,
    /// Its result was kept too long ago.
    Expired,
    /// Withdrawn before it started.
    Cancelled,
}

impl TaskState {
    /// Its name in JSON and the log book.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::InQueue => "in_queue",
            Self::Generating => "generating",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the provider works on it no longer, so that its running slot is free.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Submitted | Self::InQueue | Self::Generating)
    }
}

/// Where a submit stands in the record: its intent's sequence number, under its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubmitRef {
    /// Whose it is.
    pub owner: OwnerId,
    /// The sequence number of its intent in the log book.
    pub intent: u64,
}

/// One submit of an owner: what it asked for and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// The request that carried it.
    pub request: RequestId,
    /// Which submit it was.
    pub operation: Operation,
    /// The model it named.
    pub req_key: Option<String>,
    /// The account it went to.
    pub account: AccountId,
    /// The provider's task, once known.
    pub task_id: Option<String>,
    /// `None` while it is in flight.
    pub outcome: Option<Outcome>,
    /// How the task stands.
    pub state: TaskState,
    /// When its intent was recorded.
    pub submitted_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

/// A task that holds a slot of the running-task limit, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTask {
    /// Whose it is.
    pub owner: OwnerId,
    /// Its name at the provider; `None` while its submit is in flight or of unknown outcome.
    pub task_id: Option<String>,
    /// The model it was submitted with, which a query must name again.
    pub req_key: Option<String>,
    /// Which submit it was.
    pub operation: Operation,
    /// When the provider was last asked about it, or when it was taken.
    pub asked_at: Timestamp,
    /// Set when nobody knows whether a task exists: when the slot is given back all the same.
    pub lapses_at: Option<Timestamp>,
}
