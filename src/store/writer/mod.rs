//! The single writer: one thread, a bounded queue, group commit, acknowledgement after the commit.
//!
//! A batch forms by itself while the previous commit runs. A write is a plan, which reads and may refuse, and then an
//! apply, which only changes rows; so a refusal touches nothing. A panic or a failing row rolls the batch back and runs
//! each write alone, so that it never touches its neighbours. A failed commit is terminal: it may or may not be on the
//! disk, so nothing is written after it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use redb::{CommitError, Database};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::chain::Chain;
use super::error::{StoreError, WriteError};
use super::schema::Rows;
use super::tables::Tables;
use crate::model::clock::Clock;
use crate::telemetry::metrics;

/// How soon a write is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it.
    Awaited,
    /// Nobody waits: it may ride with the next awaited write for up to a millisecond.
    Relaxed,
}

/// One change of the store.
///
/// `plan` and `apply` may run more than once, when a neighbour in the batch fails.
pub trait Write: Send + 'static {
    /// What the plan found and the apply needs.
    type Plan;
    /// What the writer's caller learns.
    type Done: Send + 'static;
    /// Why the plan may refuse.
    type Refusal: Send + 'static;

    /// Reads what it needs, and decides.
    ///
    /// # Errors
    /// [`WriteError::Refused`] leaves the store untouched.
    fn plan(&mut self, rows: &mut impl Rows) -> Result<Self::Plan, WriteError<Self::Refusal>>;

    /// Changes rows, and nothing else.
    ///
    /// # Errors
    /// [`StoreError`] rolls the whole batch back and runs its writes one by one.
    fn apply(&mut self, plan: Self::Plan, tables: &mut Tables<'_>) -> Result<Self::Done, StoreError>;

    /// How soon it is wanted.
    fn urgency(&self) -> Urgency {
        Urgency::Awaited
    }

    /// What is to be written next if it was committed but nobody waits for it any more.
    fn orphaned(&mut self, _done: Self::Done) -> Option<Box<dyn Job>> {
        None
    }
}

/// A write that nothing can refuse: an apply without a plan.
pub trait Change: Send + 'static {
    /// What the writer's caller learns.
    type Done: Send + 'static;

    /// Changes rows. It may run more than once, when a neighbour in the batch fails.
    ///
    /// # Errors
    /// As [`Write::apply`].
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Self::Done, StoreError>;

    /// How soon it is wanted.
    fn urgency(&self) -> Urgency {
        Urgency::Awaited
    }
}

impl<C: Change> Write for C {
    type Plan = ();
    type Done = C::Done;
    type Refusal = Infallible;

    fn plan(&mut self, _rows: &mut impl Rows) -> Result<(), WriteError<Infallible>> {
        Ok(())
    }

    fn apply(&mut self, (): (), tables: &mut Tables<'_>) -> Result<C::Done, StoreError> {
        Change::apply(self, tables)
    }

    fn urgency(&self) -> Urgency {
        Change::urgency(self)
    }
}

/// A write with its answer, without its types: what the queue holds.
pub trait Job: Send {
    #[doc(hidden)]
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError>;
    #[doc(hidden)]
    fn urgency(&self) -> Urgency;
    #[doc(hidden)]
    fn acknowledge(self: Box<Self>) -> Option<Box<dyn Job>>;
    #[doc(hidden)]
    fn fail(self: Box<Self>, error: StoreError);
}

type Answer<W> = Result<<W as Write>::Done, WriteError<<W as Write>::Refusal>>;

/// An answer, and the write that may have to follow it up if nobody hears the answer.
type Told<W> = (Answer<W>, W);

struct Task<W: Write> {
    write: W,
    answer: Option<Answer<W>>,
    caller: oneshot::Sender<Told<W>>,
}

impl<W: Write> Job for Task<W> {
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let plan = match self.write.plan(tables.view()) {
            Ok(plan) => plan,
            Err(WriteError::Refused(refusal)) => {
                self.answer = Some(Err(WriteError::Refused(refusal)));
                return Ok(());
            }
            Err(WriteError::Store(error)) => return Err(error),
        };
        self.answer = Some(Ok(self.write.apply(plan, tables)?));
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        self.write.urgency()
    }

    fn acknowledge(self: Box<Self>) -> Option<Box<dyn Job>> {
        let Self { write, answer, caller } = *self;
        let told = (answer.unwrap_or(Err(StoreError::Closed.into())), write);
        caller.send(told).err().and_then(follow_up)
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let Self { write, caller, .. } = *self;
        drop(caller.send((Err(WriteError::Store(error)), write)));
    }
}

/// What is to be written after a write whose answer nobody heard.
fn follow_up<W: Write>((answer, mut write): Told<W>) -> Option<Box<dyn Job>> {
    answer.ok().and_then(|done| write.orphaned(done))
}

/// A write nobody will wait for, ready for the queue.
#[must_use]
pub fn unattended<W: Write>(write: W) -> Box<dyn Job> {
    Box::new(Task {
        write,
        answer: None,
        caller: oneshot::channel().0,
    })
}

