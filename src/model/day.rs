//! Days and calendar months, by UTC: the periods of budgets and of usage, and those by which the log book is exported.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// A day, by UTC: its number counts from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(u32);

/// A calendar month, by UTC: its number counts from the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

/// A text that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a day such as 2026-11-21")]
pub struct ParseDayError;

impl Day {
    /// The day of a number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The one that holds a moment; the first one for moments before it.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        Self(u32::try_from(moment.as_seconds() / SECONDS).unwrap_or(0))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The day after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The day before it; the first one has none, and is its own.
    #[must_use]
    pub const fn previous(self) -> Self {
        self.minus(1)
    }

    /// The day so many days before.
    #[must_use]
    pub const fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// When it begins.
    #[must_use]
    pub fn begins_at(self) -> Timestamp {
        Timestamp::from_seconds(i64::from(self.0) * SECONDS)
    }

    /// When it is over: the moment at which the next one begins.
    #[must_use]
    pub fn ends_at(self) -> Timestamp {
        self.next().begins_at()
    }

    /// The month that holds it.
    #[must_use]
    pub fn month(self) -> Month {
        let date = self.date();
        let year = u32::try_from(date.year()).unwrap_or(0);
        Month(year * 12 + u32::from(date.month().unsigned_abs()) - 1)
    }

    /// Days beyond the year 9999 are its last one.
    fn date(self) -> Date {
        let moment = jiff::Timestamp::from_second(i64::from(self.0) * SECONDS);
        moment.map_or(Date::MAX, |moment| Offset::UTC.to_datetime(moment).date())
    }
}

impl Month {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The month before it.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Day {
        self.begins_at().map_or(Day(u32::MAX), Day::of)
    }

    /// When it is over.
    #[must_use]
    pub fn ends_at(self) -> Timestamp {
        let end = self.next().begins_at();
        end.unwrap_or(Timestamp::from_micros(i64::MAX))
    }

    /// None for those beyond the year 9999.
    fn begins_at(self) -> Option<Timestamp> {
        let year = i16::try_from(self.0 / 12).ok()?;
        let month = i8::try_from(self.0 % 12 + 1).ok()?;
        let first = Date::new(year, month, 1).ok()?;
        let moment = Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp::from_seconds(moment.as_second()))
    }
}

/// As RFC 3339 writes it, e.g. `2026-11-21`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Day {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, ParseDayError> {
        let parsed = text.parse::<Date>().ok().filter(|parsed| *parsed >= date(1970, 1, 1));
        let date = parsed.filter(|_| text.len() == LENGTH).ok_or(ParseDayError)?;
        let moment = Offset::UTC
            .to_timestamp(date.at(0, 0, 0, 0))
            .map_err(|_| ParseDayError)?;
        Ok(Self::of(Timestamp::from_seconds(moment.as_second())))
    }
}

/// In a day.
const SECONDS: i64 = 86_400;

/// Of a day as it is written.
const LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        let moment: Timestamp = "2026-11-21T23:59:59.9Z".parse().unwrap();
        assert_eq!(Day::of(moment), day("2026-11-21"));
        assert_eq!(day("2026-11-21").ends_at().to_string(), "2026-11-22T00:00:00Z");
        assert_eq!(Day::of(day("2026-11-21").ends_at()), day("2026-11-22"));
        assert_eq!(day("2026-11-21").next().previous(), day("2026-11-21"));
        assert_eq!(day("2026-11-21").next().begins_at(), day("2026-11-21").ends_at());
        assert_eq!(Day::of(Timestamp::from_seconds(-1)).to_string(), "1970-01-01");
    }

    #[test]
    fn a_month_ends_with_its_last_day() {
        for (text, end) in [
            ("2026-02-01", "2026-03-01T00:00:00Z"),
            ("2028-02-29", "2028-03-01T00:00:00Z"),
            ("2026-12-31", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(day(text).month().ends_at().to_string(), end);
        }
        assert_ne!(day("2025-11-21").month(), day("2026-11-21").month());
    }

    #[test]
    fn a_month_begins_behind_the_one_before_it() {
        let month = day("2026-01-31").month();
        assert_eq!(month.first_day(), day("2026-01-01"));
        assert_eq!(month.previous().first_day(), day("2025-12-01"));
        assert_eq!(month.next().first_day().begins_at(), month.ends_at());
        assert_eq!(day("9999-12-01").month().next().first_day(), Day::from_number(u32::MAX));
    }

    #[test]
    fn only_whole_days_since_the_epoch_are_read() {
        for text in [
            "",
            "2026-11-31",
            "1969-12-31",
            "20261121",
            "2026-11-21T00:00:00",
            "yesterday",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_day_reads_back(number in 0_u32..2_900_000) {
            let day = Day::from_number(number);
            prop_assert_eq!(day.to_string().parse::<Day>().unwrap(), day);
            prop_assert!(day.month().ends_at() >= day.ends_at());
            prop_assert!(day.month().first_day() <= day);
            prop_assert_eq!(day.month().first_day().month(), day.month());
        }
    }
}
