//! Everything that the store holds sealed: one walk over every row of it, for whoever seals it anew or checks it.

mod check;
mod reseal;
mod walk;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::check::{Damaged, Seals, check};
pub use self::reseal::{Resealer, Tally};
pub use self::walk::{Batch, Position};

use super::error::StoreError;
use super::jobs::{self, item, log};
use super::{Reader, accounts, idempotency, keys, webhooks};

/// A table whose rows hold something sealed. Stored: variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedTable {
    /// Secrets of client keys, and the digests that bearers are found by.
    ClientKeys,
    /// Credentials of accounts.
    Accounts,
    /// Kept replies.
    Replies,
    /// Metadata and webhooks of jobs.
    Jobs,
    /// What items ask.
    Bodies,
    /// What items were answered.
    Results,
    /// Log lines of jobs.
    Logs,
    /// Messages to receivers of webhooks.
    Deliveries,
}

impl SealedTable {
    /// Every one, in the order of the walk.
    pub const ALL: [Self; 8] = [
        Self::ClientKeys,
        Self::Accounts,
        Self::Replies,
        Self::Jobs,
        Self::Bodies,
        Self::Results,
        Self::Logs,
        Self::Deliveries,
    ];

    /// The table's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientKeys => keys::TABLE,
            Self::Accounts => accounts::TABLE,
            Self::Replies => idempotency::REPLIES,
            Self::Jobs => jobs::TABLE,
            Self::Bodies => item::BODIES,
            Self::Results => item::RESULTS,
            Self::Logs => log::TABLE,
            Self::Deliveries => webhooks::TABLE,
        }
    }

    fn next(self) -> Option<Self> {
        let mut rest = Self::ALL.into_iter().skip_while(|table| *table != self);
        rest.nth(1)
    }
}

/// What one of its rows holds, in a person's words.
impl fmt::Display for SealedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientKeys => "client key",
            Self::Accounts => "account",
            Self::Replies => "kept reply",
            Self::Jobs => "job",
            Self::Bodies => "item",
            Self::Results => "result",
            Self::Logs => "log line",
            Self::Deliveries => "webhook message",
        })
    }
}

/// How many rows a walk looks at.
///
/// # Errors
/// [`StoreError`] when a table cannot be opened.
pub fn rows(reader: &Reader) -> Result<u64, StoreError> {
    let counts = reader.row_counts()?;
    let is_sealed = |name: &str| SealedTable::ALL.iter().any(|table| table.name() == name);
    Ok(counts
        .iter()
        .filter(|(name, _)| is_sealed(name))
        .map(|(_, count)| count)
        .sum())
}