/// The queue between callers and the writer thread.
#[derive(Debug)]
pub(super) struct Queue {
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
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("jobs", &self.jobs.len())
            .field("awaited", &self.awaited)
            .field("intake", &self.intake)
            .finish()
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

pub(super) fn submit<W: Write>(queue: &Arc<Queue>, write: W, permit: Option<OwnedSemaphorePermit>) -> Receipt<W> {
    let (caller, told) = oneshot::channel();
    queue.push(
        Box::new(Task {
            write,
            answer: None,
            caller,
        }),
        permit,
    );
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
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            places: Arc::new(Semaphore::new(QUEUE_LENGTH)),
            failed: CancellationToken::new(),
        })
    }

    /// Waits for a place. Cancel-safe.
    pub(super) async fn place(self: &Arc<Self>) -> Result<Place, StoreError> {
        let permit = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        Ok(Place {
            queue: Arc::clone(self),
            permit,
        })
    }

    /// Fires when a commit failed and this process must end.
    pub(super) fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Takes nothing more; what is queued is still written.
    pub(super) fn close(&self) {
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

    fn push(&self, job: Box<dyn Job>, permit: Option<OwnedSemaphorePermit>) {
        let mut waiting = self.lock();
        if waiting.intake == Intake::Gone {
            drop(waiting);
            return job.fail(StoreError::Closed);
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
    fn next_batch(&self) -> Option<Vec<Box<dyn Job>>> {
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
    fn abandon(&self, error: &StoreError) {
        let mut waiting = self.lock();
        waiting.intake = Intake::Gone;
        waiting.awaited = 0;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        self.places.close();
        for (job, _permit) in jobs {
            job.fail(error.clone());
        }
    }
}

/// The writer thread's own state.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) database: Arc<Database>,
    pub(super) chain: Chain,
    pub(super) clock: Arc<dyn Clock>,
}

enum Trial {
    Committed,
    RolledBack(StoreError),
    Fatal(StoreError),
}

impl Writer {
    /// Writes batches until the queue is closed and empty, or a commit fails.
    pub(super) fn run(mut self) {
        let mut end = StoreError::Closed;
        while let Some(batch) = self.queue.next_batch() {
            if let Err(error) = self.write(batch) {
                tracing::error!(error = %error, "the store failed: nothing more is written, the process must end");
                end = error;
                self.queue.failed.cancel();
                break;
            }
        }
        self.queue.abandon(&end);
    }

    fn write(&mut self, mut batch: Vec<Box<dyn Job>>) -> Result<(), StoreError> {
        metrics::audit_batch(batch.len());
        match self.attempt(&mut batch) {
            Trial::Committed => {
                for job in batch {
                    if let Some(next) = job.acknowledge() {
                        self.queue.push(next, None);
                    }
                }
                Ok(())
            }
            Trial::RolledBack(error) => {
                if batch.len() == 1 {
                    fail_all(batch, &error);
                    return Ok(());
                }
                tracing::warn!(error = %error, writes = batch.len(), "a write failed: its batch is run one by one");
                let mut rest = batch.into_iter();
                while let Some(job) = rest.next() {
                    if let Err(error) = self.write(vec![job]) {
                        fail_all(rest, &error);
                        return Err(error);
                    }
                }
                Ok(())
            }
            Trial::Fatal(error) => {
                fail_all(batch, &error);
                Err(error)
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Job>]) -> Trial {
        let begun = self.clock.monotonic();
        let txn = match self.database.begin_write() {
            Ok(txn) => txn,
            Err(error) => return Trial::Fatal(error.into()),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut tables = Tables::new(&txn, self.chain.clone(), self.clock.wall());
            for job in batch {
                job.run(&mut tables)?;
            }
            tables.finish()
        }));
        let chain = match outcome {
            Ok(Ok(Some(chain))) => chain,
            Ok(Ok(None)) => {
                // Every plan refused: there is nothing to commit.
                return match txn.abort() {
                    Ok(()) => Trial::Committed,
                    Err(error) => Trial::Fatal(error.into()),
                };
            }
            Ok(Err(error)) if error.is_fatal() => return Trial::Fatal(error),
            Ok(Err(error)) => return Trial::RolledBack(error),
            Err(_panic) => return Trial::RolledBack(StoreError::Panicked),
        };
        match txn.commit() {
            Ok(()) => {
                self.chain = chain;
                metrics::audit_commit(self.clock.monotonic().duration_since(begun));
                Trial::Committed
            }
            Err(error @ CommitError::TransactionPoisoned) => Trial::RolledBack(StoreError::Io(error.to_string())),
            Err(error) => Trial::Fatal(error.into()),
        }
    }
}

fn fail_all(jobs: impl IntoIterator<Item = Box<dyn Job>>, error: &StoreError) {
    for job in jobs {
        job.fail(error.clone());
    }
}

/// Writes that may wait for the writer at once; the rest wait for a place.
const QUEUE_LENGTH: usize = 8192;

/// Most writes in one commit.
const BATCH_LENGTH: usize = 512;

/// How long writes that nobody waits for may wait for company.
const RELAXED_WAIT: Duration = Duration::from_millis(1);
