//! The queue before the writer: places in it, and receipts for what was handed over.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::job::{Answer, Job, Task, Told, follow_up};
use super::{Urgency, Write};
use crate::store::error::StoreError;

/// The queue between callers and the writer thread.
#[derive(Debug)]
pub(in crate::store) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    places: Arc<Semaphore>,
    failed: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Box<dyn Job>, Option<OwnedSemaphorePermit>)>,
    /// How many of them somebody waits for.
    awaited: usize,
    intake: Intake,
    /// Why the writer is gone: those who come later are told the same.
    end: Option<StoreError>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("jobs", &self.jobs.len())
            .field("awaited", &self.awaited)
            .field("intake", &self.intake)
            .field("end", &self.end)
            .finish()
    }
}

impl Waiting {
    /// Why nothing is written any more.
    fn end(&self) -> StoreError {
        self.end.clone().unwrap_or(StoreError::Closed)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Intake {
    #[default]
    Open,
    /// What is queued is still written.
    Closing,
    /// The writer is gone.
    Gone,
}

/// A place in the writer's queue, so that a write can be handed over without waiting.
#[derive(Debug)]
pub struct Place {
    queue: Arc<Queue>,
    permit: OwnedSemaphorePermit,
}

impl Place {
    /// Hands a write to the writer.
    pub fn submit<W: Write>(self, write: W) -> Receipt<W> {
        submit(&self.queue, write, Some(self.permit))
    }
}

pub(in crate::store) fn submit<W: Write>(
    queue: &Arc<Queue>,
    write: W,
    permit: Option<OwnedSemaphorePermit>,
) -> Receipt<W> {
    let (caller, told) = oneshot::channel();
    queue.push(Box::new(Task::new(write, caller)), permit);
    Receipt {
        told,
        queue: Arc::clone(queue),
    }
}

/// The answer to a write, once it is on the disk.
///
/// # Cancel safety
/// Dropping it does not withdraw the write. If it was done, what belongs after a write that nobody waits for is written.
pub struct Receipt<W: Write> {
    told: oneshot::Receiver<Told<W>>,
    queue: Arc<Queue>,
}

impl<W: Write> Future for Receipt<W> {
    type Output = Answer<W>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.told).poll(cx));
        Poll::Ready(told.map_or(Err(StoreError::Closed.into()), |(answer, _write)| answer))
    }
}

impl<W: Write> Drop for Receipt<W> {
    /// The answer may have come after the last poll: then it is heard here.
    fn drop(&mut self) {
        self.told.close();
        if let Some(next) = self.told.try_recv().ok().and_then(follow_up) {
            self.queue.push(next, None);
        }
    }
}

impl Queue {
    pub(in crate::store) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            places: Arc::new(Semaphore::new(QUEUE_LENGTH)),
            failed: CancellationToken::new(),
        })
    }

    /// Waits for a place. Cancel-safe.
    pub(in crate::store) async fn place(self: &Arc<Self>) -> Result<Place, StoreError> {
        let permit = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| self.lock().end())?;
        Ok(Place {
            queue: Arc::clone(self),
            permit,
        })
    }

    /// Fires when a commit failed and this process must end.
    pub(in crate::store) fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Takes nothing more; what is queued is still written.
    pub(in crate::store) fn close(&self) {
        let mut waiting = self.lock();
        if waiting.intake == Intake::Open {
            waiting.intake = Intake::Closing;
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Box<dyn Job>, permit: Option<OwnedSemaphorePermit>) {
        let mut waiting = self.lock();
        if waiting.intake == Intake::Gone {
            let end = waiting.end();
            drop(waiting);
            return job.fail(end);
        }
        // One relaxed write wakes the writer; those that follow it ride along without waking it again.
        let wakes = job.urgency() == Urgency::Awaited || waiting.jobs.is_empty();
        waiting.awaited += usize::from(job.urgency() == Urgency::Awaited);
        waiting.jobs.push_back((job, permit));
        drop(waiting);
        if wakes {
            self.filled.notify_one();
        }
    }

    /// The next batch, or `None` when the queue is closed and empty.
    pub(super) fn next_batch(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = self.lock();
        while waiting.awaited == 0 && waiting.jobs.len() < BATCH_LENGTH && waiting.intake == Intake::Open {
            if waiting.jobs.is_empty() {
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (guard, slept) = self
                .filled
                .wait_timeout(waiting, RELAXED_WAIT)
                .unwrap_or_else(PoisonError::into_inner);
            waiting = guard;
            if slept.timed_out() {
                break;
            }
        }
        let size = waiting.jobs.len().min(BATCH_LENGTH);
        let batch: Vec<_> = waiting.jobs.drain(..size).map(|(job, _permit)| job).collect();
        waiting.awaited -= batch.iter().filter(|job| job.urgency() == Urgency::Awaited).count();
        (!batch.is_empty()).then_some(batch)
    }

    /// Answers everything that waits and everything that will come: the writer is gone.
    pub(super) fn abandon(&self, error: &StoreError) {
        let mut waiting = self.lock();
        waiting.intake = Intake::Gone;
        waiting.end = Some(error.clone());
        waiting.awaited = 0;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        self.places.close();
        for (job, _permit) in jobs {
            job.fail(error.clone());
        }
    }
}

/// Writes that may wait for the writer at once; the rest wait for a place.
const QUEUE_LENGTH: usize = 8192;

/// Most writes in one commit.
const BATCH_LENGTH: usize = 512;

/// How long writes that nobody waits for may wait for company.
const RELAXED_WAIT: Duration = Duration::from_millis(1);
