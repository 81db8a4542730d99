//! The running-task limit: how many of a provider's tasks may be unfinished at once, per account.
//!
//! A slot is taken before a submit's intent, in the same commit, and is held until the task is seen to have finished,
//! across restarts. One owner cannot hold them all.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::gate::{Capacity, Gate, Refused, Slot};
use crate::model::clock::Timestamp;
use crate::model::id::OwnerId;
use crate::model::lane::Lane;
use crate::model::task::RunningTask;

/// The slots of one account.
#[derive(Debug)]
pub struct RunningTasks {
    gate: Gate<OwnerId>,
    held: Mutex<HashMap<u64, RunningTask>>,
}

impl RunningTasks {
    /// `limit` slots, of which one owner holds at most all but one.
    #[must_use]
    pub fn new(limit: NonZeroUsize, queue: usize) -> Self {
        let per_key = NonZeroUsize::new(limit.get() - 1);
        Self {
            gate: Gate::new(Capacity {
                slots: limit,
                queue,
                per_key,
            }),
            held: Mutex::default(),
        }
    }

    /// Waits for a slot until `deadline`. Cancel-safe.
    pub(super) async fn admit(&self, owner: OwnerId, lane: Lane, deadline: Instant) -> Result<Slot<OwnerId>, Refused> {
        self.gate.admit(owner, lane, deadline).await
    }

    pub(super) fn close(&self) {
        self.gate.close();
    }

    /// Ties a slot to the intent that was recorded with it: from now on only [`RunningTasks::finish`] gives it back.
    pub fn hold(&self, intent: u64, held: RunningTask, slot: Slot<OwnerId>) {
        // The slot is now the task's; its key is released when the task is finished.
        let _owner = slot.detach();
        self.lock().insert(intent, held);
    }

    /// Takes the slot of a task that was running when the process last ended.
    pub fn recover(&self, intent: u64, held: RunningTask) {
        self.gate.occupy(held.owner);
        self.lock().insert(intent, held);
    }

    /// Changes what is known of a task that holds a slot.
    pub fn update(&self, intent: u64, change: impl FnOnce(&mut RunningTask)) {
        if let Some(held) = self.lock().get_mut(&intent) {
            change(held);
        }
    }

    /// Gives a slot back. A second time does nothing.
    pub fn finish(&self, intent: u64) {
        let held = self.lock().remove(&intent);
        if let Some(held) = held {
            self.gate.release(held.owner);
        }
    }

    /// Resolves when somebody waits and no slot is free.
    pub async fn until_wanted(&self) {
        self.gate.until_wanted().await;
    }

    /// Slots whose task is of unknown outcome and has been waited for long enough.
    #[must_use]
    pub fn lapsed(&self, now: Timestamp) -> Vec<u64> {
        let due = |held: &RunningTask| held.lapses_at.is_some_and(|at| at <= now);
        self.lock()
            .iter()
            .filter(|(_, held)| due(held))
            .map(|(intent, _)| *intent)
            .collect()
    }

    /// The task that was asked about the longest ago, and what is known of it.
    #[must_use]
    pub fn stalest(&self) -> Option<(u64, RunningTask)> {
        let held = self.lock();
        let known = held.iter().filter(|(_, held)| held.task_id.is_some());
        known
            .min_by_key(|(intent, held)| (held.asked_at, **intent))
            .map(|(intent, held)| (*intent, held.clone()))
    }

    /// How many slots are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.gate.snapshot().in_use
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, RunningTask>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
