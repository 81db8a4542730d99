//! Writing down what came of an item: one commit with its state, its result, its job, and its idempotency key.

use super::Jobs;
use super::bell::{Bell, Told};
use super::ending::{Ending, Heard};
use super::lease::is_held;
use crate::crypto::digest::Digest;
use crate::model::job::item::Lease;
use crate::model::job::{Item, ItemRef, ItemState, QueueName};
use crate::store::error::StoreError;
use crate::store::idempotency::{self, Fate};
use crate::store::{Change, Tables, Urgency};
use crate::telemetry::metrics::{self, JobAttempt, JobPoll};

/// Writes what came of an item.
pub(super) struct Settle {
    pub(super) at: ItemRef,
    pub(super) holder: Holder,
    pub(super) ending: Ending,
    /// What its idempotency key may be stored as, where it has used one.
    pub(super) key: Option<Vec<Digest>>,
    pub(super) bell: Bell,
}

/// Who says so. What an item's former holder says is not heard.
#[derive(Clone, Debug)]
pub(super) enum Holder {
    /// The worker with this lease.
    Worker(Lease),
    /// Whoever asked about this task.
    Task(String),
}

/// How an item stands after it.
pub(super) struct Settled {
    pub(super) told: Told,
    /// Its queue, if it may be taken again at once.
    pub(super) ready: Option<QueueName>,
    /// Whether something is due for it.
    pub(super) due: bool,
    /// How it stands, if it was heard.
    state: Option<ItemState>,
    queue: Option<QueueName>,
}

impl Holder {
    fn has(&self, item: &Item) -> bool {
        match self {
            Self::Worker(lease) => is_held(item, *lease),
            Self::Task(task_id) => {
                item.state == ItemState::Polling && item.task.as_ref().is_some_and(|task| task.task_id == *task_id)
            }
        }
    }
}

impl Change for Settle {
    type Done = Settled;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Settled, StoreError> {
        let now = tables.now();
        let mut settled = Settled {
            told: Told::new(),
            ready: None,
            due: false,
            state: None,
            queue: None,
        };
        let Some(mut edit) = tables.edit_job(self.at.job)? else {
            return Ok(settled);
        };
        let mut heard = false;
        let job = edit.job.clone();
        let after = tables.edit_item(&mut edit, self.at.index, |item| {
            if self.holder.has(item) {
                heard = true;
                self.ending.clone().apply(item, &job, now);
                if self.key.is_some() && self.ending.spends_the_key() {
                    item.keyed_at = None;
                }
            }
        })?;
        if !heard {
            return Ok(settled);
        }
        if let Some(sealed) = self.ending.outcome().and_then(|outcome| outcome.sealed.as_ref()) {
            tables.put_result(self.at, sealed)?;
        }
        if let Some(key) = self.key.as_ref().filter(|_| self.ending.spends_the_key()) {
            forget(tables, key)?;
        }
        if let Some(item) = after {
            settled.due = item.wake_at.is_some();
            settled.state = Some(item.state);
            settled.queue = Some(job.queue.clone());
            settled.ready = (item.state == ItemState::Queued && item.wake_at.is_none()).then_some(job.queue);
        }
        self.bell.close(tables, edit, &mut settled.told)?;
        Ok(settled)
    }

    fn urgency(&self) -> Urgency {
        match self.ending {
            Ending::Pending { .. } => Urgency::Relaxed,
            _ => Urgency::Awaited,
        }
    }
}

/// Frees a key whose call has ended: its reply is kept with the item now.
fn forget(tables: &mut Tables<'_>, key: &[Digest]) -> Result<(), StoreError> {
    match idempotency::find(tables.view(), key)? {
        Some((key, usage)) if matches!(usage.fate, Fate::Kept(_) | Fate::NotKept(_)) => tables.free_key(&key),
        _ => Ok(()),
    }
}

impl Jobs {
    /// Writes what came of an item, and tells those who wait for it.
    pub(super) async fn settle(&self, at: ItemRef, holder: Holder, ending: Ending, key: Option<Vec<Digest>>) {
        let settle = Settle {
            at,
            holder: holder.clone(),
            ending: ending.clone(),
            key,
            bell: self.bell.clone(),
        };
        match self.store.change(settle).await {
            Ok(settled) => {
                if let (Some(state), Some(queue)) = (settled.state, &settled.queue) {
                    count(&holder, &ending, state, queue);
                }
                self.tell(&settled.told);
                if let Some(queue) = settled.ready {
                    self.wake(&queue);
                }
                if settled.due {
                    self.alarm.ring();
                }
            }
            Err(error) => {
                tracing::error!(error = %error, job = %at.job, item = at.index, "what came of an item was not recorded");
            }
        }
    }
}

/// Counts what came of an attempt, or of a question.
fn count(holder: &Holder, ending: &Ending, state: ItemState, queue: &QueueName) {
    match holder {
        Holder::Worker(_) => metrics::job_attempt(
            queue,
            match (ending, state) {
                (_, ItemState::Dead) => JobAttempt::Dead,
                (_, ItemState::Succeeded) => JobAttempt::Succeeded,
                (_, ItemState::Unknown) => JobAttempt::Unknown,
                (_, ItemState::Polling) => JobAttempt::Polling,
                (_, ItemState::Failed | ItemState::Cancelled) => JobAttempt::Failed,
                (Ending::Bounced { .. } | Ending::Later { .. }, _) => JobAttempt::Bounced,
                _ => JobAttempt::Retried,
            },
        ),
        Holder::Task(_) => metrics::job_poll(match (ending, state) {
            (_, ItemState::Succeeded) => JobPoll::Done,
            (Ending::Pending { heard: Heard::No, .. }, ItemState::Polling) => JobPoll::Unanswered,
            (_, ItemState::Polling) => JobPoll::Pending,
            _ => JobPoll::Failed,
        }),
    }
}
