//! What is tried again, how often, and after which wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is tried again, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, 1 to 20: an item that was refused so often is dead.
    pub max_attempts: u32,
    /// The wait before the second attempt, in seconds, 1 to 3600. Each later one is twice as long.
    pub backoff: u32,
    /// The longest wait, in seconds, `backoff` to 86,400.
    pub max_backoff: u32,
    /// What becomes of calls of unknown outcome. Submits are never sent again.
    pub unknown_calls: UnknownCalls,
}

/// What becomes of a call (never of a submit) whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownCalls {
    /// It stays unknown: it may have been paid.
    Leave,
    /// It is made again, and may be paid twice: its submitter said so.
    Retry,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: 2,
            max_backoff: 300,
            unknown_calls: UnknownCalls::Leave,
        }
    }
}

impl RetryPolicy {
    /// How long to wait after the attempt with this number, the first being 1: twice as long each time, and between a half
    /// and the whole of it by `jitter` (0 to 1), but at least what the upstream asked for.
    #[must_use]
    pub fn wait(&self, attempts: u32, jitter: f64, asked: Option<Duration>) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let whole = u64::from(self.backoff)
            .saturating_mul(1 << doublings)
            .min(u64::from(self.max_backoff));
        let spread = Duration::from_secs(whole).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        spread.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

/// The longest wait that an upstream may ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_halves_them_at_most() {
        let policy = RetryPolicy {
            backoff: 2,
            max_backoff: 10,
            ..RetryPolicy::default()
        };
        let whole: Vec<u64> = (1..=5).map(|n| policy.wait(n, 1.0, None).as_secs()).collect();
        assert_eq!(whole, [2, 4, 8, 10, 10]);
        assert_eq!(policy.wait(2, 0.0, None), Duration::from_secs(2));
        assert_eq!(policy.wait(u32::MAX, 1.0, None), Duration::from_secs(10));
    }

    #[test]
    fn what_an_upstream_asks_for_is_waited_for_within_a_day() {
        let policy = RetryPolicy::default();
        let asked = |seconds| policy.wait(1, 0.5, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(60), Duration::from_mins(1));
        assert_eq!(asked(1_000_000_000), Duration::from_hours(24));
    }
}
