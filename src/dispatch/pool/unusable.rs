//! Why no account of a pool can serve a call, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use super::member::{Obstacle, PROBE_AFTER, Passage};

/// No account of the pool can serve a call now. It is the same for the first call and the thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no account can serve this call for {} s", .retry_after.as_secs_f64().ceil())]
pub struct Unusable {
    /// How long until the first account is usable again; an hour where only a person can change anything.
    pub retry_after: Duration,
    /// Why.
    pub kind: UnusableKind,
}

/// Why no account can serve a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnusableKind {
    /// Each one that works was asked too often. Accounts that are disabled, exhausted or forbidden for the model are no
    /// reason to say otherwise.
    Limited,
    /// There is none that works, or one that should work fails.
    NoAccount,
}

impl Unusable {
    /// Sums up what keeps a call from every account.
    pub(super) fn of(passages: impl Iterator<Item = Passage>, now: Instant) -> Self {
        let mut soonest = None::<Instant>;
        let (mut limited, mut failing) = (0_usize, 0_usize);
        for passage in passages {
            let until = match passage {
                // Usable, but not for a call that has been there.
                Passage::Free | Passage::Probe => Some(now + LEAST_WAIT),
                Passage::Shut { why, until } => {
                    limited += usize::from(why == Obstacle::Limited);
                    failing += usize::from(why == Obstacle::Failing);
                    until
                }
            };
            soonest = soonest.into_iter().chain(until).min();
        }
        let kind = if limited > 0 && failing == 0 {
            UnusableKind::Limited
        } else {
            UnusableKind::NoAccount
        };
        let retry_after = soonest.map_or(PROBE_AFTER, |soonest| soonest.saturating_duration_since(now));
        Self { retry_after, kind }
    }

    /// Of two pools, what ends first: then one of them serves.
    #[must_use]
    pub fn or_sooner(self, other: Self) -> Self {
        if other.retry_after < self.retry_after {
            other
        } else {
            self
        }
    }
}

/// The shortest wait that is told.
const LEAST_WAIT: Duration = Duration::from_secs(1);
