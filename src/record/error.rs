//! Why a call is not recorded, or why a repeat gets no reply.

use std::time::Duration;

use crate::model::money::OverBudget;
use crate::store::error::StoreError;

/// A paid call was not sent, because of the record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    /// Its intent could not be written down, or not in time.
    #[error("the intent could not be recorded: {0}")]
    Unavailable(#[source] StoreError),
    /// Its intent was not written down within 2 s.
    #[error("the intent was not recorded in time")]
    TooSlow,
    /// The disk, or the room for kept replies, is full.
    #[error("the store takes nothing new: {0}")]
    Full(Shortage),
    /// The owner's budget does not allow it.
    #[error("{over}")]
    OverBudget {
        /// How it stands.
        over: OverBudget,
        /// How long until it begins anew.
        resets_in: Duration,
    },
    /// The idempotency key was used with another operation or body.
    #[error("the Idempotency-Key was used with another request")]
    Conflict,
    /// The first use is still in flight, and too many wait for it, or this one waited too long.
    #[error("a request with this Idempotency-Key is in flight")]
    InFlight,
    /// Nobody knows what came of the first use.
    #[error("the outcome of the first request with this Idempotency-Key is unknown")]
    OutcomeUnknown {
        /// The sequence number of its intent in the log book.
        intent: u64,
    },
    /// The first use ended, but its reply was not kept.
    #[error("the reply to the first request with this Idempotency-Key was not kept")]
    ReplayUnavailable {
        /// The sequence number of its intent in the log book.
        intent: u64,
    },
}

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// The disk under the store.
    #[error("its disk is full")]
    Disk,
    /// The kept replies.
    #[error("the room for kept replies is spent")]
    Replies,
}
