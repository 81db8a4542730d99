//! What a gate promises.

mod caller;
mod property;

use std::num::NonZeroUsize;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, advance, timeout};

use self::caller::Caller;
use super::*;
use crate::model::lane::Lane::{Background, Interactive};

const A: u8 = 1;
const B: u8 = 2;
const C: u8 = 3;

fn gate(slots: usize, queue: usize) -> Gate<u8> {
    Gate::new(Capacity {
        slots: NonZeroUsize::new(slots).unwrap(),
        queue,
        per_key: None,
    })
}

fn gate_with_limit(slots: usize, queue: usize, per_key: usize) -> Gate<u8> {
    Gate::new(Capacity {
        slots: NonZeroUsize::new(slots).unwrap(),
        queue,
        per_key: NonZeroUsize::new(per_key),
    })
}

/// A caller who waits at the gate for up to an hour.
fn queue_up(gate: &Gate<u8>, key: u8, lane: Lane) -> Caller {
    Caller::arrive(gate, key, lane, Duration::from_hours(1))
        .map_err(drop)
        .expect("the gate should be busy")
}

/// The slot of a caller to whom one was handed.
fn admitted(caller: &mut Caller) -> Slot<u8> {
    assert!(caller.was_woken(), "a caller who is handed a slot is woken");
    match caller.step() {
        Poll::Ready(Ok(slot)) => slot,
        other => panic!("expected a slot, got {other:?}"),
    }
}

/// Keys in the order in which they are served when each slot is given back at once.
fn served(mut slot: Slot<u8>, mut callers: Vec<(u8, Caller)>) -> Vec<u8> {
    let mut order = Vec::new();
    while !callers.is_empty() {
        drop(slot);
        let next = callers
            .iter()
            .position(|(_, caller)| caller.was_woken())
            .expect("somebody is served");
        let (key, mut caller) = callers.remove(next);
        let Poll::Ready(Ok(handed)) = caller.step() else {
            panic!("a woken caller has a slot")
        };
        order.push(key);
        slot = handed;
    }
    order
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_free_slot_is_taken_at_once_even_at_the_deadline() {
    let gate = gate(1, 0);
    let slot = gate.admit(A, Interactive, Instant::now()).await.unwrap();
    assert_eq!((slot.key(), gate.snapshot().in_use), (A, 1));
    drop(slot);
    assert_eq!(gate.snapshot().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_served_in_the_order_of_arrival() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(A).unwrap();
    let (mut first, mut second) = (queue_up(&gate, A, Interactive), queue_up(&gate, A, Interactive));
    drop(slot);
    assert!(!second.was_woken());
    drop(admitted(&mut first));
    drop(admitted(&mut second));
}

#[tokio::test(start_paused = true)]
async fn keys_take_turns_however_many_waiters_one_of_them_has() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(C).unwrap();
    let callers = [A, A, A, B, C, B].map(|key| (key, queue_up(&gate, key, Interactive)));
    assert_eq!(served(slot, callers.into()), [A, B, C, A, B, A]);
}

#[tokio::test(start_paused = true)]
async fn the_interactive_lane_is_served_before_the_background_lane() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(C).unwrap();
    let callers = [(A, Background), (B, Background), (A, Interactive), (C, Interactive)];
    let callers = callers.map(|(key, lane)| (key, queue_up(&gate, key, lane)));
    assert_eq!(served(slot, callers.into()), [A, C, A, B]);
}

