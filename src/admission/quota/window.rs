//! What was used in the last minute, or the last day.

use std::time::Duration;

use tokio::time::Instant;

use crate::admission::meter::Meter;

/// An amount over a sliding length of time, kept in slots.
///
/// What was taken stays for at least the whole length and at most a slot longer, so that in no stretch of that length,
/// however it is laid, more is taken than the limit. The limit is an argument: it may change at any time.
#[derive(Debug)]
pub(super) struct Window {
    slot: Duration,
    begun: Instant,
    /// The number of the slot that is now.
    now: u64,
    /// What each of the last slots holds, by its number modulo their count.
    slots: Box<[u64]>,
    total: u64,
}

/// An amount that was taken, until it is decided how much of it is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    slot: u64,
    amount: u64,
}

impl Window {
    /// The last minute, to the second.
    pub(super) fn minute(begun: Instant) -> Self {
        Self::new(Duration::from_secs(1), 60, begun)
    }

    /// The last 24 hours, to the quarter of an hour.
    pub(super) fn day(begun: Instant) -> Self {
        Self::new(Duration::from_mins(15), 96, begun)
    }

    fn new(slot: Duration, slots: usize, begun: Instant) -> Self {
        Self {
            slot,
            begun,
            now: 0,
            // The slot that is now is not over yet.
            slots: vec![0; slots + 1].into(),
            total: 0,
        }
    }

