//! What is due at a moment: waits that are over, leases that ended, deadlines of jobs. Questions about tasks are due too;
//! they have a loop of their own ([`poll`](super::poll)), since a provider may take its time to answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Jobs;
use super::bell::{Bell, Told};
use super::lease;
use super::sweep::Sweeping;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::{Hold, ItemRef, ItemState, QueueName};
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::index::{self, Timer};
use crate::store::jobs::item;
use crate::store::{Rows, Tables, Write};
use crate::telemetry::metrics;

/// Rings when something may be due sooner than what a loop sleeps for.
#[derive(Default)]
pub(super) struct Alarm {
    work: Notify,
    questions: Notify,
}

impl Alarm {
    /// Has both loops look again.
    pub(super) fn ring(&self) {
        self.work.notify_one();
        self.questions.notify_one();
    }
}

/// Nothing is due.
pub(super) struct NothingDue {
    /// When something is.
    pub(super) next: Option<Timestamp>,
}

impl Jobs {
    /// Does what is due when it is, until it is dropped.
    pub(super) async fn follow_timers(&self) {
        loop {
            let taking = TakeDue {
                now: self.clock.wall(),
                bell: self.bell.clone(),
            };
            let waited = match self.store.write(taking).await {
                Ok(taken) => {
                    self.act(taken).await;
                    Ok(())
                }
                Err(error) => self.until_due(error, &self.alarm.work).await,
            };
            if waited.is_err() {
                return;
            }
        }
    }

    /// Puts questions about tasks when they are due, until it is dropped.
    pub(super) async fn follow_questions(self: &Arc<Self>) {
        loop {
            let waited = match self.put_questions().await {
                Ok(()) => Ok(()),
                Err(error) => self.until_due(error, &self.alarm.questions).await,
            };
            if waited.is_err() {
                return;
            }
        }
    }

    /// Sleeps until something is due.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: there is nothing to wait for any more.
    async fn until_due(&self, why: WriteError<NothingDue>, sooner: &Notify) -> Result<(), StoreError> {
        match why {
            WriteError::Refused(NothingDue { next }) => {
                let wait = next.map_or(LONGEST, |next| next.since(self.clock.wall()).min(LONGEST));
                // Two moments of one millisecond are one wake-up.
                drop(timeout(wait.max(SHORTEST), sooner.notified()).await);
                Ok(())
            }
            WriteError::Store(StoreError::Closed) => Err(StoreError::Closed),
            WriteError::Store(error) => {
                tracing::error!(error = %error, "what is due could not be read");
                sleep(LONGEST).await;
                Ok(())
            }
        }
    }

    async fn act(&self, taken: Taken) {
        self.tell(&taken.told);
        for queue in &taken.ready {
            self.wake(queue);
        }
        for id in taken.deadlines {
            self.sweep(id, Sweeping::Deadline).await;
        }
    }
}

/// Takes some of what is due.
pub(super) struct TakeDue {
    pub(super) now: Timestamp,
    pub(super) bell: Bell,
}

/// What is due: items that wait or run, and jobs.
pub(super) struct Due {
    items: Vec<ItemRef>,
    deadlines: Vec<JobId>,
}

/// What was taken, and what is to be done about it.
pub(super) struct Taken {
    ready: Vec<QueueName>,
    pub(super) deadlines: Vec<JobId>,
    told: Told,
}

impl Write for TakeDue {
    type Plan = Due;
    type Done = Taken;
    type Refusal = NothingDue;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Due, WriteError<NothingDue>> {
        let items = index::due(rows, Timer::Item, self.now, None, STEP)?;
        let deadlines = index::due(rows, Timer::Deadline, self.now, None, STEP)?;
        if items.is_empty() && deadlines.is_empty() {
            let next = [
                index::next_due(rows, Timer::Item)?,
                index::next_due(rows, Timer::Deadline)?,
            ];
            let next = next.into_iter().flatten().min();
            return Err(WriteError::Refused(NothingDue { next }));
        }
        Ok(Due {
            items: items.into_iter().map(|(_, at)| at).collect(),
            deadlines: deadlines.into_iter().map(|(_, at)| at.job).collect(),
        })
    }

    fn apply(&mut self, due: Due, tables: &mut Tables<'_>) -> Result<Taken, StoreError> {
        let mut taken = Taken {
            ready: Vec::new(),
            deadlines: due.deadlines,
            told: Told::new(),
        };
        for id in &taken.deadlines {
            tables.drop_deadline(*id)?;
        }
        for at in due.items {
            self.take(at, tables, &mut taken)?;
        }
        Ok(taken)
    }
}

impl TakeDue {
    /// Takes one item whose moment has come. What it waited for follows from its state.
    fn take(&self, at: ItemRef, tables: &mut Tables<'_>, taken: &mut Taken) -> Result<(), StoreError> {
        let now = tables.now();
        let item = item::get(tables.view(), at)?.ok_or_else(|| StoreError::orphan(at))?;
        if item.state == ItemState::Running {
            metrics::lease_lost();
            taken
                .ready
                .extend(lease::lose(tables, at, &self.bell, &mut taken.told)?);
            return Ok(());
        }
        let mut edit = tables.edit_job(at.job)?.ok_or_else(|| StoreError::orphan(at))?;
        let hold = edit.job.hold;
        tables.edit_item(&mut edit, at.index, |item| {
            item.requeue(now, None);
            item.hold = hold;
        })?;
        if hold == Hold::Free {
            taken.ready.push(edit.job.queue.clone());
        }
        self.bell.close(tables, edit, &mut taken.told)
    }
}

/// What one commit takes at most, of each kind.
const STEP: usize = 128;

/// The longest sleep: the wall clock may jump meanwhile.
const LONGEST: Duration = Duration::from_secs(30);

/// The shortest one.
const SHORTEST: Duration = Duration::from_millis(1);
