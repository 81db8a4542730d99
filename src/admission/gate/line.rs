//! The fair line: who holds slots, who waits, whose turn is next. Pure: no lock, no task, no clock of its own.
//!
//! Each key waits in a queue of its own per lane. A lane's *round* is the ring of the keys that may be served now: they wait
//! and are below the limit per key. A key that was served goes to the end of its round; one at its limit stays out of it and
//! re-enters at the end when it gives a slot back. Two things always hold: a free slot means that both rounds are empty, so a
//! newcomer who finds one overtakes nobody; and a member is kept only while it holds a slot or waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::iter;
use std::mem;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use super::forecast::{self, Forecast};
use super::list::{Link, List};
use super::{Capacity, Snapshot};
use crate::model::lane::Lane;

/// Slots and the line before them. `B` is how to tell a waiter that its fate is decided: its bell.
pub(super) struct Line<K, B> {
    capacity: Capacity,
    in_use: usize,
    members: Slab<Member<K>>,
    by_key: HashMap<K, usize>,
    places: Slab<Place<B>>,
    arrivals: List,
    rounds: PerLane<List>,
    waiting: PerLane<usize>,
    forecast: Forecast,
}

/// What happens to somebody who joins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// A slot was free and is the newcomer's now.
    Served,
    /// The newcomer waits; the ticket is good until `attend` says that the waiting has ended, or until `leave`.
    Queued(Ticket),
    /// The line is full.
    Full,
}

/// Names a place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(usize);

/// How far a waiter has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State<B> {
    /// In line, with this bell.
    Waiting(B),
    /// No longer in line.
    Ended(Outcome),
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A slot was handed over: it belongs to the waiter, who must use it or release it.
    Handed,
    /// The gate closed.
    Dismissed,
}

/// A key that holds slots or waits for one.
struct Member<K> {
    key: K,
    held: usize,
    queues: PerLane<Queue>,
}

/// A key's waiters in one lane, and the key's stand in that lane's round.
#[derive(Default)]
struct Queue {
    waiters: List,
    turn: Link,
    in_round: bool,
}

/// One waiter.
struct Place<B> {
    member: usize,
    lane: Lane,
    since: Instant,
    in_queue: Link,
    in_arrivals: Link,
    state: State<B>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "an index names a live node: whoever removes a node unlinks it first"
)]
impl<K: Copy + Eq + Hash, B> Line<K, B> {
    pub(super) fn new(capacity: Capacity, now: Instant) -> Self {
        Self {
            capacity,
            in_use: 0,
            members: Slab::new(),
            by_key: HashMap::new(),
            places: Slab::new(),
            arrivals: List::default(),
            rounds: PerLane::default(),
            waiting: PerLane::default(),
            forecast: Forecast::new(now),
        }
    }

    /// Takes a slot if one is free for this key.
    pub(super) fn take(&mut self, key: K, now: Instant) -> bool {
        let held = self.by_key.get(&key).map_or(0, |&at| self.members[at].held);
        let free = self.in_use < self.capacity.slots.get() && self.below_limit(held);
        if free {
            self.occupy(key, now);
        }
        free
    }

    /// Takes a slot if one is free for this key, a place at the end of the key's queue if not.
    pub(super) fn join(&mut self, key: K, lane: Lane, bell: B, now: Instant) -> Joined {
        if self.take(key, now) {
            return Joined::Served;
        }
        if *self.waiting.of(lane) >= self.capacity.queue_of(lane) {
            return Joined::Full;
        }
        let member = self.member(key);
        let ticket = self.places.insert(Place {
            member,
            lane,
            since: now,
            in_queue: Link::default(),
            in_arrivals: Link::default(),
            state: State::Waiting(bell),
        });
        self.members[member]
            .queues
            .of(lane)
            .waiters
            .push_back(&mut self.places, ticket, |place| &mut place.in_queue);
        self.arrivals
            .push_back(&mut self.places, ticket, |place| &mut place.in_arrivals);
        *self.waiting.of(lane) += 1;
        self.settle(member);
        Joined::Queued(Ticket(ticket))
    }

    /// Takes a slot whether or not one is free.
    pub(super) fn occupy(&mut self, key: K, now: Instant) {
        self.forecast.elapse(self.in_use, now);
        let member = self.member(key);
        self.members[member].held += 1;
        self.in_use += 1;
        self.settle(member);
    }

    /// Gives one of the key's slots back and hands it to whoever is next: the bell to ring. A key without slots has none to
    /// give; it is ignored.
    pub(super) fn release(&mut self, key: K, now: Instant) -> Option<B> {
        let member = *self.by_key.get(&key)?;
        let held = self.members[member].held.checked_sub(1)?;
        self.forecast.elapse(self.in_use, now);
        self.forecast.released();
        self.members[member].held = held;
        self.in_use -= 1;
        self.settle(member);
        self.hand_over()
    }

    /// Looks whether the waiting has ended; if so, the ticket ends too. If not, `bell` replaces the old one, which is
    /// returned so that it can be dropped outside any lock.
    pub(super) fn attend(&mut self, ticket: Ticket, bell: B) -> State<B> {
        match &mut self.places[ticket.0].state {
            State::Waiting(current) => State::Waiting(mem::replace(current, bell)),
            State::Ended(_) => self.places.remove(ticket.0).state,
        }
    }

    /// Takes a waiter out of the line, if the waiting has not ended already; either way the ticket ends.
    pub(super) fn leave(&mut self, ticket: Ticket) -> State<B> {
        if matches!(self.places[ticket.0].state, State::Waiting(_)) {
            let member = self.unlink(ticket.0);
            self.settle(member);
        }
        self.places.remove(ticket.0).state
    }

