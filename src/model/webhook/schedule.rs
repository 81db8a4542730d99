//! How often a delivery is tried, and how long it waits in between.

use std::time::Duration;

/// Attempts before a delivery is given up.
pub const ATTEMPTS: u32 = 8;

/// How long to wait after the attempt of this number, counted from 1; `None` after the last one.
///
/// The waits grow from 30 seconds to an hour. `jitter` adds up to a tenth, so that deliveries that failed together do
/// not come back together: 0 adds nothing, [`u32::MAX`] the most.
#[must_use]
pub fn wait(attempt: u32, jitter: u32) -> Option<Duration> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let wait = Duration::from_secs(*WAITS.get(index)?);
    let added = wait.as_micros() / 10 * u128::from(jitter) / u128::from(u32::MAX);
    Some(wait + Duration::from_micros(u64::try_from(added).unwrap_or(0)))
}

/// Seconds after each attempt but the last: each about 2.2 times the one before.
const WAITS: [u64; ATTEMPTS as usize - 1] = [30, 67, 148, 329, 730, 1621, 3600];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_from_half_a_minute_to_an_hour() {
        let waits: Vec<_> = (1..ATTEMPTS).map(|attempt| wait(attempt, 0).unwrap()).collect();
        assert_eq!(waits.first(), Some(&Duration::from_secs(30)));
        assert_eq!(waits.last(), Some(&Duration::from_hours(1)));
        assert!(
            waits
                .windows(2)
                .all(|pair| pair[0] * 2 < pair[1] && pair[1] < pair[0] * 5 / 2)
        );
    }

    #[test]
    fn jitter_adds_at_most_a_tenth() {
        assert_eq!(wait(1, u32::MAX), Some(Duration::from_secs(33)));
        assert_eq!(wait(7, u32::MAX), Some(Duration::from_mins(66)));
    }

    #[test]
    fn nothing_follows_the_last_attempt() {
        assert_eq!(wait(ATTEMPTS, 0), None);
        assert_eq!(wait(0, 0), None);
        assert_eq!(wait(u32::MAX, 0), None);
    }
}
