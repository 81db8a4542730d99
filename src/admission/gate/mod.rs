//! A bounded, fair gate: so many slots, a line of limited length before them, and a deadline for every wait.
//!
//! - First in, first out within a key; round-robin between keys; the interactive lane before the background lane.
//! - A slot that is given back goes straight to the next waiter: it is never free for a newcomer to snatch, and it belongs to
//!   that waiter from that moment. If the waiter is gone by the time it would notice, its drop passes the slot on.
//! - Every operation takes constant time under one short lock, however long the line; only
//!   `close` and `resize` touch everybody.
//!
//! jimeng-relay's queue woke a waiter and let it compete for the slot, so a third caller could steal it, and a cancelled
//! waiter could lose it for good. Here the hand-over and the check of who was handed what happen under the same lock.

mod forecast;
mod line;
mod list;
#[cfg(test)]
#[cfg(loom)]
mod loom;
mod slot;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod waiting;

use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::PoisonError;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub(super) use self::forecast::retry_after;
use self::line::{Joined, Line};
pub use self::slot::Slot;
use self::sync::{Arc, Mutex, MutexGuard};
use self::waiting::Waiting;
use crate::model::lane::Lane;

/// How much a gate lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Most slots in use at once.
    pub slots: NonZeroUsize,
    /// Most waiters in the interactive lane at once, all keys together; 0 = nobody waits there.
    pub queue: usize,
    /// Most slots one key may hold; while it holds them, the other keys pass it in line.
    pub per_key: Option<NonZeroUsize>,
}

impl Capacity {
    /// Most waiters in the background lane at once. How much background work there is at a time is bounded where it comes
    /// from; it is to wait here rather than come again, and takes nobody's place who holds a connection open.
    pub const BACKGROUND: usize = 4096;

    /// Most waiters in a lane at once.
    pub(super) const fn queue_of(&self, lane: Lane) -> usize {
        match lane {
            Lane::Interactive => self.queue,
            Lane::Background => Self::BACKGROUND,
        }
    }
}

/// What a gate looks like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The capacity's slots.
    pub slots: usize,
    /// Slots in use, detached and handed-over ones included; above `slots` only after [`Gate::occupy`].
    pub in_use: usize,
    /// The capacity's queue.
    pub queue: usize,
    /// Waiters in the interactive lane.
    pub waiting_interactive: usize,
    /// Waiters in the background lane.
    pub waiting_background: usize,
    /// How long the oldest waiter has waited; `None` if nobody waits.
    pub oldest_wait: Option<Duration>,
}

impl Snapshot {
    /// Waiters in both lanes.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting_interactive + self.waiting_background
    }
}

/// Why there is no slot.
///
/// `retry_after` is what the slots' recent hold times and the line make likely, between 1 s and 60 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No slot is free and no place in line either.
    #[error("all slots are in use and the queue is full")]
    Full {
        /// When to try again.
        retry_after: Duration,
    },
    /// The deadline came before a slot.
    #[error("no slot became free before the deadline")]
    TimedOut {
        /// When to try again.
        retry_after: Duration,
    },
    /// The gate was closed.
    #[error("the gate is closed")]
    Closed,
}

/// What can be told apart at a gate: whoever shares a key shares a queue.
pub trait Key: Copy + Eq + Hash + Send + 'static {}

impl<K: Copy + Eq + Hash + Send + 'static> Key for K {}

/// A bounded, fair gate. Clones are the same gate.
pub struct Gate<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    entrance: Mutex<Entrance<K>>,
    wanted: Notify,
}

/// What the lock guards.
struct Entrance<K> {
    line: Line<K, Bell>,
    closed: bool,
}

/// Wakes a waiter; empty until its future is first polled.
type Bell = Option<Waker>;

