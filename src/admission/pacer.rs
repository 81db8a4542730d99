//! The submit interval: starts come one by one, at least so far apart.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::gate::retry_after;

/// Spaces starts by at least an interval, first come, first served.
///
/// A turn is used up only by the caller who gets it: one who leaves the line, or whose deadline comes, delays nobody.
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    /// The earliest next start. Tokio's lock is fair: its queue is our line.
    next: Mutex<Option<Instant>>,
    waiting: AtomicUsize,
}

/// The deadline comes before the caller's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no turn to submit before the deadline")]
pub struct PacerLate {
    /// When to try again: when the line has had its turns, between 1 s and 60 s.
    pub retry_after: Duration,
}

impl Pacer {
    /// Starts at least `interval` apart; zero lets everybody start at once.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Mutex::new(None),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for the caller's turn to start.
    ///
    /// Cancel-safe: dropping the future gives up the place in line and uses up no turn.
    ///
    /// # Errors
    /// [`PacerLate`] at the deadline, or earlier, as soon as the caller is at the head of the line and its turn comes too
    /// late.
    pub async fn turn(&self, deadline: Instant) -> Result<(), PacerLate> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let place = Place::take(&self.waiting);
        let Ok(mut next) = timeout_at(deadline, self.next.lock()).await else {
            return Err(self.late(place));
        };
        if let Some(turn) = *next {
            if turn > deadline {
                return Err(self.late(place));
            }
            sleep_until(turn).await;
        }
        *next = Some(Instant::now() + self.interval);
        Ok(())
    }

    /// The caller leaves; the next start is at most one interval away and everybody still in line comes first.
    fn late(&self, place: Place<'_>) -> PacerLate {
        drop(place);
        let before = u32::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        PacerLate {
            retry_after: retry_after(self.interval.saturating_mul(before.saturating_add(1))),
        }
    }
}

/// One caller in line, counted while it lives.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Waits for a turn with plenty of patience and says when it came.
    async fn start(pacer: &Pacer) -> Instant {
        pacer.turn(Instant::now() + seconds(600)).await.unwrap();
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn starts_are_an_interval_apart_and_in_the_order_of_arrival() {
        let pacer = Pacer::new(seconds(3));
        let begin = Instant::now();
        let (first, second, third) = tokio::join!(start(&pacer), start(&pacer), start(&pacer));
        assert_eq!([first, second, third].map(|turn| (turn - begin).as_secs()), [0, 3, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_after_a_pause_does_not_wait() {
        let pacer = Pacer::new(seconds(3));
        start(&pacer).await;
        tokio::time::advance(seconds(10)).await;
        let again = Instant::now();
        assert_eq!(start(&pacer).await, again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_waiter_costs_nobody_a_turn() {
        let pacer = Pacer::new(seconds(3));
        let begin = start(&pacer).await;
        let (head, behind, last) = tokio::join!(
            timeout(seconds(1), start(&pacer)),
            timeout(seconds(2), start(&pacer)),
            start(&pacer),
        );
        assert!(head.is_err() && behind.is_err());
        assert_eq!((last - begin).as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_too_late_is_refused_at_once() {
        let pacer = Pacer::new(seconds(30));
        let begin = start(&pacer).await;
        let late = pacer.turn(begin + seconds(20)).await.unwrap_err();
        assert_eq!(late.retry_after, seconds(30));
        assert_eq!(Instant::now(), begin);
        assert_eq!((start(&pacer).await - begin).as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_leaves_a_turn_to_everybody_in_line() {
        let pacer = Pacer::new(seconds(5));
        start(&pacer).await;
        let hurried = async { pacer.turn(Instant::now() + seconds(1)).await.unwrap_err() };
        let (_, _, late) = tokio::join!(start(&pacer), start(&pacer), hurried);
        assert_eq!(late.retry_after, seconds(15));
    }

    #[tokio::test(start_paused = true)]
    async fn no_interval_lets_everybody_start_at_once() {
        let pacer = Pacer::new(Duration::ZERO);
        let now = Instant::now();
        for _ in 0..100 {
            pacer.turn(now).await.unwrap();
        }
        assert_eq!(Instant::now(), now);
    }
}
