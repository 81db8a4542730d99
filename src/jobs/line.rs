//! One queue in memory: how many of its items may run, and who is woken when one may be taken.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::claim::{Claim, Claimed, Nothing};
use super::{JobError, Jobs};
use crate::model::clock::Timestamp;
use crate::model::job::QueueName;
use crate::model::job::queue::{QueueMode, QueueRow};
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::{index, queue};
use crate::store::{Change, Tables};

/// One queue in memory.
pub(super) struct Line {
    queue: QueueName,
    concurrency: NonZeroUsize,
    slots: Arc<Semaphore>,
    woken: Notify,
}

/// How a queue stands.
#[derive(Clone, Debug)]
pub struct QueueView {
    /// Its name.
    pub name: QueueName,
    /// How many of its items may run at once; `None` for one that is not configured any more, whose items wait.
    pub concurrency: Option<NonZeroUsize>,
    /// Its counts.
    pub row: QueueRow,
    /// Since when the item waits that has waited longest of those that may be taken.
    pub oldest: Option<Timestamp>,
}

impl Line {
    pub(super) fn new(queue: QueueName, concurrency: NonZeroUsize) -> Self {
        Self {
            queue,
            concurrency,
            slots: Arc::new(Semaphore::new(concurrency.get())),
            woken: Notify::new(),
        }
    }
}

impl Jobs {
    /// Takes items of a queue as long as slots are free, until the intake closes.
    pub(super) async fn serve(self: Arc<Self>, queue: QueueName) {
        let Some(line) = self.lines.get(&queue) else { return };
        loop {
            let slot = tokio::select! {
                biased;
                () = self.closing.cancelled() => return,
                slot = Arc::clone(&line.slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { return };
            match self.take(line, slot).await {
                Ok(()) => {}
                Err(WriteError::Refused(Nothing)) => tokio::select! {
                    biased;
                    () = self.closing.cancelled() => return,
                    () = line.woken.notified() => {}
                },
                Err(WriteError::Store(StoreError::Closed)) => return,
                Err(WriteError::Store(error)) => {
                    tracing::error!(error = %error, queue = %queue, "items could not be taken");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes as many items as there are free slots, and has them worked at.
    async fn take(self: &Arc<Self>, line: &Line, slot: OwnedSemaphorePermit) -> Result<(), WriteError<Nothing>> {
        let limit = (line.slots.available_permits() + 1).min(BATCH);
        let claim = Claim {
            queue: line.queue.clone(),
            limit,
            leases: self.leases.clone(),
            key_lives: self.recorder.ttl().saturating_sub(MARGIN),
            bell: self.bell.clone(),
        };
        let Claimed { leased, told } = self.store.write(claim).await?;
        self.tell(&told);
        let mut slot = Some(slot);
        for leased in leased {
            let free = || Arc::clone(&line.slots).try_acquire_owned().ok();
            let slot = slot.take().or_else(free);
            let jobs = Arc::clone(self);
            self.workers.spawn(async move {
                jobs.work(leased).await;
                drop(slot);
            });
        }
        Ok(())
    }

    /// Tells a queue that one of its items may be taken.
    pub(super) fn wake(&self, queue: &QueueName) {
        if let Some(line) = self.lines.get(queue) {
            line.woken.notify_one();
        }
    }

    /// Whether a queue is configured.
    #[must_use]
    pub fn has_queue(&self, queue: &QueueName) -> bool {
        self.lines.contains_key(queue)
    }

    /// How every queue stands: those that are configured, and those that hold something from before.
    ///
    /// # Errors
    /// [`JobError::Store`].
    pub async fn queues(&self) -> Result<Vec<QueueView>, JobError> {
        let configured: Vec<_> = self
            .lines
            .values()
            .map(|line| (line.queue.clone(), line.concurrency))
            .collect();
        let views = self.store.read_aside(move |rows| {
            let mut names: Vec<_> = configured.iter().map(|(name, _)| name.clone()).collect();
            names.extend(queue::all(rows)?.into_iter().map(|(name, _)| name));
            names.sort_unstable();
            names.dedup();
            names
                .into_iter()
                .map(|name| {
                    let concurrency = configured.iter().find(|(queue, _)| *queue == name);
                    Ok(QueueView {
                        concurrency: concurrency.map(|(_, concurrency)| *concurrency),
                        row: queue::get(rows, &name)?,
                        oldest: index::oldest_ready(rows, &name)?,
                        name,
                    })
                })
                .collect()
        });
        Ok(views.await?)
    }

    /// Changes what is done with a queue's items.
    ///
    /// # Errors
    /// [`JobError::NotFound`] for a queue that is not configured.
    ///
    /// # Cancel safety
    /// Dropped, the change may be made all the same.
    pub async fn set_mode(&self, queue: &QueueName, mode: QueueMode) -> Result<QueueRow, JobError> {
        if !self.has_queue(queue) {
            return Err(JobError::NotFound);
        }
        let row = self
            .store
            .change(SetMode {
                queue: queue.clone(),
                mode,
            })
            .await?;
        self.wake(queue);
        Ok(row)
    }
}

struct SetMode {
    queue: QueueName,
    mode: QueueMode,
}

impl Change for SetMode {
    type Done = QueueRow;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<QueueRow, StoreError> {
        tables.set_queue_mode(&self.queue, self.mode)
    }
}

/// Most items that one commit takes.
const BATCH: usize = 64;

/// Between two tries to take something from a store that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// An idempotency key that lives no longer than this is not counted on: clocks differ, and a call takes its time.
const MARGIN: Duration = Duration::from_mins(30);
