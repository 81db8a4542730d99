//! Which of the accounts that can serve is to be next.

use std::cmp::Ordering;

use crate::model::id::AccountId;

/// An account that a call may go to, and what it has to do already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) account: AccountId,
    /// Calls that are there now. At most `u32::MAX`, as the weight, so that their product fits.
    pub(super) calls: u64,
    pub(super) weight: u64,
    /// How far it has come in the round robin.
    pub(super) pass: u64,
}

impl Share {
    /// The one with fewer calls for its weight is first, then the one whose turn it is.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.calls * other.weight, other.calls * self.weight);
        ours.cmp(&theirs).then(self.pass.cmp(&other.pass))
    }

    /// How far it has come once it was chosen: the heavier it is, the shorter its step.
    pub(super) fn next_pass(&self) -> u64 {
        self.pass + (STEP / self.weight).max(1)
    }
}

/// The step of an account of weight one.
const STEP: u64 = 1 << 20;
