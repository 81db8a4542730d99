//! Why a call is not let in.

use std::time::Duration;

use super::quota::{Allowance, Quota};
use crate::model::record::Refusal;

/// A call was not admitted. Waiting times are honest guesses, between 1 s and 60 s, and what they are for a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The client key has as many in flight, and waiting, as it may.
    #[error("the key has as many calls in flight as it may")]
    KeyBusy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The client key has used up what it may in a minute or a day.
    #[error("the key has used up its {quota}", quota = .quota.label())]
    OverQuota {
        /// What it has used up.
        quota: Quota,
        /// When there is enough again for a call like this one: at least 1 s, for a day's quota up to a day.
        retry_after: Duration,
        /// How the key stands.
        allowance: Allowance,
    },
    /// As many wait for the account as may.
    #[error("the upstream's queue is full")]
    QueueFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// No place came in time.
    #[error("no place in the upstream's queue came in time")]
    QueueTimeout {
        /// When to try again.
        retry_after: Duration,
    },
    /// The process is ending.
    #[error("the process is draining")]
    Draining,
    /// No account is configured for the operation.
    #[error("no account of the upstream can be used")]
    NoAccount,
}

impl Rejected {
    /// As what it is counted, where it is.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::KeyBusy { .. } | Self::OverQuota { .. } => Some(Refusal::RateLimited),
            Self::QueueFull { .. } => Some(Refusal::QueueFull),
            Self::QueueTimeout { .. } => Some(Refusal::QueueTimeout),
            Self::Draining | Self::NoAccount => None,
        }
    }
}
