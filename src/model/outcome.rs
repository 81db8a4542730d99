//! How a paid call ended, in the words of the log book.

use serde::{Deserialize, Serialize};

/// The fate of a paid call. It decides what a repeat with the same idempotency key gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// The provider did what was asked. A repeat gets the stored reply.
    Succeeded,
    /// The provider refused outright and charged nothing. The key is free again.
    Refused,
    /// No byte of it left this process. The key is free again.
    NotSent,
    /// The provider rejected the request itself. A repeat gets the stored reply.
    Rejected,
    /// Nobody can know whether it was paid. Never resent; a person resolves it.
    Unknown,
}

impl Outcome {
    /// Every outcome, for closed label sets.
    pub const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::Refused,
        Self::NotSent,
        Self::Rejected,
        Self::Unknown,
    ];

    /// Its name in metrics, logs and the log book.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::NotSent => "not_sent",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the same idempotency key may be sent afresh.
    #[must_use]
    pub const fn frees_the_key(self) -> bool {
        matches!(self, Self::Refused | Self::NotSent)
    }

    /// Whether the provider's reply is kept and replayed.
    #[must_use]
    pub const fn is_replayed(self) -> bool {
        matches!(self, Self::Succeeded | Self::Rejected)
    }
}

/// Why it ended so: a closed set, fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// A whole reply was read and understood.
    Replied,
    /// No connection to the upstream could be made.
    Connect,
    /// The deadline or a timeout passed.
    Timeout,
    /// The connection broke, or the upstream closed it early.
    Reset,
    /// The reply was too large, not readable, or a success without its task id.
    Unreadable,
    /// The caller hung up first.
    HungUp,
    /// Nothing could be admitted: a limit, a full queue, or the drain.
    NotAdmitted,
    /// The intent could not be recorded, or not in time.
    NotRecorded,
    /// The process ended, or a task of it failed, in the middle.
    Interrupted,
    /// A person said so.
    Resolved,
    /// A stream broke off, or said that it failed, before it was complete.
    Truncated,
}

impl Reason {
    /// Every reason, for closed label sets.
    pub const ALL: [Self; 11] = [
        Self::Replied,
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::Unreadable,
        Self::HungUp,
        Self::NotAdmitted,
        Self::NotRecorded,
        Self::Interrupted,
        Self::Resolved,
        Self::Truncated,
    ];

    /// Its name in metrics, logs and the log book.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Replied => "replied",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Unreadable => "unreadable",
            Self::HungUp => "hung_up",
            Self::NotAdmitted => "not_admitted",
            Self::NotRecorded => "not_recorded",
            Self::Interrupted => "interrupted",
            Self::Resolved => "resolved",
            Self::Truncated => "truncated",
        }
    }
}
