//! Days of UTC, by which the log book is exported.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// One day of UTC: how many lie between the Unix epoch and it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(i32);

impl Day {
    /// The day on which a moment lies. Moments beyond the year 9999 or before -9999 lie on the last or first day there is.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        let days = moment.as_micros().div_euclid(MICROS).clamp(FIRST, LAST);
        Self(i32::try_from(days).unwrap_or_default())
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_micros(self.0 as i64 * MICROS)
    }

    /// The first moment of the next day.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_micros((self.0 as i64 + 1) * MICROS)
    }

    /// The day after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The day before it.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// As in `2026-02-24`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.start().as_micros()) {
            Ok(moment) => moment.to_zoned(jiff::tz::TimeZone::UTC).date().fmt(f),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a day such as 2026-02-24")]
pub struct ParseDayError;

impl FromStr for Day {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // jiff reads more forms than the one we write: a file's name must have one meaning.
        let date: Date = text.parse().map_err(|_| ParseDayError)?;
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| ParseDayError)?;
        let day = Self::of(Timestamp::from_micros(zoned.timestamp().as_microsecond()));
        if day.to_string() == text {
            Ok(day)
        } else {
            Err(ParseDayError)
        }
    }
}

const MICROS: i64 = 86_400 * 1_000_000;

/// -9999-01-03, and 9999-12-30: what can be shown in every zone.
const FIRST: i64 = -4_371_585;
const LAST: i64 = 2_932_895;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_back_what_it_shows() {
        for text in ["1970-01-01", "2024-02-29", "2026-12-31", "1969-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026-2-4",
            "20260224",
            "2026-02-30",
            "2026-02-24T10:00",
            "today",
            "2026-02-24 ",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_and_ends_where_the_next_begins() {
        let day: Day = "2026-02-24".parse().unwrap();
        assert_eq!(day.start().to_string(), "2026-02-24T00:00:00Z");
        assert_eq!(day.end(), day.next().start());
        assert_eq!(day.next().previous(), day);
        assert_eq!(Day::of(day.start()), day);
        assert_eq!(Day::of(Timestamp::from_micros(day.end().as_micros() - 1)), day);
        assert_eq!(Day::of(day.end()), day.next());
        assert_eq!(Day::of(Timestamp::from_micros(-1)).to_string(), "1969-12-31");
    }

    #[test]
    fn moments_beyond_the_calendar_still_have_a_day() {
        for micros in [i64::MIN, i64::MAX] {
            let shown = Day::of(Timestamp::from_micros(micros)).to_string();
            assert!(shown.contains("9999"), "{shown}");
        }
    }
}