    /// Forgets what is too long ago. Call it before anything else.
    pub(super) fn advance(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.begun);
        let number = u64::try_from(since.as_nanos() / self.slot.as_nanos()).unwrap_or(u64::MAX);
        let over = number.saturating_sub(self.now).min(self.slots.len() as u64);
        for ahead in 1..=over {
            let gone = std::mem::take(self.at(number - over + ahead));
            self.total -= gone;
        }
        self.now = self.now.max(number);
    }

    /// Whether the limit leaves `amount`.
    ///
    /// More than the limit is never there at once: such an amount passes when nothing else is in use.
    ///
    /// # Errors
    /// How long until there is enough.
    pub(super) fn check(&self, amount: u64, limit: u64, now: Instant) -> Result<(), Duration> {
        let excess = self.total.saturating_add(amount.min(limit)).saturating_sub(limit);
        if excess == 0 {
            return Ok(());
        }
        let mut freed = 0_u64;
        let enough = self.numbers().find(|number| {
            freed = freed.saturating_add(self.held(*number));
            freed >= excess
        });
        Err(self.until_gone(enough.unwrap_or(self.now), now))
    }

    /// Takes what was checked; of more than the limit, the whole limit.
    pub(super) fn take(&mut self, amount: u64, limit: u64) -> Taken {
        let amount = amount.min(limit);
        self.add(amount);
        Taken { slot: self.now, amount }
    }

    /// Decides how much of what was taken was used: the rest is given back, and more counts from now on.
    pub(super) fn settle(&mut self, taken: Taken, used: u64) {
        if used > taken.amount {
            self.add(used - taken.amount);
        } else if self.numbers().contains(&taken.slot) {
            let unused = taken.amount - used;
            *self.at(taken.slot) -= unused;
            self.total -= unused;
        }
    }

    /// How it stands against a limit.
    pub(super) fn meter(&self, limit: u64, now: Instant) -> Meter {
        let last = self.numbers().rev().find(|number| self.held(*number) > 0);
        Meter {
            limit,
            remaining: limit.saturating_sub(self.total),
            reset: last.map_or(Duration::ZERO, |number| self.until_gone(number, now)),
        }
    }

    #[cfg(test)]
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    fn add(&mut self, amount: u64) {
        // What does not fit into the count is more than anybody's limit.
        let amount = amount.min(u64::MAX - self.total);
        *self.at(self.now) += amount;
        self.total += amount;
    }

    /// The slots that count, oldest first.
    fn numbers(&self) -> std::ops::RangeInclusive<u64> {
        self.now.saturating_sub(self.slots.len() as u64 - 1)..=self.now
    }

    fn until_gone(&self, number: u64, now: Instant) -> Duration {
        let slots = u32::try_from(number + self.slots.len() as u64).unwrap_or(u32::MAX);
        (self.begun + self.slot.saturating_mul(slots)).saturating_duration_since(now)
    }

    fn held(&self, number: u64) -> u64 {
        self.slots.get(self.place(number)).copied().unwrap_or_default()
    }

    fn at(&mut self, number: u64) -> &mut u64 {
        let place = self.place(number);
        #[expect(clippy::indexing_slicing, reason = "a number modulo the count is a place")]
        &mut self.slots[place]
    }

    fn place(&self, number: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "less than the count of slots")]
        let place = (number % self.slots.len() as u64) as usize;
        place
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn window() -> (Window, Instant) {
        let begun = Instant::now();
        (Window::minute(begun), begun)
    }

    #[test]
    fn what_was_taken_is_free_again_after_the_whole_length() {
        let (mut window, begun) = window();
        window.take(7, 10);
        window.advance(begun + seconds(30));
        window.take(3, 10);

        let now = begun + Duration::from_millis(59_500);
        window.advance(now);
        assert_eq!(window.check(1, 10, now), Err(Duration::from_millis(1_500)));
        assert_eq!(window.check(8, 10, now), Err(Duration::from_millis(31_500)));
        assert_eq!(window.meter(10, now).reset, Duration::from_millis(31_500));

        let now = now + Duration::from_millis(1_500);
        window.advance(now);
        assert_eq!(window.check(7, 10, now), Ok(()));
        assert_eq!(window.meter(10, now).remaining, 7);
    }

    #[test]
    fn more_than_the_limit_takes_all_of_it_when_nothing_else_is_in_use() {
        let (mut window, begun) = window();
        window.take(1, 10);
        assert_eq!(window.check(1_000, 10, begun), Err(seconds(61)));
        window.advance(begun + seconds(61));
        assert_eq!(window.check(1_000, 10, begun + seconds(61)), Ok(()));
        window.take(1_000, 10);
        assert_eq!(window.total(), 10);
    }

    #[test]
    fn what_is_used_beyond_the_estimate_is_owed() {
        let (mut window, begun) = window();
        let taken = window.take(4, 10);
        window.settle(taken, 25);
        assert_eq!(window.meter(10, begun).remaining, 0);
        assert_eq!(window.check(1, 10, begun), Err(seconds(61)));
    }

    #[test]
    fn what_is_given_back_late_frees_nothing_twice() {
        let (mut window, begun) = window();
        let taken = window.take(10, 10);
        window.advance(begun + seconds(70));
        window.take(10, 10);
        window.settle(taken, 0);
        assert_eq!(window.total(), 10);
    }

    #[test]
    fn a_pause_of_any_length_leaves_nothing() {
        let (mut window, begun) = window();
        for pause in [61, 3_600, 86_400 * 365] {
            window.take(3, 10);
            window.advance(begun + seconds(pause));
            assert_eq!(window.total(), 0, "{pause}");
        }
    }

    proptest! {
        #[test]
        fn in_no_stretch_of_a_minute_more_is_taken_than_the_limit(
            steps in prop::collection::vec((0_u64..20_000, 1_u64..12), 1..80),
        ) {
            let (mut window, begun) = window();
            let mut now = begun;
            let mut taken: Vec<(Instant, u64)> = Vec::new();
            for (millis, amount) in steps {
                now += Duration::from_millis(millis);
                window.advance(now);
                match window.check(amount, 10, now) {
                    Ok(()) => {
                        window.take(amount, 10);
                        taken.push((now, amount.min(10)));
                    }
                    Err(wait) => {
                        // Honest: not yet just before, and then for certain.
                        let almost = now + wait.saturating_sub(Duration::from_millis(1));
                        window.advance(almost);
                        prop_assert!(window.check(amount, 10, almost).is_err());
                        window.advance(now + wait);
                        prop_assert!(window.check(amount, 10, now + wait).is_ok());
                        now += wait;
                    }
                }
                let last: u64 = taken.iter().filter(|(at, _)| now - *at < seconds(60)).map(|(_, amount)| amount).sum();
                prop_assert!(last <= 10, "{last}");
            }
        }
    }
}
