//! Every interleaving of a hand-over with a cancel, a deadline, a newcomer and a close. Run as `tests/loom` says.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use ::loom::sync::Notify;
use ::loom::thread;

use super::{Capacity, Entry, Gate, Refused, Slot, Waiting};
use crate::model::lane::Lane;

/// Puts a thread to sleep until its waker is called.
struct Alarm(Notify);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// A gate with one slot, and that slot.
fn busy_gate() -> (Gate<u8>, Slot<u8>) {
    let gate = Gate::new(Capacity {
        slots: NonZeroUsize::MIN,
        queue: 8,
        per_key: None,
    });
    let slot = gate.try_admit(0).unwrap();
    (gate, slot)
}

fn join(gate: &Gate<u8>, key: u8) -> Entry<u8> {
    gate.join(key, Lane::Interactive).unwrap()
}

fn queue_up(gate: &Gate<u8>, key: u8) -> Waiting<u8> {
    match join(gate, key) {
        Entry::Place(waiting) => waiting,
        Entry::Slot(_) => panic!("the slot is in use"),
    }
}

/// Waits as a task does: sleeps until woken, and only then looks again.
fn wait(mut waiting: Waiting<u8>) -> Result<Slot<u8>, Refused> {
    let alarm = Arc::new(Alarm(Notify::new()));
    let waker = Waker::from(Arc::clone(&alarm));
    loop {
        match waiting.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => alarm.0.wait(),
        }
    }
}

fn assert_idle(gate: &Gate<u8>) {
    let now = gate.snapshot();
    assert_eq!((now.in_use, now.waiting_interactive, now.waiting_background), (0, 0, 0));
}

#[test]
fn a_waiter_always_hears_of_the_slot_it_was_handed() {
    ::loom::model(|| {
        let (gate, slot) = busy_gate();
        let holder = thread::spawn(move || drop(slot));
        let admitted = match join(&gate, 1) {
            Entry::Slot(slot) => slot,
            Entry::Place(waiting) => wait(waiting).unwrap(),
        };
        assert_eq!(gate.snapshot().in_use, 1);
        drop(admitted);
        holder.join().unwrap();
        assert_idle(&gate);
    });
}

#[test]
fn a_slot_handed_to_a_cancelled_waiter_reaches_the_next_one() {
    ::loom::model(|| {
        let (gate, slot) = busy_gate();
        let mut first = queue_up(&gate, 1);
        let cancelled = thread::spawn(move || {
            drop(first.poll(&mut Context::from_waker(Waker::noop())));
            drop(first);
        });
        let next = queue_up(&gate, 2);
        let holder = thread::spawn(move || drop(slot));
        drop(wait(next).unwrap());
        cancelled.join().unwrap();
        holder.join().unwrap();
        assert_idle(&gate);
    });
}

#[test]
fn a_deadline_during_the_hand_over_ends_with_the_slot_or_without_never_in_between() {
    ::loom::model(|| {
        let (gate, slot) = busy_gate();
        let waiting = queue_up(&gate, 1);
        let holder = thread::spawn(move || drop(slot));
        match waiting.give_up() {
            Ok(slot) => {
                assert_eq!(gate.snapshot().in_use, 1);
                drop(slot);
            }
            Err(refused) => assert!(matches!(refused, Refused::TimedOut { .. })),
        }
        holder.join().unwrap();
        assert_idle(&gate);
    });
}

#[test]
fn a_newcomer_never_takes_the_slot_of_one_who_waits() {
    ::loom::model(|| {
        let (gate, slot) = busy_gate();
        let waiting = queue_up(&gate, 1);
        let holder = thread::spawn(move || drop(slot));
        let newcomer = {
            let gate = gate.clone();
            thread::spawn(move || assert!(gate.try_admit(2).is_err()))
        };
        let admitted = wait(waiting).unwrap();
        newcomer.join().unwrap();
        holder.join().unwrap();
        drop(admitted);
        assert_idle(&gate);
    });
}

#[test]
fn a_close_during_the_hand_over_leaves_nobody_waiting_and_no_slot_taken() {
    ::loom::model(|| {
        let (gate, slot) = busy_gate();
        let waiting = queue_up(&gate, 1);
        let holder = thread::spawn(move || drop(slot));
        let closer = {
            let gate = gate.clone();
            thread::spawn(move || gate.close())
        };
        match wait(waiting) {
            Ok(slot) => drop(slot),
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
        holder.join().unwrap();
        closer.join().unwrap();
        assert_eq!(gate.try_admit(2).unwrap_err(), Refused::Closed);
        assert_idle(&gate);
    });
}