impl<K: Key> Gate<K> {
    /// An open gate with all slots free.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        let entrance = Entrance {
            line: Line::new(capacity, Instant::now()),
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                entrance: Mutex::new(entrance),
                wanted: Notify::new(),
            }),
        }
    }

    /// Waits for a slot until `deadline`. A slot that is free at the first poll is taken at once, whatever the deadline: one
    /// short lock, and no allocation once the table of keys has its usual size.
    ///
    /// Cancel-safe: dropping the future gives up the place in line, or passes on a slot that was just handed over.
    ///
    /// # Errors
    /// [`Refused`], each of its kinds.
    pub async fn admit(&self, key: K, lane: Lane, deadline: Instant) -> Result<Slot<K>, Refused> {
        let mut waiting = match self.join(key, lane)? {
            Entry::Slot(slot) => return Ok(slot),
            Entry::Place(waiting) => waiting,
        };
        match timeout_at(deadline, poll_fn(|context| waiting.poll(context))).await {
            Ok(outcome) => outcome,
            Err(_) => waiting.give_up(),
        }
    }

    /// Takes a slot if one is free now.
    ///
    /// # Errors
    /// [`Refused::Full`], with the prospects of an interactive caller, or [`Refused::Closed`].
    pub fn try_admit(&self, key: K) -> Result<Slot<K>, Refused> {
        let now = Instant::now();
        let mut entrance = self.enter();
        if entrance.closed {
            return Err(Refused::Closed);
        }
        if !entrance.line.take(key, now) {
            return Err(Refused::Full {
                retry_after: entrance.line.retry_after(key, Lane::Interactive, now),
            });
        }
        drop(entrance);
        Ok(Slot::new(self.clone(), key))
    }

    /// Takes a slot unconditionally, beyond the capacity if need be, closed or not: what was running when the process
    /// started. It is a detached slot, given back by [`Gate::release`].
    pub fn occupy(&self, key: K) {
        let now = Instant::now();
        self.enter().line.occupy(key, now);
    }

    /// Gives back a slot that was detached or occupied. A key that holds none is ignored, but a key that holds a [`Slot`] and
    /// nothing detached loses that one: release what was detached, once.
    pub fn release(&self, key: K) {
        let now = Instant::now();
        let bell = self.enter().line.release(key, now);
        ring(bell);
    }

    /// Changes the capacity. Nobody loses a slot or a place in line; what became free is handed to the next waiters, and what
    /// is in use beyond the new capacity is worked off first.
    pub fn resize(&self, capacity: Capacity) {
        let now = Instant::now();
        let bells = self.enter().line.resize(capacity, now);
        for bell in bells {
            ring(Some(bell));
        }
    }

    /// Closes for good: all waiters and all later callers get [`Refused::Closed`]. Slots in use live on.
    pub fn close(&self) {
        let mut entrance = self.enter();
        entrance.closed = true;
        let bells = entrance.line.dismiss();
        drop(entrance);
        for bell in bells {
            ring(Some(bell));
        }
    }

    /// The gate as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        self.enter().line.snapshot(now)
    }

    /// Resolves while somebody waits, that is, while no slot is free for them. Never resolves once the gate is closed.
    ///
    /// Cancel-safe. It resolves at once if somebody waits already, so whoever loops over it paces itself.
    pub async fn until_wanted(&self) {
        loop {
            // Made before the look: from here on no arrival is missed.
            let arrival = self.shared.wanted.notified();
            if self.enter().line.is_wanted() {
                return;
            }
            arrival.await;
        }
    }

    fn join(&self, key: K, lane: Lane) -> Result<Entry<K>, Refused> {
        let now = Instant::now();
        let mut entrance = self.enter();
        if entrance.closed {
            return Err(Refused::Closed);
        }
        match entrance.line.join(key, lane, None, now) {
            Joined::Served => {
                drop(entrance);
                Ok(Entry::Slot(Slot::new(self.clone(), key)))
            }
            Joined::Queued(ticket) => {
                drop(entrance);
                self.shared.wanted.notify_waiters();
                Ok(Entry::Place(Waiting::new(self.clone(), key, lane, ticket)))
            }
            Joined::Full => Err(Refused::Full {
                retry_after: entrance.line.retry_after(key, lane, now),
            }),
        }
    }
}

impl<K> Gate<K> {
    /// Ignores poison: nothing of a caller's runs under the lock, so no caller's panic can leave a change half made.
    fn enter(&self) -> MutexGuard<'_, Entrance<K>> {
        self.shared.entrance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Clone for Gate<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Key> fmt::Debug for Gate<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.snapshot()).finish()
    }
}

/// What joining the line gave.
enum Entry<K: Key> {
    Slot(Slot<K>),
    Place(Waiting<K>),
}

/// Wakes a waiter. Never under the lock: a waker runs code that is not ours.
fn ring(bell: Option<Bell>) {
    if let Some(waker) = bell.flatten() {
        waker.wake();
    }
}

/// The lock and the counter, which loom replaces in its model.
mod sync {
    #[cfg(loom)]
    pub(super) use ::loom::sync::{Arc, Mutex, MutexGuard};
    #[cfg(not(loom))]
    pub(super) use std::sync::{Arc, Mutex, MutexGuard};
}
