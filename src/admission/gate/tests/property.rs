//! The promises of the gate under random use: a scheduler steps callers one by one, in an order that proptest chooses.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::caller::Caller;
use crate::admission::gate::{Capacity, Gate, Refused, Slot};
use crate::model::lane::Lane;

#[derive(Debug, Clone)]
enum Step {
    Admit {
        key: u8,
        lane: Lane,
        patience: u64,
    },
    TryAdmit {
        key: u8,
    },
    /// A caller who was handed a slot runs.
    Collect(usize),
    /// A caller hangs up, handed a slot or not.
    Cancel(usize),
    Release(usize),
    Detach(usize),
    ReleaseDetached(usize),
    Occupy {
        key: u8,
    },
    Advance(u64),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..4u8;
    let lane = prop_oneof![Just(Lane::Interactive), Just(Lane::Background)];
    let step = prop_oneof![
        40 => (key.clone(), lane, 1..60u64).prop_map(|(key, lane, patience)| Step::Admit { key, lane, patience }),
        4 => key.clone().prop_map(|key| Step::TryAdmit { key }),
        20 => any::<usize>().prop_map(Step::Collect),
        10 => any::<usize>().prop_map(Step::Cancel),
        20 => any::<usize>().prop_map(Step::Release),
        4 => any::<usize>().prop_map(Step::Detach),
        8 => any::<usize>().prop_map(Step::ReleaseDetached),
        1 => key.prop_map(|key| Step::Occupy { key }),
        6 => (1..30u64).prop_map(Step::Advance),
    ];
    let close = prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop::collection::vec(step, 1..200), close).prop_map(|(mut steps, close)| {
        if let Some(at) = close {
            steps.insert(at.index(steps.len()), Step::Close);
        }
        steps
    })
}

fn capacities() -> impl Strategy<Value = Capacity> {
    (1..4usize, 0..12usize, 0..3usize).prop_map(|(slots, queue, per_key)| Capacity {
        slots: NonZeroUsize::new(slots).unwrap(),
        queue,
        per_key: NonZeroUsize::new(per_key),
    })
}

/// A caller in line, as the scheduler knows it.
struct Waiter {
    arrival: usize,
    key: u8,
    lane: Lane,
    since: Instant,
    deadline: Instant,
    caller: Caller,
}

/// Everything around the gate, kept in the plainest way there is.
struct World {
    gate: Gate<u8>,
    capacity: Capacity,
    closed: bool,
    arrivals: usize,
    waiting: Vec<Waiter>,
    handed: Vec<Waiter>,
    slots: Vec<Slot<u8>>,
    detached: Vec<u8>,
    /// For each lane and key: which keys must be served there before that key is served again.
    owed: BTreeMap<(bool, u8), BTreeSet<u8>>,
}

impl World {
    fn new(capacity: Capacity) -> Self {
        Self {
            gate: Gate::new(capacity),
            capacity,
            closed: false,
            arrivals: 0,
            waiting: Vec::new(),
            handed: Vec::new(),
            slots: Vec::new(),
            detached: Vec::new(),
            owed: BTreeMap::new(),
        }
    }

    fn in_use(&self) -> usize {
        self.handed.len() + self.slots.len() + self.detached.len()
    }

    fn held_by(&self, key: u8) -> usize {
        let handed = self.handed.iter().map(|waiter| waiter.key);
        let slots = self.slots.iter().map(Slot::key);
        handed
            .chain(slots)
            .chain(self.detached.iter().copied())
            .filter(|&holder| holder == key)
            .count()
    }

    fn below_limit(&self, key: u8) -> bool {
        self.capacity
            .per_key
            .is_none_or(|limit| self.held_by(key) < limit.get())
    }

    fn admissible(&self, key: u8) -> bool {
        self.in_use() < self.capacity.slots.get() && self.below_limit(key)
    }

