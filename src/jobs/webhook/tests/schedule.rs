//! When a delivery is tried, on a paused clock.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::*;
use crate::model::clock::Timestamp;
use crate::model::webhook::{ATTEMPTS, DeliveryState, wait};

const START: Timestamp = Timestamp::from_seconds(1_771_927_200);

/// A wall clock that goes with tokio's.
struct Steady(Instant);

impl Clock for Steady {
    fn wall(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

/// Keeps a paused clock from going on by itself while threads that it does not know of are at work.
///
/// It is held until the sender is dropped.
fn hold_the_clock() -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || held.recv());
    release
}

/// Lets every task do what it can do at this moment.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// Waits for the next attempt, which is due by now: at most a second of the clock.
async fn attempted(asked: &mut UnboundedReceiver<String>) {
    for _ in 0..1000 {
        settle().await;
        if asked.try_recv().is_ok() {
            return;
        }
        // A timer for this very moment fires with the next millisecond.
        advance(Duration::from_millis(1)).await;
    }
    panic!("there was no attempt");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_tried_eight_times_over_two_hours_and_given_up() {
    let held = hold_the_clock();
    let (resolver, mut asked) = names([]);
    let clock = Arc::new(Steady(Instant::now()));
    let running = Running::over(&File::default(), clock.clone(), guard(resolver, []));
    let id = running.tell(1, 1, "https://nowhere.example/").await;

    for attempt in 1..ATTEMPTS {
        attempted(&mut asked).await;
        let delivery = running.after(id, attempt).await;
        let DeliveryState::Pending { due } = delivery.state else {
            panic!("given up after attempt {attempt}");
        };
        let wait_now = due.since(clock.wall());
        assert!((wait(attempt, 0).unwrap()..=wait(attempt, u32::MAX).unwrap()).contains(&wait_now));

        settle().await;
        advance(wait_now.saturating_sub(Duration::from_millis(2))).await;
        settle().await;
        assert!(asked.is_empty(), "attempt {} came early", attempt + 1);
        advance(Duration::from_millis(3)).await;
    }
    attempted(&mut asked).await;
    let delivery = running.after(id, ATTEMPTS).await;
    assert!(matches!(delivery.state, DeliveryState::GivenUp { .. }));
    assert!(delivery.sealed.is_empty());

    settle().await;
    advance(Duration::from_hours(24)).await;
    settle().await;
    assert!(asked.is_empty());
    drop(held);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_served_although_the_process_ended_meanwhile() {
    let held = hold_the_clock();
    let file = File::default();
    let clock = Arc::new(Steady(Instant::now()));
    let (resolver, mut asked) = names([]);
    let before = Running::over(&file, clock.clone(), guard(resolver.clone(), []));
    let id = before.tell(1, 1, "https://nowhere.example/").await;
    attempted(&mut asked).await;
    before.after(id, 1).await;
    before.end().await;

    advance(Duration::from_secs(20)).await;
    let running = Running::over(&file, clock, guard(resolver, []));
    settle().await;
    assert!(asked.is_empty());
    advance(Duration::from_secs(14)).await;
    attempted(&mut asked).await;
    running.after(id, 2).await;
    drop(held);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_fails_after_fifteen_seconds() {
    let held = hold_the_clock();
    let mut slow = Receiver::answering(None).await;
    let clock = Arc::new(Steady(Instant::now()));
    let running = Running::over(&File::default(), clock, guard(names([]).0, ["127.0.0.1"]));
    let id = running.tell(1, 1, &slow.url("/")).await;
    slow.next().await;
    settle().await;
    advance(Duration::from_secs(14)).await;
    settle().await;
    assert_eq!(running.delivery(id).attempts, 0);
    advance(Duration::from_secs(2)).await;
    let result = running.after(id, 1).await.last.unwrap().result;
    assert_eq!(result, Err(crate::model::webhook::Failure::Timeout));
    drop(held);
    running.end().await;
}
