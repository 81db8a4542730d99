//! What people change of a job that was accepted: cancel it, try it again, hold it, release it.
//!
//! The job's own row changes first, in one commit; its items follow, some at a time. Whoever meets an item that has not
//! followed yet sees by the job's row what is to become of it, so a process that ends in between leaves nothing undone.

use std::sync::Arc;

use super::bell::{Bell, Told};
use super::ending::past_the_deadline;
use super::{JobError, Jobs, Viewer};
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
use crate::relay::inquiry::Inquiry;
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::{get, item};
use crate::store::{Change, Rows, Tables, Write, idempotency, tasks};

impl Jobs {
    /// Cancels what has not ended. A call that was sent already finishes by itself, and is in the record.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or [`JobError::State`] for a job that has ended.
    ///
    /// # Cancel safety
    /// Dropped, the job may be cancelled all the same.
    pub async fn cancel(self: &Arc<Self>, viewer: Viewer, id: JobId) -> Result<Job, JobError> {
        let tasks = self.tasks_of(viewer, id).await?;
        self.begin(viewer, id, Asked::Cancel).await?;
        self.leases.withdraw(id);
        self.sweep(id, Sweeping::Cancel).await;
        // An item that was leased in the same commit as the job was cancelled is in its worker's hands by now.
        self.leases.withdraw(id);
        if !tasks.is_empty() {
            self.workers.spawn(Arc::clone(self).withdraw_tasks(id, tasks));
        }
        self.get(viewer, id).await
    }

    /// Asks the provider to withdraw tasks. Whether it still can is for it to say: their items are cancelled here in any
    /// case, so nobody waits for it.
    async fn withdraw_tasks(self: Arc<Self>, id: JobId, tasks: Vec<Inquiry>) {
        for task in tasks {
            let withdrawing = Box::pin(self.relay.withdraw_task(task));
            match self.closing.run_until_cancelled(withdrawing).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::debug!(error = %error, job = %id, "a task could not be withdrawn"),
                None => return,
            }
        }
    }

    /// Tries again what failed or ran out of attempts, and what was unknown once the record knows it.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::State`] for a job that was cancelled or has not ended;
    /// [`JobError::NothingToRetry`].
    ///
    /// # Cancel safety
    /// Dropped, the retry may begin all the same.
    pub async fn retry(&self, viewer: Viewer, id: JobId) -> Result<Job, JobError> {
        self.begin(viewer, id, Asked::Retry).await?;
        if self.sweep(id, Sweeping::Retry).await == 0 {
            return Err(JobError::NothingToRetry(
                "what is unknown stays so until somebody resolves it in the log book",
            ));
        }
        let job = self.get(viewer, id).await?;
        self.wake(&job.queue);
        self.alarm.ring();
        Ok(job)
    }

    /// Keeps what waits of a job from being taken.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or [`JobError::State`] for a job that has ended.
    ///
    /// # Cancel safety
    /// Dropped, the job may be held all the same.
    pub async fn hold(&self, id: JobId) -> Result<Job, JobError> {
        self.begin(Viewer::Operator, id, Asked::Hold).await?;
        self.sweep(id, Sweeping::Hold(Hold::Held)).await;
        self.get(Viewer::Operator, id).await
    }

    /// Lets a held job run.
    ///
    /// # Errors
    /// As [`Jobs::hold`].
    ///
    /// # Cancel safety
    /// As [`Jobs::hold`].
    pub async fn release(&self, id: JobId) -> Result<Job, JobError> {
        self.begin(Viewer::Operator, id, Asked::Release).await?;
        self.sweep(id, Sweeping::Hold(Hold::Free)).await;
        let job = self.get(Viewer::Operator, id).await?;
        self.wake(&job.queue);
        self.alarm.ring();
        Ok(job)
    }

    /// Takes a job's items from among the dead letters: they count as cancelled.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or [`JobError::NothingToRetry`] when none of them is dead.
    ///
    /// # Cancel safety
    /// Dropped, they may be taken away all the same.
    pub async fn drop_dead(&self, id: JobId) -> Result<Job, JobError> {
        self.get(Viewer::Operator, id).await?;
        if self.sweep(id, Sweeping::DropDead).await == 0 {
            return Err(JobError::NothingToRetry("no item of it is dead"));
        }
        self.get(Viewer::Operator, id).await
    }

    /// Changes a job's own row.
    async fn begin(&self, viewer: Viewer, id: JobId, asked: Asked) -> Result<(), JobError> {
        let begin = Begin {
            viewer,
            id,
            asked,
            bell: self.bell.clone(),
        };
        let told = self.store.write(begin).await.map_err(JobError::from)?;
        self.tell(&told);
        Ok(())
    }

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

    /// The tasks of a job that run at a provider, some of them.
    async fn tasks_of(&self, viewer: Viewer, id: JobId) -> Result<Vec<Inquiry>, JobError> {
        let job = self.get(viewer, id).await?;
        if job.tally.of(ItemState::Polling) == 0 {
            return Ok(Vec::new());
        }
        let items = self
            .store
            .read_aside(move |rows| item::of_job(rows, id, 0, STEP))
            .await?;
        let polled = items.into_iter().filter(|(_, item)| item.state == ItemState::Polling);
        let inquiry = |(_, item): (u32, Item)| {
            Some(Inquiry {
                owner: job.owner,
                submit: item.operation,
                req_key: item.model,
                task_id: item.task?.task_id,
                req_json: None,
            })
        };
        Ok(polled.filter_map(inquiry).take(MOST_WITHDRAWN).collect())
    }
}

