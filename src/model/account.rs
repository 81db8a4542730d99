//! Accounts: one upstream credential each, and how it stands with its provider.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::id::AccountId;
use super::secret::Secret;
use super::upstream::{Source, UpstreamName};

/// One upstream credential in an upstream's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// A keyed digest of upstream and credential, so it is the same after a restart.
    pub id: AccountId,
    /// Whose pool it is in.
    pub upstream: UpstreamName,
    /// What may be shown of its credential: the first characters, e.g. `sk-Ab12…`; never more than a quarter of it.
    pub mask: String,
    /// Its share of the traffic beside the others of its pool.
    pub weight: NonZeroU32,
    /// Where it is defined.
    pub source: Source,
    /// The bearer key. Of a Volcengine account the access key, which is only shown masked: its pair is its own upstream's.
    pub credential: Secret,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccountState {
    /// It may.
    Active,
    /// Not before this moment.
    Cooling {
        /// The moment, by the wall clock, so that it survives a restart.
        until: Timestamp,
    },
    /// Its money or plan is spent; tried again at this moment.
    Exhausted {
        /// The moment.
        probe_at: Timestamp,
    },
    /// Its credential was refused (tried again at `probe_at`), or a person took it out (`None`: until a person puts it
    /// back).
    Disabled {
        /// The moment, if it is tried again.
        probe_at: Option<Timestamp>,
    },
}

/// Why an account stands as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StateReason {
    /// It was never otherwise, or works again.
    Fine,
    /// The upstream said 401.
    Unauthorized,
    /// The upstream said 402, or that a quota is spent.
    Exhausted,
    /// The upstream said 429.
    Limited,
    /// A person decided.
    Operator,
}

/// How an account stands: what survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// Its state.
    pub state: AccountState,
    /// Why.
    pub reason: StateReason,
    /// Since when.
    pub since: Timestamp,
}

impl AccountState {
    /// A person took it out.
    pub const OUT: Self = Self::Disabled { probe_at: None };

    /// Every state's name, for closed label sets.
    pub const LABELS: [&'static str; 4] = ["active", "cooling", "exhausted", "disabled"];

    /// Its name in metrics, logs and lists.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::Disabled { .. } => "disabled",
        }
    }
}

impl StateReason {
    /// Its name in logs and lists.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Unauthorized => "unauthorized",
            Self::Exhausted => "exhausted",
            Self::Limited => "limited",
            Self::Operator => "operator",
        }
    }
}

impl Standing {
    /// One of an account that nothing is known of.
    #[must_use]
    pub const fn fresh(now: Timestamp) -> Self {
        Self {
            state: AccountState::Active,
            reason: StateReason::Fine,
            since: now,
        }
    }

    /// How it stands at a moment, if nothing happens until then: cooling ends by itself, a probe has to be made.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self.state {
            AccountState::Cooling { until } if until <= now => Self::fresh(until),
            _ => self,
        }
    }
}
