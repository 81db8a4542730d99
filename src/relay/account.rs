//! How an account stands, as the operator sees it.

use super::BreakerState;
use crate::model::account::{AccountState, Standing};
use crate::model::id::AccountId;
use crate::model::upstream::UpstreamName;

/// How an account stands.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// Whose pool it is in.
    pub upstream: UpstreamName,
    /// The account.
    pub account: AccountId,
    /// How it stands.
    pub standing: Standing,
    /// What its breaker lets through.
    pub breaker: BreakerState,
}

impl AccountView {
    /// Whether it would be given a call now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.standing.state == AccountState::Active && self.breaker != BreakerState::Open
    }
}
