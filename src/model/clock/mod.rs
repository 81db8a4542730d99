//! Two clocks, passed as an argument wherever time matters.
//!
//! The *monotonic* clock measures: deadlines, queues, limits, cooling. The *wall* clock names moments: expiry of keys,
//! signature skew, record times. Only the wall clock can jump.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment of wall time: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch, the earliest moment the store ever holds.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch, saturating.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment moved into the future by `length`, saturating.
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(micros(length)))
    }

    /// This moment moved into the past by `length`, saturating.
    #[must_use]
    pub fn minus(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(micros(length)))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How far apart two moments are, whichever comes first.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_micros(self.0.abs_diff(other.0))
    }
}

/// A length as signed microseconds, saturating at about 292,000 years.
fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with as many digits of a second as are needed, e.g. `2026-02-24T10:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an RFC 3339 moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-02-24T10:00:00Z")]
pub struct ParseTimestampError;

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|moment| Self(moment.as_microsecond()))
            .map_err(|_| ParseTimestampError)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, for moments that people and other machines read.
    fn wall(&self) -> Timestamp;

    /// The monotonic clock, for lengths. Tests pause it with `tokio::time::pause`.
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::EPOCH.plus(since_epoch.unwrap_or_default())
    }
}

/// The wall clock held against the monotonic one, for what must not happen too early.
///
/// A wall clock that jumps a day ahead would expire idempotency keys whose call may still be repeated; one that jumps
/// back would give new keys an end that has already passed. So expiry is judged by the earlier of both clocks and set by
/// the later. The baseline is the moment it was made, at the start of the process.
pub struct GuardedClock {
    clock: std::sync::Arc<dyn Clock>,
    wall: Timestamp,
    monotonic: Instant,
}

impl GuardedClock {
    /// Begins now.
    #[must_use]
    pub fn new(clock: std::sync::Arc<dyn Clock>) -> Self {
        Self {
            wall: clock.wall(),
            monotonic: clock.monotonic(),
            clock,
        }
    }

    /// The moment that has come for certain: what ends before it has ended.
    #[must_use]
    pub fn earliest(&self) -> Timestamp {
        self.clock.wall().min(self.steady())
    }

    /// The moment that may have come: what shall last a while is counted from it.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        self.clock.wall().max(self.steady())
    }

    fn steady(&self) -> Timestamp {
        self.wall
            .plus(self.clock.monotonic().saturating_duration_since(self.monotonic))
    }
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_and_parsed_as_rfc_3339() {
        let moment: Timestamp = "2026-02-24T10:00:00.25Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-02-24T10:00:00.25Z");
        assert_eq!(moment.as_seconds(), 1_771_927_200);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_jumps_makes_nothing_end_early() {
        let (now, day) = (Timestamp::from_seconds(1_000_000), Duration::from_hours(25));
        let clock = fixture::Wall::at(now);
        let guarded = GuardedClock::new(clock.clone());
        clock.set(now.plus(day));
        assert_eq!(guarded.earliest(), now);
        assert_eq!(guarded.latest(), now.plus(day));
        clock.set(now.minus(day));
        assert_eq!(guarded.earliest(), now.minus(day));
        assert_eq!(guarded.latest(), now);
    }

    #[test]
    fn since_never_goes_below_zero() {
        let early = Timestamp::from_seconds(10);
        let late = Timestamp::from_seconds(25);
        assert_eq!(late.since(early), Duration::from_secs(15));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.distance(late), Duration::from_secs(15));
    }
}
