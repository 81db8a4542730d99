//! What people change of a job that was accepted: cancel it, try it again, hold it, release it.
//!
//! The job's own row changes first, in one commit; its items follow, some at a time. Whoever meets an item that has not
//! followed yet sees by the job's row what is to become of it, so a process that ends in between leaves nothing undone.

use std::sync::Arc;

use super::bell::{Bell, Told};
use super::sweep::Sweeping;
use super::{JobError, Jobs, Viewer};
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::{Hold, Item, ItemState, Job};
use crate::relay::inquiry::Inquiry;
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::{get, item};
use crate::store::{Rows, Tables, Write};

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

    /// The tasks of a job that run at a provider, some of them.
    async fn tasks_of(&self, viewer: Viewer, id: JobId) -> Result<Vec<Inquiry>, JobError> {
        let job = self.get(viewer, id).await?;
        if job.tally.of(ItemState::Polling) == 0 {
            return Ok(Vec::new());
        }
        let items = self
            .store
            .read_aside(move |rows| item::of_job(rows, id, 0, LOOKED_AT))
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

/// Items among which a job's tasks are looked for.
const LOOKED_AT: usize = 250;

/// Tasks of one job that a provider is asked to withdraw: each is a request of its own.
const MOST_WITHDRAWN: usize = 64;