    /// Keys below their limit that wait in a lane.
    fn due(&self, lane: Lane) -> BTreeSet<u8> {
        let in_lane = self.waiting.iter().filter(|waiter| waiter.lane == lane);
        in_lane
            .map(|waiter| waiter.key)
            .filter(|&key| self.below_limit(key))
            .collect()
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Admit { key, lane, patience } => self.admit(key, lane, Duration::from_millis(patience)),
            Step::TryAdmit { key } => match self.gate.try_admit(key) {
                Ok(slot) => self.welcome(slot),
                Err(Refused::Closed) => assert!(self.closed),
                Err(_) => assert!(!self.admissible(key)),
            },
            Step::Collect(pick) => {
                if let Some(mut waiter) = pick_from(&mut self.handed, pick) {
                    let Poll::Ready(Ok(slot)) = waiter.caller.step() else {
                        panic!("it was handed a slot")
                    };
                    self.slots.push(slot);
                }
            }
            Step::Cancel(pick) => {
                let handed = !pick.is_multiple_of(3);
                drop(pick_from(
                    if handed { &mut self.handed } else { &mut self.waiting },
                    pick,
                ));
            }
            Step::Release(pick) => drop(pick_from(&mut self.slots, pick)),
            Step::Detach(pick) => self.detached.extend(pick_from(&mut self.slots, pick).map(Slot::detach)),
            Step::ReleaseDetached(pick) => {
                if let Some(key) = pick_from(&mut self.detached, pick) {
                    self.gate.release(key);
                }
            }
            Step::Occupy { key } => {
                self.gate.occupy(key);
                self.detached.push(key);
            }
            Step::Advance(millis) => self.pass_time(Duration::from_millis(millis)).await,
            Step::Close => {
                self.closed = true;
                self.gate.close();
                for mut waiter in self.waiting.drain(..) {
                    assert!(waiter.caller.was_woken());
                    assert!(matches!(waiter.caller.step(), Poll::Ready(Err(Refused::Closed))));
                }
            }
        }
        self.see_who_was_served();
        self.check();
    }

    fn waiting_in(&self, lane: Lane) -> usize {
        self.waiting.iter().filter(|waiter| waiter.lane == lane).count()
    }

    fn admit(&mut self, key: u8, lane: Lane, patience: Duration) {
        match Caller::arrive(&self.gate, key, lane, patience) {
            Ok(caller) => {
                assert!(!self.admissible(key) && self.waiting_in(lane) < self.capacity.queue_of(lane));
                self.arrivals += 1;
                let (arrival, since) = (self.arrivals, Instant::now());
                self.waiting.push(Waiter {
                    arrival,
                    key,
                    lane,
                    since,
                    deadline: since + patience,
                    caller,
                });
            }
            Err(Ok(slot)) => self.welcome(slot),
            Err(Err(Refused::Closed)) => assert!(self.closed),
            Err(Err(Refused::Full { retry_after })) => {
                assert!(!self.admissible(key) && self.waiting_in(lane) >= self.capacity.queue_of(lane));
                assert!((1..=60).contains(&retry_after.as_secs()));
            }
            Err(Err(Refused::TimedOut { .. })) => panic!("the deadline is in the future"),
        }
    }

    /// A newcomer got a slot at once.
    fn welcome(&mut self, slot: Slot<u8>) {
        assert!(!self.closed && self.admissible(slot.key()));
        self.slots.push(slot);
    }

    /// Time passes; whoever's deadline came leaves the line, and nobody else.
    async fn pass_time(&mut self, length: Duration) {
        advance(length).await;
        tokio::task::yield_now().await;
        let now = Instant::now();
        self.waiting.retain_mut(|waiter| {
            let late = waiter.deadline <= now;
            assert_eq!(waiter.caller.was_woken(), late);
            if late {
                assert!(matches!(
                    waiter.caller.step(),
                    Poll::Ready(Err(Refused::TimedOut { .. }))
                ));
            }
            !late
        });
    }

    /// Whoever was woken was handed a slot: was it their turn?
    fn see_who_was_served(&mut self) {
        let woken = |waiter: &Waiter| waiter.caller.was_woken();
        let Some(at) = self.waiting.iter().position(woken) else {
            return;
        };
        assert!(!self.waiting.iter().any(woken), "one slot, one waiter");
        let Waiter { key, lane, arrival, .. } = self.waiting[at];
        assert!(self.admissible(key), "never above a cap");
        let same_queue = |waiter: &&Waiter| waiter.key == key && waiter.lane == lane;
        assert!(
            self.waiting
                .iter()
                .filter(same_queue)
                .all(|other| arrival <= other.arrival),
            "first in, first out"
        );
        if lane == Lane::Background {
            assert!(
                self.due(Lane::Interactive).is_empty(),
                "the interactive lane comes first"
            );
        }
        let owed = self.owed.remove(&(is_background(lane), key)).unwrap_or_default();
        assert!(owed.is_empty(), "{owed:?} waited since {key} was last served");

        let mut others = self.due(lane);
        others.remove(&key);
        for ((_, _), owed) in self
            .owed
            .iter_mut()
            .filter(|((in_lane, _), _)| *in_lane == is_background(lane))
        {
            owed.remove(&key);
        }
        self.owed.insert((is_background(lane), key), others);
        let waiter = self.waiting.remove(at);
        self.handed.push(waiter);
    }

    fn check(&mut self) {
        let due = [self.due(Lane::Interactive), self.due(Lane::Background)];
        for ((background, _), owed) in &mut self.owed {
            owed.retain(|key| due[usize::from(*background)].contains(key));
        }
        assert!(
            !self.waiting.iter().any(|waiter| self.admissible(waiter.key)),
            "a slot is free for one who waits"
        );

        let snapshot = self.gate.snapshot();
        let background = self
            .waiting
            .iter()
            .filter(|waiter| waiter.lane == Lane::Background)
            .count();
        assert_eq!(snapshot.in_use, self.in_use(), "acquired = released + in use");
        assert_eq!(snapshot.waiting_background, background);
        assert_eq!(snapshot.waiting_interactive, self.waiting.len() - background);
        assert_eq!(
            snapshot.oldest_wait,
            self.waiting.iter().map(|waiter| waiter.since.elapsed()).max()
        );
    }

    /// Everybody finishes in the end.
    async fn finish(&mut self) {
        while self.in_use() > 0 {
            self.take(Step::Collect(0)).await;
            self.take(Step::Release(0)).await;
            self.take(Step::ReleaseDetached(0)).await;
        }
        assert!(self.waiting.is_empty(), "everybody who stayed was served");
        assert!(self.gate.enter().line.is_empty(), "nothing is kept");
    }
}

fn pick_from<T>(items: &mut Vec<T>, pick: usize) -> Option<T> {
    let at = pick.checked_rem(items.len())?;
    Some(items.remove(at))
}

fn is_background(lane: Lane) -> bool {
    lane == Lane::Background
}

proptest! {
    #[test]
    fn every_promise_holds_under_random_use(capacity in capacities(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(capacity);
            for step in steps {
                world.take(step).await;
            }
            world.finish().await;
        });
    }
}
