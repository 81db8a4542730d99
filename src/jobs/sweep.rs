//! What a job's items follow when the job has changed: some at a time, one commit each.

use std::sync::Arc;

use super::Jobs;
use super::bell::{Bell, Told};
use super::ending::past_the_deadline;
use crate::crypto::digest::Digest;
use crate::model::call::IdempotencyKey;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::item::Task;
use crate::model::job::{Hold, Item, ItemRef, ItemState, Job};
use crate::model::operation::Class;
use crate::model::outcome::Outcome;
use crate::model::task::SubmitRef;
use crate::record::Recorder;
use crate::store::error::StoreError;
use crate::store::jobs::item;
use crate::store::{Change, Tables, idempotency, tasks};

/// What its items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweeping {
    /// Those that have not ended and that no worker has are cancelled.
    Cancel,
    /// The same, but they failed.
    Deadline,
    /// Those that did not succeed wait again.
    Retry,
    /// Those that wait are held, or not.
    Hold(Hold),
    /// Those that are dead are cancelled.
    DropDead,
}

impl Jobs {
    /// Has a job's items follow, some at a time. Returns how many changed.
    pub(super) async fn sweep(&self, id: JobId, sweeping: Sweeping) -> usize {
        let (mut from, mut changed) = (0, 0);
        loop {
            let sweep = Sweep {
                id,
                from,
                sweeping,
                recorder: Arc::clone(&self.recorder),
                bell: self.bell.clone(),
            };
            match self.store.change(sweep).await {
                Ok(swept) => {
                    self.tell(&swept.told);
                    changed += swept.changed;
                    match swept.next {
                        Some(next) => from = next,
                        None => return changed,
                    }
                }
                Err(error) => {
                    tracing::error!(error = %error, job = %id, "a job's items could not follow it");
                    return changed;
                }
            }
        }
    }
}

/// Has some of a job's items follow it.
pub(super) struct Sweep {
    pub(super) id: JobId,
    pub(super) from: u32,
    pub(super) sweeping: Sweeping,
    pub(super) recorder: Arc<Recorder>,
    pub(super) bell: Bell,
}

pub(super) struct Swept {
    pub(super) changed: usize,
    /// Where it goes on, if it does.
    pub(super) next: Option<u32>,
    pub(super) told: Told,
}

impl Change for Sweep {
    type Done = Swept;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Swept, StoreError> {
        let mut swept = Swept {
            changed: 0,
            next: None,
            told: Told::new(),
        };
        let items = item::of_job(tables.view(), self.id, self.from, STEP)?;
        if items.len() == STEP {
            swept.next = items.last().map(|(index, _)| index + 1);
        }
        let Some(mut edit) = tables.edit_job(self.id)? else {
            return Ok(swept);
        };
        let now = tables.now();
        for (index, item) in items {
            let known = match self.sweeping {
                Sweeping::Retry if item.state.is_finished() => self.fate(index, &item, &edit.job, tables)?,
                _ => Fate::Open,
            };
            let mut after = item.clone();
            self.sweeping.apply(&mut after, &edit.job, &known, now);
            if after != item {
                swept.changed += 1;
                tables.edit_item(&mut edit, index, |item| *item = after)?;
                if self.sweeping == Sweeping::Retry {
                    // What it was answered before is not its result any more.
                    tables.drop_result(ItemRef { job: self.id, index })?;
                }
            }
        }
        self.bell.close(tables, edit, &mut swept.told)?;
        Ok(swept)
    }
}

/// What the record tells of an item that is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// It may have been sent, and nobody can know.
    Open,
    /// Its last attempt was cut off by the end of a process, a time limit or a deadline: its key tells what came of it.
    Cut,
    /// Nothing was sent under its key, or its end is known; or a person said that it was never sent.
    NotSent,
    /// A person found its task.
    Task(String),
}

impl Sweep {
    fn fate(&self, index: u32, item: &Item, job: &Job, tables: &mut Tables<'_>) -> Result<Fate, StoreError> {
        let at = ItemRef { job: self.id, index };
        let usage = idempotency::find(tables.view(), &self.keys_of(at, item, job))?.map(|(_, usage)| usage);
        let lives = |since: Timestamp| since.plus(self.recorder.ttl()) > tables.now();
        if item.state != ItemState::Unknown {
            // A key that nobody uses was freed by the end of its call, or has expired meanwhile.
            let is_free = usage.is_none() && (item.status.is_some() || item.keyed_at.is_none_or(lives));
            return Ok(if is_free { Fate::NotSent } else { Fate::Cut });
        }
        let Some(intent) = item.intent else {
            return Ok(Fate::Open);
        };
        if item.operation.class() == Class::Submit {
            let submit = SubmitRef {
                owner: job.owner,
                intent,
            };
            let submit = tasks::submit(tables.view(), submit)?;
            return Ok(match submit.map(|submit| (submit.outcome, submit.task_id)) {
                Some((Some(Outcome::Succeeded), Some(task_id))) => Fate::Task(task_id),
                Some((Some(Outcome::NotSent), _)) => Fate::NotSent,
                _ => Fate::Open,
            });
        }
        // While it lives, the key of an unknown call is freed by nobody but who resolves it.
        let lives = item.keyed_at.is_some_and(lives);
        let in_use = usage.is_some_and(|usage| usage.intent == intent);
        Ok(if lives && !in_use { Fate::NotSent } else { Fate::Open })
    }

    fn keys_of(&self, at: ItemRef, item: &Item, job: &Job) -> Vec<Digest> {
        let key = IdempotencyKey::of_item(at, item.epoch);
        self.recorder.key_digests(job.owner, &key)
    }
}

impl Sweeping {
    fn apply(self, item: &mut Item, job: &Job, known: &Fate, now: Timestamp) {
        let is_open = matches!(item.state, ItemState::Queued | ItemState::Polling);
        match self {
            Self::Cancel if is_open => item.finish(ItemState::Cancelled, now),
            Self::Deadline if is_open => {
                item.error = Some(past_the_deadline());
                item.finish(ItemState::Failed, now);
            }
            Self::Retry => retry(item, job, known, now),
            Self::Hold(hold) if item.state == ItemState::Queued => item.hold = hold,
            Self::DropDead if item.state == ItemState::Dead => item.finish(ItemState::Cancelled, now),
            Self::Cancel | Self::Deadline | Self::Hold(_) | Self::DropDead => {}
        }
    }
}

/// Puts an item back that did not succeed, as new but for its place in the record.
fn retry(item: &mut Item, job: &Job, known: &Fate, now: Timestamp) {
    let again = match item.state {
        ItemState::Failed | ItemState::Dead => true,
        ItemState::Unknown => *known != Fate::Open,
        _ => false,
    };
    if !again {
        return;
    }
    let task_id = match known {
        Fate::Task(task_id) => Some(task_id.clone()),
        _ => item.unfinished_task().map(ToOwned::to_owned),
    };
    if *known != Fate::Cut {
        item.epoch += 1;
        item.keyed_at = None;
    }
    item.requeue(now, None);
    item.hold = job.hold;
    item.attempts = 0;
    item.lost = 0;
    item.intent = None;
    item.error = None;
    item.status = None;
    item.expires_at = None;
    item.task = None;
    if let Some(task_id) = task_id {
        item.state = ItemState::Polling;
        item.wake_at = Some(now);
        item.task = Some(Task {
            task_id,
            submitted_at: now,
            asked: 0,
            unanswered: 0,
        });
    }
}

/// Items that one commit looks at.
const STEP: usize = 250;
