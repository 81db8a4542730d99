//! Log lines of jobs on their way to the store: gathered, and written together before anybody would miss them.
//!
//! Lines that were accepted are gone with the process if it is killed within [`LONGEST`]; one that ends in order writes
//! them all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Viewer;
use super::error::JobError;
use super::vault::Vault;
use crate::model::id::JobId;
use crate::model::job::Job;
use crate::model::job::log::LogLine;
use crate::store::error::StoreError;
use crate::store::jobs::log::{self, LogRow, Summary, Wanted};
use crate::store::{Change, Store, Tables, jobs};

/// Takes log lines, keeps them, and finds them again.
pub struct LogBuffer {
    store: Store,
    vault: Vault,
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    wake: Notify,
    /// How many lines have left since the process began, written or given up.
    left: watch::Sender<u64>,
}

/// Some lines of a job.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    /// Their numbers from 1, and what they say, in the order in which they came.
    pub items: Vec<(u64, LogLine)>,
    /// How many are wanted in all.
    pub total: u64,
}

/// Lines that were accepted and not written yet.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<(JobId, LogLine)>,
    /// Lines and bytes that were accepted and have not left, those that are just being written among them.
    count: usize,
    bytes: usize,
    /// How many were accepted since the process began.
    accepted: u64,
    /// Since when the first of `lines` waits, or longer.
    since: Option<Instant>,
    hurry: Hurry,
    intake: Intake,
}

/// Whether somebody wants to read what waits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Hurry {
    #[default]
    None,
    Wanted,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Intake {
    #[default]
    Open,
    Closed,
}

/// What is written together: lines of each job.
type Batch = BTreeMap<JobId, Vec<LogLine>>;

impl LogBuffer {
    /// An empty one. Nothing is written before [`LogBuffer::run`].
    #[must_use]
    pub fn new(store: Store, vault: Vault) -> Self {
        Self {
            store,
            vault,
            waiting: Mutex::default(),
            wake: Notify::new(),
            left: watch::Sender::new(0),
        }
    }

    /// Takes lines, all of them or none. They are written soon after.
    ///
    /// # Errors
    /// [`JobError::NotFound`] for a job that is not theirs, [`JobError::Invalid`] when it would have more than
    /// [`MOST_LINES`], [`JobError::LogsBusy`] when too many wait to be written, [`JobError::Closing`].
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was taken.
    pub async fn accept(&self, viewer: Viewer, id: JobId, lines: Vec<LogLine>) -> Result<usize, JobError> {
        let job = self.job(viewer, id).await?;
        let taken = lines.len();
        let bytes: usize = lines.iter().map(LogLine::size).sum();
        let mut waiting = self.lock();
        let of_job = waiting.lines.iter().filter(|(of, _)| *of == id).count();
        if job.last_log + (of_job + taken) as u64 > MOST_LINES {
            return Err(JobError::Invalid {
                field: "lines".to_owned(),
                message: format!("a job has at most {MOST_LINES} log lines"),
            });
        }
        if waiting.intake == Intake::Closed {
            return Err(JobError::Closing);
        }
        // Whatever one request may hold is taken when nothing else waits.
        let is_full = waiting.count + taken > MOST_WAITING || waiting.bytes + bytes > MOST_BYTES;
        if is_full && waiting.count > 0 {
            return Err(JobError::LogsBusy);
        }
        waiting.count += taken;
        waiting.bytes += bytes;
        waiting.accepted += taken as u64;
        waiting.lines.extend(lines.into_iter().map(|line| (id, line)));
        waiting.since.get_or_insert_with(Instant::now);
        drop(waiting);
        self.wake.notify_one();
        Ok(taken)
    }

    /// Up to `limit` of a job's lines that are wanted, behind the first `offset` of them. What was accepted before is
    /// among them, unless the store takes longer than a second.
    ///
    /// # Errors
    /// [`JobError::NotFound`] for a job that is not theirs.
    pub async fn search(
        &self,
        viewer: Viewer,
        id: JobId,
        wanted: Wanted,
        offset: u64,
        limit: usize,
    ) -> Result<Lines, JobError> {
        self.job(viewer, id).await?;
        self.settle().await;
        let vault = self.vault.clone();
        let read = self.store.read_aside(move |rows| {
            let found = log::search(rows, id, &wanted, offset, limit)?;
            Ok(opened(&vault, id, found.lines).map(|items| Lines {
                items,
                total: found.total,
            }))
        });
        read.await?
    }

    /// What a job's lines come to.
    ///
    /// # Errors
    /// As [`LogBuffer::search`].
    pub async fn summary(&self, viewer: Viewer, id: JobId) -> Result<Summary, JobError> {
        self.job(viewer, id).await?;
        self.settle().await;
        Ok(self.store.read_aside(move |rows| log::summary(rows, id)).await?)
    }

