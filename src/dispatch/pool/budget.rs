//! How many attempts an upstream's calls may make beyond their first.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of retries: each call adds a tenth of one, so that an upstream in trouble gets a tenth more traffic at most,
/// and each window begins with some, so that a quiet server may still retry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    tenths: u32,
    refill_at: Instant,
}

impl Budget {
    /// One at the beginning of a window.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tenths: FLOOR,
            refill_at: now + WINDOW,
        }
    }

    /// A call came.
    pub(super) fn earn(&mut self) {
        self.tenths = (self.tenths + 1).min(MOST);
    }

    /// Takes one retry out, if there is one.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        if now >= self.refill_at {
            self.tenths = self.tenths.max(FLOOR);
            self.refill_at = now + WINDOW;
        }
        let left = self.tenths.checked_sub(RETRY);
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }
}

/// Calls that earn one retry.
const RETRY: u32 = 10;
/// What a window begins with at least: ten retries.
const FLOOR: u32 = 10 * RETRY;
/// What can be saved: a hundred retries.
const MOST: u32 = 100 * RETRY;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &mut Budget, now: Instant) -> u32 {
        (0..1000).map(|_| u32::from(budget.spend(now))).sum()
    }

    #[test]
    fn a_quiet_server_may_retry_ten_times_a_window() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert_eq!(spent(&mut budget, now), 10);
        assert_eq!(spent(&mut budget, now + WINDOW.mul_f64(0.99)), 0);
        assert_eq!(spent(&mut budget, now + WINDOW), 10);
    }

    #[test]
    fn beyond_that_retries_are_a_tenth_of_the_calls() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        spent(&mut budget, now);
        for _ in 0..500 {
            budget.earn();
        }
        assert_eq!(spent(&mut budget, now), 50);
    }

    #[test]
    fn a_long_calm_does_not_save_up_a_storm() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..1_000_000 {
            budget.earn();
        }
        assert_eq!(spent(&mut budget, now), 100);
    }
}
