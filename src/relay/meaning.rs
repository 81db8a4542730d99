//! What a reply says, for those who act on it instead of passing it on.

use std::time::Duration;

use crate::dispatch::retry_after;
use crate::model::clock::Timestamp;
use crate::model::operation::{Operation, Protocol};
use crate::model::outcome::Outcome;
use crate::model::reply::Reply;
use crate::model::task::TaskState;
use crate::upstream::openai;
use crate::upstream::volcengine::verdict;

/// What a reply says of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// How the call ended.
    pub outcome: Outcome,
    /// The provider's own code.
    pub code: Option<i64>,
    /// The task that a submit created.
    pub task_id: Option<String>,
    /// The state that a query told.
    pub state: Option<TaskState>,
    /// How long the upstream asks to wait.
    pub retry_after: Option<Duration>,
}

impl Meaning {
    /// Of a reply to a call of this kind, also of one from the record.
    #[must_use]
    pub fn of(operation: Operation, reply: &Reply, now: Timestamp) -> Self {
        let read = match operation.protocol() {
            Protocol::Volcengine => verdict::read(operation, reply.status, &reply.headers, &reply.body),
            Protocol::OpenAi => openai::verdict::read(reply.status, &reply.headers, &reply.body),
        };
        Self {
            outcome: read.outcome,
            code: read.code,
            task_id: read.task_id,
            state: read.state,
            retry_after: retry_after(&reply.headers, now),
        }
    }
}
