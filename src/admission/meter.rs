//! How much of a limit is left.

use std::time::Duration;

/// One limit as its holder sees it: how much there is, how much is left, when all of it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The most there can be.
    pub limit: u64,
    /// What may be used at once, right now.
    pub remaining: u64,
    /// When all of the limit is there again, if nothing more is used.
    pub reset: Duration,
}