#[tokio::test(start_paused = true)]
async fn a_released_slot_is_never_free_for_a_newcomer_while_somebody_waits() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(A).unwrap();
    let mut waiter = queue_up(&gate, B, Interactive);
    drop(slot);
    assert!(matches!(gate.try_admit(C), Err(Refused::Full { .. })));
    assert_eq!(admitted(&mut waiter).key(), B);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_gives_its_place_back() {
    let gate = gate(1, 1);
    let slot = gate.try_admit(A).unwrap();
    drop(queue_up(&gate, B, Interactive));
    let mut waiter = queue_up(&gate, C, Interactive);
    drop(slot);
    drop(admitted(&mut waiter));
    assert_eq!(gate.snapshot().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_cancelled_after_the_hand_over_passes_the_slot_on() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(A).unwrap();
    let (first, mut second) = (queue_up(&gate, B, Interactive), queue_up(&gate, C, Interactive));
    drop(slot);
    assert!(!second.was_woken());
    drop(first);
    assert_eq!(admitted(&mut second).key(), C);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    let gate = gate(1, 1);
    let _slot = gate.try_admit(A).unwrap();
    let _waiter = queue_up(&gate, B, Interactive);
    let refused = gate
        .admit(C, Interactive, Instant::now() + seconds(9))
        .await
        .unwrap_err();
    assert!(matches!(refused, Refused::Full { .. }));
}

#[tokio::test(start_paused = true)]
async fn background_work_takes_no_place_of_those_who_hold_a_connection_open_and_waits_where_they_may_not() {
    let gate = gate(1, 0);
    let slot = gate.try_admit(A).unwrap();
    let mut background = queue_up(&gate, B, Background);
    let refused = gate.admit(C, Interactive, Instant::now() + seconds(9)).await;
    assert!(matches!(refused, Err(Refused::Full { .. })));
    drop(slot);
    assert_eq!(admitted(&mut background).key(), B);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_wait_and_frees_the_place() {
    let gate = gate(1, 1);
    let _slot = gate.try_admit(A).unwrap();
    let start = Instant::now();
    let refused = gate.admit(B, Interactive, start + seconds(20)).await.unwrap_err();
    assert!(matches!(refused, Refused::TimedOut { .. }));
    assert_eq!(start.elapsed().as_secs(), 20);
    assert_eq!(gate.snapshot().waiting_interactive, 0);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_the_mean_hold_times_the_place_over_the_slots() {
    let gate = gate(2, 8);
    for _ in 0..64 {
        let pair = (gate.try_admit(A).unwrap(), gate.try_admit(B).unwrap());
        advance(seconds(6)).await;
        drop(pair);
    }
    let _pair = (gate.try_admit(A).unwrap(), gate.try_admit(B).unwrap());
    let (_first, _second) = (queue_up(&gate, A, Interactive), queue_up(&gate, B, Background));
    let Err(Refused::Full { retry_after }) = gate.try_admit(C) else {
        panic!("the gate is full")
    };
    // The third hold of a pair's six seconds: two places, two slots. Samples of a pair alternate between 12 s and 0 s.
    assert!((5..=7).contains(&retry_after.as_secs()), "{retry_after:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_counts_the_own_line_of_a_key_at_its_limit() {
    let gate = gate_with_limit(8, 8, 1);
    let _slot = gate.try_admit(A).unwrap();
    advance(seconds(10)).await;
    let _waiter = queue_up(&gate, A, Interactive);
    let Err(Refused::Full { retry_after }) = gate.try_admit(A) else {
        panic!("the key is at its limit")
    };
    assert_eq!(retry_after, seconds(20));
}

#[tokio::test(start_paused = true)]
async fn a_key_at_its_limit_is_passed_and_served_when_it_gives_a_slot_back() {
    let gate = gate_with_limit(2, 8, 1);
    let slot = gate.try_admit(A).unwrap();
    let mut parked = queue_up(&gate, A, Interactive);
    let other = gate.try_admit(B).expect("another key passes");
    drop(other);
    assert!(!parked.was_woken());
    drop(slot);
    assert_eq!(admitted(&mut parked).key(), A);
}

#[tokio::test(start_paused = true)]
async fn the_limit_counts_both_lanes_of_a_key() {
    let gate = gate_with_limit(2, 8, 1);
    let slots = (gate.try_admit(B).unwrap(), gate.try_admit(C).unwrap());
    let (mut first, mut second) = (queue_up(&gate, A, Interactive), queue_up(&gate, A, Background));
    drop(slots);
    let slot = admitted(&mut first);
    assert!(!second.was_woken());
    drop(slot);
    drop(admitted(&mut second));
}

#[tokio::test(start_paused = true)]
async fn a_detached_slot_stays_taken_until_it_is_released() {
    let gate = gate(1, 8);
    let key = gate.try_admit(A).unwrap().detach();
    let mut waiter = queue_up(&gate, B, Interactive);
    assert_eq!(gate.snapshot().in_use, 1);
    gate.release(key);
    assert_eq!(admitted(&mut waiter).key(), B);
}

#[tokio::test(start_paused = true)]
async fn occupied_slots_beyond_the_capacity_are_worked_off_before_anybody_is_admitted() {
    let gate = gate(1, 8);
    gate.occupy(A);
    gate.occupy(A);
    let mut waiter = queue_up(&gate, B, Interactive);
    gate.release(A);
    assert!(!waiter.was_woken());
    gate.release(A);
    drop(admitted(&mut waiter));
}

#[tokio::test(start_paused = true)]
async fn releasing_for_a_key_that_holds_nothing_changes_nothing() {
    let gate = gate(1, 8);
    let _slot = gate.try_admit(A).unwrap();
    let waiter = queue_up(&gate, B, Interactive);
    gate.release(B);
    gate.release(C);
    assert!(!waiter.was_woken());
    assert_eq!(gate.snapshot().in_use, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gate_made_wider_hands_out_its_new_slots_in_turn() {
    let gate = gate_with_limit(1, 8, 1);
    let _slot = gate.try_admit(A).unwrap();
    let mut callers = [A, A, B, C].map(|key| queue_up(&gate, key, Interactive));
    gate.resize(Capacity {
        slots: NonZeroUsize::new(3).unwrap(),
        queue: 8,
        per_key: NonZeroUsize::new(2),
    });
    assert_eq!(callers.each_ref().map(Caller::was_woken), [false, false, true, true]);
    gate.resize(Capacity {
        slots: NonZeroUsize::new(8).unwrap(),
        queue: 8,
        per_key: NonZeroUsize::new(2),
    });
    let _second = admitted(&mut callers[0]);
    assert!(!callers[1].was_woken());
}

#[tokio::test(start_paused = true)]
async fn a_gate_made_narrower_takes_nothing_away() {
    let gate = gate(2, 8);
    let (first, second) = (gate.try_admit(A).unwrap(), gate.try_admit(B).unwrap());
    let mut waiter = queue_up(&gate, C, Interactive);
    gate.resize(Capacity {
        slots: NonZeroUsize::MIN,
        queue: 0,
        per_key: None,
    });
    drop(first);
    assert!(!waiter.was_woken());
    drop(second);
    drop(admitted(&mut waiter));
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_refuses_waiters_and_newcomers_and_slots_live_on() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(A).unwrap();
    let mut waiter = queue_up(&gate, B, Background);
    gate.close();
    assert!(waiter.was_woken());
    assert!(matches!(waiter.step(), Poll::Ready(Err(Refused::Closed))));
    assert_eq!(
        gate.admit(C, Interactive, Instant::now() + seconds(1))
            .await
            .unwrap_err(),
        Refused::Closed
    );
    assert_eq!(gate.snapshot().in_use, 1);
    drop(slot);
    assert_eq!(gate.try_admit(A).unwrap_err(), Refused::Closed);
    assert_eq!(gate.snapshot().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_the_lanes_and_knows_the_oldest_wait() {
    let gate = gate(1, 8);
    let _slot = gate.try_admit(A).unwrap();
    let first = queue_up(&gate, B, Background);
    advance(seconds(3)).await;
    let _second = queue_up(&gate, A, Interactive);
    advance(seconds(2)).await;
    let expected = Snapshot {
        slots: 1,
        in_use: 1,
        queue: 8,
        waiting_interactive: 1,
        waiting_background: 1,
        oldest_wait: Some(seconds(5)),
    };
    assert_eq!(gate.snapshot(), expected);
    drop(first);
    assert_eq!(gate.snapshot().oldest_wait, Some(seconds(2)));
}

#[tokio::test(start_paused = true)]
async fn who_listens_hears_that_somebody_waits() {
    let gate = gate(1, 8);
    let _slot = gate.try_admit(A).unwrap();
    assert!(timeout(seconds(1), gate.until_wanted()).await.is_err());
    let wanted = gate.until_wanted();
    let (_waiter, ()) = tokio::join!(async { queue_up(&gate, B, Interactive) }, wanted);
    timeout(seconds(1), gate.until_wanted())
        .await
        .expect("somebody still waits");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_a_key_that_neither_holds_nor_waits() {
    let gate = gate(1, 8);
    let slot = gate.try_admit(A).unwrap();
    drop(queue_up(&gate, B, Interactive));
    drop(slot);
    assert!(gate.enter().line.is_empty());
}

#[test]
fn a_gate_and_its_waits_can_move_between_threads() {
    fn assert_send<T: Send>(_: T) {}
    let gate = Gate::new(Capacity {
        slots: NonZeroUsize::MIN,
        queue: 0,
        per_key: None,
    });
    assert_send(gate.admit(A, Interactive, Instant::now()));
    assert_send(gate.until_wanted());
    assert_send(gate.try_admit(A));
}
