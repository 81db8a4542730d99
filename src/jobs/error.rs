//! Why something about a job was refused.

use crate::model::operation::Operation;
use crate::relay::error::RelayError;
use crate::store::error::{StoreError, WriteError};

/// Something about a job was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is no such job, or it is somebody else's.
    #[error("no such job")]
    NotFound,
    /// What was submitted cannot be a job.
    #[error("{message}")]
    Invalid {
        /// The field, such as `items[3].operation`.
        field: String,
        /// A sentence.
        message: String,
    },
    /// An item is not allowed, or leads nowhere.
    #[error("items[{index}]: {cause}")]
    Item {
        /// Its position.
        index: usize,
        /// Why.
        cause: Box<RelayError>,
    },
    /// An item asks for a stream.
    #[error("items[{index}]: a job keeps whole answers: {operation} cannot be streamed")]
    Streamed {
        /// Its position.
        index: usize,
        /// What it asks.
        operation: Operation,
    },
    /// The queue lets nothing in.
    #[error("the queue {0} is draining: it takes nothing new")]
    Draining(String),
    /// The idempotency key was used with something else.
    #[error("the idempotency key was used to submit something else")]
    Conflict,
    /// What was asked cannot be done to a job that stands so.
    #[error("a job that is {state} cannot be {asked}")]
    State {
        /// How it stands.
        state: &'static str,
        /// What was asked, such as `retried`.
        asked: &'static str,
    },
    /// Nothing of it can be tried again.
    #[error("nothing of this job can be tried again: {0}")]
    NothingToRetry(&'static str),
    /// The disk takes nothing new. What is there goes on.
    #[error("the store is nearly full: no new jobs are taken until there is room")]
    Full,
    /// The process ends.
    #[error("the process is draining: no new jobs are taken")]
    Closing,
    /// The owner follows too many streams of events.
    #[error("at most {0} streams of events at a time")]
    TooManyStreams(usize),
    /// Too many log lines wait to be written.
    #[error("too many log lines wait to be written")]
    LogsBusy,
    /// No randomness.
    #[error("no randomness could be had")]
    Entropy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    /// What was submitted cannot be a job, because of one field.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl From<WriteError<JobError>> for JobError {
    fn from(error: WriteError<JobError>) -> Self {
        match error {
            WriteError::Refused(refusal) => refusal,
            WriteError::Store(error) => Self::Store(error),
        }
    }
}
