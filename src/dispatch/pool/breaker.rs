//! The breaker of an account: traffic stops after a row of failures, and one probe at a time finds out when it may flow.

use std::time::Duration;

use tokio::time::Instant;

/// A breaker. What it keeps from being sent is not counted as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker(Inner);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    /// So many failures came in a row.
    Closed(u32),
    /// It tripped, and may be probed from this moment on.
    Tripped(Instant),
}

/// What a breaker lets through at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// All traffic.
    Closed,
    /// Nothing.
    Open,
    /// One probe at a time.
    HalfOpen,
}

/// What an attempt did to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It lets through what it did before.
    None,
    /// It is open now.
    Tripped,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Inner::Closed(0))
    }

    /// What it lets through now.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.0 {
            Inner::Closed(_) => BreakerState::Closed,
            Inner::Tripped(until) if now < until => BreakerState::Open,
            Inner::Tripped(_) => BreakerState::HalfOpen,
        }
    }

    /// When an open one may be probed.
    pub(super) const fn opens_at(&self) -> Option<Instant> {
        match self.0 {
            Inner::Closed(_) => None,
            Inner::Tripped(until) => Some(until),
        }
    }

    /// A call that it let through got an answer: traffic flows.
    pub(super) const fn succeed(&mut self) {
        self.0 = Inner::Closed(0);
    }

    /// The head of a good reply is here, but its end is not: traffic flows, and one failure stops it again. A stream may
    /// last for long, and nobody is to wait for its end.
    pub(super) const fn begin(&mut self) {
        if let Inner::Tripped(_) = self.0 {
            self.0 = Inner::Closed(FAILURES - 1);
        }
    }

    /// A call that it let through failed. The fifth in a row trips it, and so does a probe.
    pub(super) fn fail(&mut self, now: Instant) -> Effect {
        self.0 = match self.0 {
            Inner::Closed(failures) if failures + 1 < FAILURES => Inner::Closed(failures + 1),
            Inner::Closed(_) | Inner::Tripped(_) => Inner::Tripped(now + OPEN),
        };
        match self.0 {
            Inner::Closed(_) => Effect::None,
            Inner::Tripped(_) => Effect::Tripped,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl BreakerState {
    /// Every state's name, for closed label sets.
    pub const LABELS: [&'static str; 3] = ["closed", "open", "half_open"];

    /// Its name in metrics, logs and lists.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Failures in a row that trip it.
const FAILURES: u32 = 5;
/// How long it stays open before a probe.
const OPEN: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn tripped(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        let effects: Vec<_> = (0..FAILURES).map(|_| breaker.fail(now)).collect();
        assert_eq!(effects.iter().position(|effect| *effect == Effect::Tripped), Some(4));
        breaker
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row_and_is_probed_a_minute_later() {
        let now = Instant::now();
        let breaker = tripped(now);
        assert_eq!(breaker.state(now), BreakerState::Open);
        assert_eq!(
            breaker.state((now + OPEN).checked_sub(Duration::from_millis(1)).unwrap()),
            BreakerState::Open
        );
        assert_eq!(breaker.state(now + OPEN), BreakerState::HalfOpen);
    }

    #[test]
    fn a_success_in_between_begins_the_row_anew() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for _ in 0..20 {
            for _ in 0..FAILURES - 1 {
                assert_eq!(breaker.fail(now), Effect::None);
            }
            breaker.succeed();
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_for_another_minute_and_a_good_one_closes_it() {
        let now = Instant::now();
        let mut breaker = tripped(now);
        let later = now + OPEN;
        assert_eq!(breaker.fail(later), Effect::Tripped);
        assert_eq!(breaker.state(later), BreakerState::Open);
        assert_eq!(breaker.state(later + OPEN), BreakerState::HalfOpen);
        breaker.succeed();
        assert_eq!(breaker.state(later + OPEN), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_has_only_begun_lets_traffic_flow_until_the_first_failure() {
        let now = Instant::now();
        let mut breaker = tripped(now);
        breaker.begin();
        assert_eq!(breaker.state(now), BreakerState::Closed);
        breaker.begin();
        assert_eq!(breaker.fail(now), Effect::Tripped);
    }
}
