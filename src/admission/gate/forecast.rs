//! How long a caller would wait, judged by how long slots have been held of late.

use std::time::Duration;

use tokio::time::Instant;

/// An exponentially weighted mean of the time for which a slot is held.
///
/// No slot carries a stamp of its own, so slots that were detached or taken at start count like all others. By Little's law
/// the slot-time used up since the last release (slots in use, times how long) is one sample: its mean is the mean hold.
#[derive(Debug)]
pub(super) struct Forecast {
    mean: Option<Duration>,
    used: Duration,
    seen: Instant,
}

impl Forecast {
    /// Knows nothing yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mean: None,
            used: Duration::ZERO,
            seen: now,
        }
    }

    /// Notes that `in_use` slots were in use until `now`. Call it before that number changes.
    pub(super) fn elapse(&mut self, in_use: usize, now: Instant) {
        self.used = self.used_until(in_use, now);
        self.seen = now;
    }

    /// Notes that one slot was given back at the moment of the last `elapse`.
    pub(super) fn released(&mut self) {
        let sample = std::mem::take(&mut self.used);
        self.mean = Some(match self.mean {
            Some(mean) => mean.saturating_mul(WEIGHT - 1).saturating_add(sample) / WEIGHT,
            None => sample,
        });
    }

    /// The mean hold. A longer one that is still under way replaces it, so that a stuck upstream is not called quick.
    pub(super) fn hold(&self, in_use: usize, now: Instant) -> Duration {
        self.used_until(in_use, now).max(self.mean.unwrap_or_default())
    }

    fn used_until(&self, in_use: usize, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.seen);
        self.used.saturating_add(passed.saturating_mul(saturated(in_use)))
    }
}

/// How long `turns` releases take when `slots` are held for `hold` each.
pub(super) fn wait(hold: Duration, turns: usize, slots: usize) -> Duration {
    hold.saturating_mul(saturated(turns)) / saturated(slots).max(1)
}

/// Brings an estimate within what a `Retry-After` may say: at least 1 s, at most 60 s.
pub(in crate::admission) fn retry_after(estimate: Duration) -> Duration {
    estimate.clamp(SOONEST, LATEST)
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The newest sample counts for one part in this many.
const WEIGHT: u32 = 8;

const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_first_hold_is_the_mean_and_later_ones_move_it_by_an_eighth() {
        let start = Instant::now();
        let mut forecast = Forecast::new(start);
        forecast.elapse(1, start + seconds(8));
        forecast.released();
        assert_eq!(forecast.hold(0, start + seconds(8)), seconds(8));
        forecast.elapse(1, start + seconds(24));
        forecast.released();
        assert_eq!(forecast.hold(0, start + seconds(24)), seconds(9));
    }

    #[test]
    fn idle_time_is_not_part_of_a_hold() {
        let start = Instant::now();
        let mut forecast = Forecast::new(start);
        forecast.elapse(0, start + seconds(100));
        forecast.elapse(1, start + seconds(102));
        forecast.released();
        assert_eq!(forecast.hold(0, start + seconds(500)), seconds(2));
    }

    #[test]
    fn slots_held_side_by_side_add_up_to_the_hold_of_each() {
        let start = Instant::now();
        let mut forecast = Forecast::new(start);
        for release in 1..=200 {
            forecast.elapse(4, start + seconds(release));
            forecast.released();
        }
        assert_eq!(forecast.hold(0, start + seconds(200)), seconds(4));
    }

    #[test]
    fn a_hold_under_way_that_is_longer_than_the_mean_replaces_it() {
        let start = Instant::now();
        let forecast = Forecast::new(start);
        assert_eq!(forecast.hold(1, start + seconds(7)), seconds(7));
    }

    #[test]
    fn an_estimate_never_leaves_one_second_to_one_minute() {
        assert_eq!(retry_after(Duration::ZERO), seconds(1));
        assert_eq!(retry_after(seconds(30)), seconds(30));
        assert_eq!(retry_after(Duration::MAX), seconds(60));
        assert_eq!(wait(Duration::MAX, usize::MAX, 0), Duration::MAX);
    }
}