    /// Changes the capacity and hands out what became free: the bells to ring. Nobody loses a slot or a place.
    pub(super) fn resize(&mut self, capacity: Capacity, now: Instant) -> Vec<B> {
        self.forecast.elapse(self.in_use, now);
        self.capacity = capacity;
        let members: Vec<usize> = self.members.iter().map(|(at, _)| at).collect();
        for at in members {
            self.settle(at);
        }
        iter::from_fn(|| self.hand_over()).collect()
    }

    /// Ends the waiting of all who wait, oldest first: the bells to ring.
    pub(super) fn dismiss(&mut self) -> Vec<B> {
        let mut bells = Vec::with_capacity(self.arrivals.len());
        while let Some(at) = self.arrivals.head() {
            let member = self.unlink(at);
            self.settle(member);
            bells.extend(self.end(at, Outcome::Dismissed));
        }
        bells
    }

    /// Whether anybody waits, which means that no slot is free for them.
    pub(super) fn is_wanted(&self) -> bool {
        self.arrivals.len() > 0
    }

    /// When a newcomer of this key and lane could expect a slot.
    pub(super) fn retry_after(&mut self, key: K, lane: Lane, now: Instant) -> Duration {
        let slots = self.capacity.slots.get();
        let hold = self.forecast.hold(self.in_use, now);
        let before = match lane {
            Lane::Interactive => self.waiting.interactive,
            Lane::Background => self.waiting.interactive + self.waiting.background,
        };
        let in_line = forecast::wait(hold, before + 1 + self.in_use.saturating_sub(slots), slots);
        let own = self
            .capacity
            .per_key
            .zip(self.by_key.get(&key))
            .map_or(Duration::ZERO, |(limit, &at)| {
                let member = &mut self.members[at];
                let queued = member.queues.of(lane).waiters.len();
                forecast::wait(hold, queued + 1 + member.held.saturating_sub(limit.get()), limit.get())
            });
        forecast::retry_after(in_line.max(own))
    }

    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot {
            slots: self.capacity.slots.get(),
            in_use: self.in_use,
            queue: self.capacity.queue,
            waiting_interactive: self.waiting.interactive,
            waiting_background: self.waiting.background,
            oldest_wait: self
                .arrivals
                .head()
                .map(|at| now.saturating_duration_since(self.places[at].since)),
        }
    }

    /// Whether nothing is kept for anybody.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.by_key.is_empty() && self.places.is_empty() && self.arrivals.len() == 0
    }

    /// Gives a free slot to the waiter whose turn it is.
    fn hand_over(&mut self) -> Option<B> {
        if self.in_use >= self.capacity.slots.get() {
            return None;
        }
        let at = Lane::ALL.into_iter().find_map(|lane| {
            let member = self.rounds.of(lane).head()?;
            self.members[member].queues.of(lane).waiters.head()
        })?;
        let lane = self.places[at].lane;
        let member = self.unlink(at);
        self.leave_round(member, lane);
        self.members[member].held += 1;
        self.in_use += 1;
        self.settle(member);
        self.end(at, Outcome::Handed)
    }

    /// The key's member, made if it is not there. The caller gives it a slot or a waiter, then settles it.
    fn member(&mut self, key: K) -> usize {
        *self.by_key.entry(key).or_insert_with(|| {
            self.members.insert(Member {
                key,
                held: 0,
                queues: PerLane::default(),
            })
        })
    }

    /// Takes a waiter out of its queue and out of the arrivals. The caller settles the member.
    fn unlink(&mut self, at: usize) -> usize {
        let Place { member, lane, .. } = self.places[at];
        self.members[member]
            .queues
            .of(lane)
            .waiters
            .remove(&mut self.places, at, |place| &mut place.in_queue);
        self.arrivals
            .remove(&mut self.places, at, |place| &mut place.in_arrivals);
        *self.waiting.of(lane) -= 1;
        member
    }

    fn end(&mut self, at: usize, outcome: Outcome) -> Option<B> {
        match mem::replace(&mut self.places[at].state, State::Ended(outcome)) {
            State::Waiting(bell) => Some(bell),
            State::Ended(_) => None,
        }
    }

    /// Makes the rounds and the list of members true again after a member's slots or waiters changed.
    fn settle(&mut self, at: usize) {
        let below_limit = self.below_limit(self.members[at].held);
        let mut idle = self.members[at].held == 0;
        for lane in Lane::ALL {
            let queue = self.members[at].queues.of(lane);
            let waits = queue.waiters.len() > 0;
            idle &= !waits;
            match (queue.in_round, waits && below_limit) {
                (false, true) => self.enter_round(at, lane),
                (true, false) => self.leave_round(at, lane),
                (true, true) | (false, false) => {}
            }
        }
        if idle {
            let member = self.members.remove(at);
            self.by_key.remove(&member.key);
        }
    }

    fn enter_round(&mut self, at: usize, lane: Lane) {
        self.members[at].queues.of(lane).in_round = true;
        self.rounds
            .of(lane)
            .push_back(&mut self.members, at, |member| &mut member.queues.of(lane).turn);
    }

    fn leave_round(&mut self, at: usize, lane: Lane) {
        self.members[at].queues.of(lane).in_round = false;
        self.rounds
            .of(lane)
            .remove(&mut self.members, at, |member| &mut member.queues.of(lane).turn);
    }

    fn below_limit(&self, held: usize) -> bool {
        self.capacity.per_key.is_none_or(|limit| held < limit.get())
    }
}

/// One of something for each lane.
#[derive(Debug, Default)]
struct PerLane<T> {
    interactive: T,
    background: T,
}

impl<T> PerLane<T> {
    fn of(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Background => &mut self.background,
        }
    }
}
