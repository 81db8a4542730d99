//! What is due at a moment: waits that are over, leases that ended, tasks to ask about, deadlines of jobs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Jobs;
use super::bell::{Bell, Told};
use super::change::Sweeping;
use super::lease;
use super::poll::Question;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::{Hold, ItemRef, ItemState, QueueName};
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::index::{self, Due};
use crate::store::jobs::item;
use crate::store::{Rows, Tables, Write};
use crate::telemetry::metrics;

impl Jobs {
    /// Does what is due when it is, until it is dropped.
    pub(super) async fn follow_timers(self: &Arc<Self>) {
        loop {
            let taking = TakeDue {
                now: self.clock.wall(),
                bell: self.bell.clone(),
            };
            let taken = self.store.write(taking).await;
            match taken {
                Ok(taken) => self.act(taken).await,
                Err(WriteError::Refused(NothingDue { next })) => {
                    let wait = next.map_or(LONGEST, |next| next.since(self.clock.wall()).min(LONGEST));
                    // Two timers of one millisecond are one wake-up.
                    let wait = wait.max(SHORTEST);
                    drop(timeout(wait, self.sooner.notified()).await);
                }
                Err(WriteError::Store(StoreError::Closed)) => return,
                Err(WriteError::Store(error)) => {
                    tracing::error!(error = %error, "what is due could not be read");
                    sleep(LONGEST).await;
                }
            }
        }
    }

    async fn act(self: &Arc<Self>, taken: Taken) {
        self.tell(&taken.told);
        for queue in &taken.ready {
            self.wake(queue);
        }
        for id in taken.deadlines {
            self.sweep(id, Sweeping::Deadline).await;
        }
        for question in taken.questions {
            let Ok(slot) = Arc::clone(&self.polls).acquire_owned().await else {
                return;
            };
            self.workers.spawn(Arc::clone(self).ask(question, slot));
        }
    }
}

/// Takes some of what is due. A task that is asked about is not due again until long after its answer, or its loss.
pub(super) struct TakeDue {
    pub(super) now: Timestamp,
    pub(super) bell: Bell,
}

/// What was taken, and what is to be done about it.
pub(super) struct Taken {
    pub(super) ready: Vec<QueueName>,
    pub(super) questions: Vec<Question>,
    pub(super) deadlines: Vec<JobId>,
    pub(super) told: Told,
}

/// Nothing is due, until `next`.
pub(super) struct NothingDue {
    pub(super) next: Option<Timestamp>,
}

impl Write for TakeDue {
    type Plan = Vec<Due>;
    type Done = Taken;
    type Refusal = NothingDue;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Vec<Due>, WriteError<NothingDue>> {
        let due = index::due(rows, self.now, None, STEP)?;
        if due.is_empty() {
            let next = index::next_due(rows, None)?;
            return Err(WriteError::Refused(NothingDue { next }));
        }
        Ok(due.into_iter().map(|(_, due)| due).collect())
    }

    fn apply(&mut self, due: Vec<Due>, tables: &mut Tables<'_>) -> Result<Taken, StoreError> {
        let mut taken = Taken {
            ready: Vec::new(),
            questions: Vec::new(),
            deadlines: Vec::new(),
            told: Told::new(),
        };
        for due in due {
            match due {
                Due::Deadline(id) => {
                    tables.drop_deadline(id)?;
                    taken.deadlines.push(id);
                }
                Due::Item(at) => self.take(at, tables, &mut taken)?,
            }
        }
        Ok(taken)
    }
}

impl TakeDue {
    /// Takes one item whose moment has come. What it waited for follows from its state.
    fn take(&self, at: ItemRef, tables: &mut Tables<'_>, taken: &mut Taken) -> Result<(), StoreError> {
        let now = tables.now();
        let Some(item) = item::get(tables.view(), at)? else {
            return Err(StoreError::orphan(at));
        };
        match item.state {
            ItemState::Running => {
                metrics::lease_lost();
                taken
                    .ready
                    .extend(lease::lose(tables, at, &self.bell, &mut taken.told)?);
            }
            ItemState::Queued => {
                let Some(mut edit) = tables.edit_job(at.job)? else {
                    return Err(StoreError::orphan(at));
                };
                let hold = edit.job.hold;
                tables.edit_item(&mut edit, at.index, |item| {
                    item.requeue(now, None);
                    item.hold = hold;
                })?;
                if hold == Hold::Free {
                    taken.ready.push(edit.job.queue.clone());
                }
                self.bell.close(tables, edit, &mut taken.told)?;
            }
            ItemState::Polling => {
                let Some(mut edit) = tables.edit_job(at.job)? else {
                    return Err(StoreError::orphan(at));
                };
                tables.edit_item(&mut edit, at.index, |item| item.wake_at = Some(now.plus(ASKED)))?;
                let owner = edit.job.owner;
                tables.close_job(edit)?;
                let body = item::body(tables.view(), at)?.unwrap_or_default();
                if let Some(task) = item.task.clone() {
                    taken.questions.push(Question {
                        at,
                        owner,
                        item,
                        task,
                        body,
                    });
                }
            }
            // A finished item has no timer.
            _ => {}
        }
        Ok(())
    }
}

/// What one commit takes at most.
const STEP: usize = 128;

/// How long a question may take before it is put again.
const ASKED: Duration = Duration::from_mins(2);

/// The longest sleep: the wall clock may jump meanwhile.
const LONGEST: Duration = Duration::from_secs(30);

/// The shortest one.
const SHORTEST: Duration = Duration::from_millis(1);
