//! The `X-Date` header: `YYYYMMDDTHHMMSSZ`, UTC, to the second.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::model::clock::Timestamp;

/// The moment that `text` names; `None` for every other form or a moment that does not exist.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 {
        return None;
    }
    let moment = DateTime::new(
        i16::try_from(number(date.get(..4)?)?).ok()?,
        number(date.get(4..6)?)?.try_into().ok()?,
        number(date.get(6..)?)?.try_into().ok()?,
        number(time.get(..2)?)?.try_into().ok()?,
        number(time.get(2..4)?)?.try_into().ok()?,
        number(time.get(4..)?)?.try_into().ok()?,
        0,
    );
    let moment = Offset::UTC.to_timestamp(moment.ok()?).ok()?;
    Some(Timestamp::from_seconds(moment.as_second()))
}

/// The text that names `moment`, its fraction of a second dropped.
pub(super) fn format(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_second(moment.as_seconds()).unwrap_or(jiff::Timestamp::MAX);
    let moment = Offset::UTC.to_datetime(moment);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        moment.year(),
        moment.month(),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

/// The day of a text that [`parse`] accepts or [`format()`] made: its first eight digits, as a scope names it.
pub(super) fn day(x_date: &str) -> &str {
    x_date.get(..8).unwrap_or(x_date)
}

/// A number of nothing but digits.
fn number(digits: &str) -> Option<u16> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_back_what_it_shows() {
        let moment = parse("20260224T100000Z").unwrap();
        assert_eq!(moment.to_string(), "2026-02-24T10:00:00Z");
        assert_eq!(
            format(moment.plus(std::time::Duration::from_millis(999))),
            "20260224T100000Z"
        );
        assert_eq!(day("20260224T100000Z"), "20260224");
    }

    #[test]
    fn every_other_form_is_refused() {
        let texts = [
            "",
            "Z",
            "T",
            "20260224T100000",
            "20260224t100000z",
            "20260224 100000Z",
            "2026-02-24T10:00:00Z",
            "20260224T1000000Z",
            "20260230T100000Z",
            "20260224T250000Z",
            "20260224T100060Z",
            "+0260224T100000Z",
            "20260224T10000-Z",
            "2026022é100000TZ",
            "20é0224T100000Z",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