    /// Writes what comes, until `stop`; then what still waits, and takes nothing more.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(self.due()).await.is_some() {
            if let Some(batch) = self.take() {
                self.write(batch, &stop).await;
            }
        }
        self.lock().intake = Intake::Closed;
        while let Some(batch) = self.take() {
            self.write(batch, &stop).await;
        }
    }

    /// Waits until something is to be written.
    async fn due(&self) {
        loop {
            let since = {
                let waiting = self.lock();
                let is_due = waiting.lines.len() >= ENOUGH || waiting.hurry == Hurry::Wanted;
                match waiting.since {
                    Some(_) if is_due => return,
                    since => since,
                }
            };
            let patience = async {
                match since {
                    Some(since) => sleep_until(since + LONGEST).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = patience => return,
                () = self.wake.notified() => {}
            }
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        let number = waiting.lines.len().min(ONE_COMMIT);
        let mut batch = Batch::new();
        for (id, line) in waiting.lines.drain(..number) {
            batch.entry(id).or_default().push(line);
        }
        if waiting.lines.is_empty() {
            waiting.since = None;
            waiting.hurry = Hurry::None;
        }
        (number > 0).then_some(batch)
    }

    /// Writes a batch, again and again while the store fails it, but only once when the process ends.
    async fn write(&self, batch: Batch, stop: &CancellationToken) {
        let batch = Arc::new(batch);
        let lines = batch.values().flatten();
        let (count, bytes) = lines.fold((0, 0), |(count, bytes), line| (count + 1, bytes + line.size()));
        while let Err(error) = self.keep(&batch).await {
            if stop.is_cancelled() {
                tracing::error!(error = %error, lines = count, "log lines of jobs are lost");
                break;
            }
            tracing::error!(error = %error, lines = count, "log lines of jobs cannot be written yet");
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
        let mut waiting = self.lock();
        waiting.count = waiting.count.saturating_sub(count);
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        drop(waiting);
        self.left.send_modify(|left| *left += count as u64);
    }

    /// Numbers and seals the lines aside, and writes them in one commit. Nobody else adds lines, so the numbers hold.
    async fn keep(&self, batch: &Arc<Batch>) -> Result<(), JobError> {
        let (batch, vault) = (Arc::clone(batch), self.vault.clone());
        let additions = self.store.read_aside(move |rows| {
            let last = |id: &JobId| Ok::<_, StoreError>((*id, log::last(rows, *id)?));
            let jobs: Vec<_> = batch.keys().map(last).collect::<Result<_, _>>()?;
            let jobs = jobs.into_iter().zip(batch.values());
            Ok(jobs
                .map(|((id, last), lines)| addition(&vault, id, last, lines))
                .collect::<Result<Vec<_>, _>>())
        });
        let additions = additions.await??;
        Ok(self.store.change(AddLines(additions)).await?)
    }

    async fn job(&self, viewer: Viewer, id: JobId) -> Result<Job, JobError> {
        let found = self.store.read_aside(move |rows| jobs::get(rows, id)).await?;
        found.filter(|job| viewer.sees(job)).ok_or(JobError::NotFound)
    }

    /// Waits until what was accepted so far is written, but not for long.
    async fn settle(&self) {
        let accepted = {
            let mut waiting = self.lock();
            if waiting.count == 0 {
                return;
            }
            waiting.hurry = Hurry::Wanted;
            waiting.accepted
        };
        self.wake.notify_one();
        let mut left = self.left.subscribe();
        // The sender lives as long as we do, and who waited in vain reads what is there.
        let _ = timeout(PATIENCE, left.wait_for(|left| *left >= accepted)).await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines that are added to one job, the first of them with this number.
struct Addition {
    id: JobId,
    first: u64,
    rows: Vec<LogRow>,
}

/// One commit of them.
struct AddLines(Vec<Addition>);

impl Change for AddLines {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        for Addition { id, first, rows } in &self.0 {
            if !tables.add_lines(*id, *first, rows)? {
                tracing::debug!(job = %id, lines = rows.len(), "log lines came after their job was forgotten");
            }
        }
        Ok(())
    }
}

/// Numbers and seals lines, as many as the job has room for.
fn addition(vault: &Vault, id: JobId, last: u64, lines: &[LogLine]) -> Result<Addition, JobError> {
    let row = |(number, line): (u64, &LogLine)| {
        let sealed = vault.seal_line(id, number, &line.text)?;
        let head = line.head.clone();
        Ok(LogRow { head, sealed })
    };
    let rows = (last + 1..=MOST_LINES).zip(lines).map(row);
    Ok(Addition {
        id,
        first: last + 1,
        rows: rows.collect::<Result<_, JobError>>()?,
    })
}

fn opened(vault: &Vault, id: JobId, rows: Vec<(u64, LogRow)>) -> Result<Vec<(u64, LogLine)>, JobError> {
    let open = |(number, LogRow { head, sealed })| {
        let text = vault.open_line(id, number, &sealed)?;
        Ok((number, LogLine { head, text }))
    };
    rows.into_iter().map(open).collect()
}

/// Most lines of a job.
pub const MOST_LINES: u64 = 100_000;

/// So many lines are written at once: the roadmap backend's number.
const ENOUGH: usize = 50;

/// How long a line waits for others. With its commit it can be read two seconds after it came.
pub const LONGEST: Duration = Duration::from_millis(1500);

/// Most lines of one commit, so that others get their turn.
const ONE_COMMIT: usize = 1000;

/// Most lines, and bytes of them, that wait.
const MOST_WAITING: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

/// Between two attempts to write when the store fails.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a reader waits for what was accepted before.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
