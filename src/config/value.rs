//! Texts into values: lengths of time, sizes, counts, lists, switches, secrets for headers.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::model::secret::Secret;

/// Why a text is not the value it should be. It does not repeat the text, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) fix: String,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// A length of time as a command's flag gives it: what the variables take, and the reason where it cannot be read.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|Wrong { problem, fix }| format!("{problem}; {fix}"))
}

/// A length of time up to ten years; zero is allowed. A plain number counts seconds.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || {
        Wrong::new(
            "is not a length of time",
            "set seconds, or a length such as 500ms, 30s, 5m, 1h30m or 90d",
        )
    };
    let nanoseconds = nanoseconds(text).ok_or_else(wrong)?;
    match u64::try_from(nanoseconds).map(Duration::from_nanos) {
        Ok(length) if length <= LONGEST => Ok(length),
        _ => Err(Wrong::new("is longer than ten years", "set at most 3650d")),
    }
}

/// As [`duration`], but zero is a mistake.
pub(super) fn timeout(text: &str) -> Result<Duration, Wrong> {
    match duration(text)? {
        Duration::ZERO => Err(Wrong::new(
            "is zero, which would stop everything",
            "set a length such as 30s",
        )),
        length => Ok(length),
    }
}

/// A number of bytes; zero is allowed. `KB` and its like count in 1000, `KiB` and its like in 1024.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    match bytes {
        Some(bytes) if bytes <= LARGEST => Ok(bytes),
        Some(_) => Err(Wrong::new("is more than a pebibyte", "set a smaller size")),
        None => Err(Wrong::new(
            "is not a size",
            "set a number of bytes, or a size such as 64KiB, 20MiB or 1GiB",
        )),
    }
}

/// As [`size`], but a size below `LEAST` bytes is a mistake.
pub(super) fn size_from<const LEAST: u64>(text: &str) -> Result<u64, Wrong> {
    let bytes = size(text)?;
    if bytes < LEAST {
        return Err(Wrong::new("is too small", format!("set at least {LEAST} bytes")));
    }
    Ok(bytes)
}

/// As [`size_from`], for bytes that are held in memory.
pub(super) fn memory_from<const LEAST: u64>(text: &str) -> Result<usize, Wrong> {
    let bytes = size_from::<LEAST>(text)?;
    usize::try_from(bytes).map_err(|_| Wrong::new("is more than this machine can address", "set a smaller size"))
}

/// A count up to a million; zero is allowed.
pub(super) fn count(text: &str) -> Result<usize, Wrong> {
    let fix = || format!("set a whole number from 0 to {MOST}");
    match text.parse() {
        Ok(count) if count <= MOST => Ok(count),
        Ok(_) => Err(Wrong::new("is too many", fix())),
        Err(_) => Err(Wrong::new("is not a count", fix())),
    }
}

/// As [`count`], but zero is a mistake.
pub(super) fn positive(text: &str) -> Result<NonZeroUsize, Wrong> {
    NonZeroUsize::new(count(text)?).ok_or_else(|| {
        Wrong::new(
            "is zero, which would admit nothing",
            format!("set a whole number from 1 to {MOST}"),
        )
    })
}

/// As [`count`], where zero means that there is no limit.
pub(super) fn limit(text: &str) -> Result<Option<NonZeroUsize>, Wrong> {
    count(text).map(NonZeroUsize::new)
}

/// A switch: `true`, `false`, `1` or `0`.
pub(super) fn switch(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Wrong::new("is not a switch", "set true or false")),
    }
}

/// A list of at least one text, separated by commas or written as a JSON array.
pub(super) fn list(text: &str) -> Result<Vec<String>, Wrong> {
    if !text.starts_with('[') {
        return separated(text);
    }
    let items: Vec<String> = serde_json::from_str(text)
        .map_err(|_| Wrong::new("is not a JSON array of strings", r#"write ["a","b"], or a,b"#))?;
    trimmed(items.iter().map(String::as_str))
}

/// As [`list`], separated by commas only.
pub(super) fn separated(text: &str) -> Result<Vec<String>, Wrong> {
    trimmed(text.split(','))
}

fn trimmed<'a>(items: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Wrong> {
    let items: Vec<String> = items.map(|item| item.trim().to_owned()).collect();
    if items.is_empty() || items.iter().any(String::is_empty) {
        return Err(Wrong::new("has an empty item", "write one item between two commas"));
    }
    Ok(items)
}

/// A secret of at least so many characters.
pub(super) fn at_least(least: usize, text: String, fix: &str) -> Result<Secret, Wrong> {
    let length = text.chars().count();
    let secret = Secret::new(text);
    if length < least {
        return Err(Wrong::new(
            format!("has {length} characters, at least {least} are needed"),
            fix,
        ));
    }
    Ok(secret)
}

/// A secret that can travel in a header: visible ASCII characters without spaces.
pub(super) fn visible(secret: Secret) -> Result<Secret, Wrong> {
    if secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(secret);
    }
    Err(Wrong::new(
        "has characters that no header can carry",
        "use visible ASCII characters only, without spaces",
    ))
}

/// A plain number of seconds, or numbers with units one after another.
fn nanoseconds(text: &str) -> Option<u128> {
    if let Some(seconds) = scaled(text, SECOND) {
        return Some(seconds);
    }
    let mut total = 0_u128;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "ms" => SECOND / 1000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            "d" => 86_400 * SECOND,
            _ => return None,
        };
        total = total.checked_add(scaled(number, unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// A decimal number, with up to nine digits after the point, of `unit` nanoseconds each.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let parts = fraction.bytes().fold(1_u128, |parts, _| parts * 10);
    let whole = u128::from(whole.parse::<u64>().ok()?) * unit;
    Some(whole + u128::from(fraction.parse::<u64>().ok()?) * unit / parts)
}

pub(super) const KIBIBYTE: u64 = 1 << 10;
pub(super) const MEBIBYTE: u64 = 1 << 20;
/// Longer lengths could overflow a clock.
const LONGEST: Duration = Duration::from_hours(3650 * 24);
const LARGEST: u64 = 1 << 50;
const MOST: usize = 1_000_000;
const SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_seconds_or_numbers_with_units() {
        for (text, milliseconds) in [
            ("30", 30_000),
            ("120.0", 120_000),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("90d", 7_776_000_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_length_of_time_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "+1",
            "1 s",
            "30x",
            "1h30",
            "5S",
            "1..5s",
            ".5s",
            "1e3",
            "3651d",
            "99999999999999999999",
            "é1s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_is_refused_where_it_is_meaningless() {
        assert!(timeout("0s").is_err());
        assert!(positive("0").is_err());
        assert!(memory_from::<1>("0").is_err());
        assert_eq!(limit("0"), Ok(None));
        assert_eq!(duration("0ms"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_size_is_bytes_or_a_number_with_a_unit() {
        for (text, bytes) in [
            ("4096", 4096),
            ("20MiB", 20 << 20),
            ("64MB", 64_000_000),
            ("1 GiB", 1 << 30),
            ("0", 0),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5GiB", "-1", "20M", "2097152GiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_separated_by_commas_or_a_json_array() {
        assert_eq!(list("a, b"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(list(r#"["a","b"]"#), list("a,b"));
        for text in ["a,,b", "a,", "[]", "[1]", "[\"a\""] {
            assert!(list(text).is_err(), "{text}");
        }
    }
}