/// What is asked of a job as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Cancel,
    Retry,
    Hold,
    Release,
}

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

/// Changes a job's own row, if it stands so that it can be asked.
pub(super) struct Begin {
    pub(super) viewer: Viewer,
    pub(super) id: JobId,
    pub(super) asked: Asked,
    pub(super) bell: Bell,
}

impl Asked {
    const fn participle(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Retry => "retried",
            Self::Hold => "held",
            Self::Release => "released",
        }
    }

    /// Whether it can be asked of a job that stands so.
    fn fits(self, job: &Job) -> bool {
        match self {
            Self::Cancel | Self::Hold => !job.state.is_finished(),
            Self::Retry => job.state.is_finished() && job.cancelled_at.is_none(),
            // Also where the job is free: the process may have ended before its items followed.
            Self::Release => job.hold == Hold::Held || !job.state.is_finished(),
        }
    }

    fn apply(self, job: &mut Job, now: Timestamp) {
        match self {
            Self::Cancel => job.cancelled_at = Some(now),
            // A deadline that has passed would end it at once.
            Self::Retry => job.deadline = job.deadline.filter(|deadline| *deadline > now),
            Self::Hold => job.hold = Hold::Held,
            Self::Release => job.hold = Hold::Free,
        }
    }
}

impl Write for Begin {
    type Plan = ();
    type Done = Told;
    type Refusal = JobError;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<(), WriteError<JobError>> {
        let job = get(rows, self.id)?.filter(|job| self.viewer.sees(job));
        let refusal = match job {
            None => JobError::NotFound,
            Some(job) if self.asked.fits(&job) => return Ok(()),
            Some(job) => JobError::State {
                state: job.state.label(),
                asked: self.asked.participle(),
            },
        };
        Err(WriteError::Refused(refusal))
    }

    fn apply(&mut self, (): (), tables: &mut Tables<'_>) -> Result<Told, StoreError> {
        let mut told = Told::new();
        if let Some(mut edit) = tables.edit_job(self.id)? {
            self.asked.apply(&mut edit.job, tables.now());
            self.bell.close(tables, edit, &mut told)?;
        }
        Ok(told)
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
        let usage = idempotency::get(tables.view(), &self.key_of(at, item, job))?;
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

    fn key_of(&self, at: ItemRef, item: &Item, job: &Job) -> Digest {
        let key = IdempotencyKey::of_item(at, item.epoch);
        self.recorder.key_digest(job.owner, &key)
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

/// Tasks of one job that a provider is asked to withdraw: each is a request of its own.
const MOST_WITHDRAWN: usize = 64;
