//! Durable background work: what clients post and go away from.
//!
//! A job is accepted with one commit and ends with one; in between every step of every item is a commit too. Items are
//! leased by workers of this process (`claim`, `worker`), which take the same way as any call: `Relay::run`, in the
//! background lane. A submit's task is then polled until it ends (`poll`), without a worker. What is due at a moment
//! stands in one index, by kind, which a loop each follows (`timers`).

mod bell;
mod change;
mod claim;
mod ending;
pub mod error;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod gallery;
pub mod hold_all;
mod hub;
mod lease;
mod line;
pub mod logs;
mod poll;
mod refresh;
mod retain;
mod settle;
pub mod spec;
pub mod submit;
mod sweep;
#[cfg(test)]
mod tests;
mod throughput;
mod timers;
pub mod vault;
mod verdict;
pub mod webhook;
mod worker;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::error::JobError;
pub use self::gallery::{Gallery, GalleryError};
pub use self::line::QueueView;
pub use self::refresh::RefreshError;
pub use self::retain::Retention;
pub use self::spec::{ItemSpec, JobSpec, Private};
pub use self::submit::Submitted;
pub use self::throughput::Throughput;

use self::bell::Bell;
use self::hub::Hub;
use self::lease::{Leases, Return};
use self::line::Line;
use self::timers::Alarm;
use self::vault::Vault;
use self::webhook::Outbox;
use crate::auth::Directory;
use crate::crypto::entropy::{self, Entropy};
use crate::model::clock::Clock;
use crate::model::id::{JobId, OwnerId};
use crate::model::job::{Item, ItemRef, Job, QueueName};
use crate::model::reply::Reply;
use crate::record::Recorder;
use crate::relay::Relay;
use crate::store::error::StoreError;
use crate::store::jobs::{self, item};
use crate::store::{Reader, Store};

/// The service of jobs.
pub struct Jobs {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    relay: Arc<Relay>,
    recorder: Arc<Recorder>,
    directory: Arc<Directory>,
    vault: Vault,
    hub: Hub,
    bell: Bell,
    lines: BTreeMap<QueueName, Line>,
    leases: Leases,
    alarm: Alarm,
    polls: Arc<Semaphore>,
    workers: TaskTracker,
    /// Fires when nothing new is let in or taken any more.
    closing: CancellationToken,
}

/// What the service of jobs is built from.
pub struct Parts {
    /// Where jobs are kept.
    pub store: Store,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// What makes their calls.
    pub relay: Arc<Relay>,
    /// What their idempotency keys are stored by.
    pub recorder: Arc<Recorder>,
    /// Whose keys their owners hold.
    pub directory: Arc<Directory>,
    /// What tells receivers that a job has ended.
    pub outbox: Arc<Outbox>,
    /// The queues, and how many items of each run at once.
    pub queues: Vec<(QueueName, NonZeroUsize)>,
}

/// Who looks at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Its owner. A job of somebody else's is not there.
    Owner(OwnerId),
    /// The operator, who sees every one.
    Operator,
}

impl Viewer {
    /// Whether they may see a job.
    #[must_use]
    pub fn sees(self, job: &Job) -> bool {
        match self {
            Self::Owner(owner) => job.owner == owner,
            Self::Operator => true,
        }
    }
}

impl Jobs {
    /// The service over a store. Nothing runs before [`Jobs::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            clock,
            entropy,
            relay,
            recorder,
            directory,
            outbox,
            queues,
        } = parts;
        let vault = Vault::new(store.clone(), Arc::clone(&entropy));
        let lines = queues
            .into_iter()
            .map(|(queue, concurrency)| (queue.clone(), Line::new(queue, concurrency)))
            .collect();
        Self {
            hub: Hub::default(),
            bell: Bell {
                vault: vault.clone(),
                outbox,
            },
            lines,
            leases: Leases::new(store.boot()),
            alarm: Alarm::default(),
            polls: Arc::new(Semaphore::new(POLLS)),
            workers: TaskTracker::new(),
            closing: CancellationToken::new(),
            vault,
            store,
            clock,
            entropy,
            relay,
            recorder,
            directory,
        }
    }

    /// Takes back what workers of an older process held, then serves every queue and whatever is due, until `stop` fires.
    ///
    /// # Cancel safety
    /// Dropped, it stops taking; what workers hold goes on.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        self.take_back_all().await;
        let lines = self.lines.keys().cloned().map(|queue| Arc::clone(&self).serve(queue));
        let all = async {
            tokio::join!(
                futures_util::future::join_all(lines),
                self.follow_timers(),
                self.follow_questions(),
                self.keep_leases()
            );
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = all => {}
        }
    }

    /// Lets nothing new in and takes nothing more.
    pub fn close_intake(&self) {
        self.closing.cancel();
    }

    /// Waits until no worker has an item. Call [`Jobs::close_intake`] before.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn until_idle(&self) {
        self.workers.close();
        self.workers.wait().await;
    }

    /// Gives back the leases of workers that had no time to finish. Their items run again in the next process, which
    /// learns from the record what came of them.
    pub async fn return_leases(&self) {
        let held = self.leases.all();
        if held.is_empty() {
            return;
        }
        tracing::warn!(
            items = held.len(),
            "items of jobs were still running: their leases are returned"
        );
        let returning = Return {
            held,
            bell: self.bell.clone(),
        };
        if let Err(error) = self.store.change(returning).await {
            tracing::error!(error = %error, "leases could not be returned: the next process takes them back");
        }
    }

    /// One job.
    ///
    /// # Errors
    /// [`JobError::NotFound`] when it is not there or not theirs.
    pub async fn get(&self, viewer: Viewer, id: JobId) -> Result<Job, JobError> {
        let found = self.store.read_aside(move |rows| jobs::get(rows, id)).await?;
        found.filter(|job| viewer.sees(job)).ok_or(JobError::NotFound)
    }

    /// Up to `limit` items of a job from a position on, each with what it was answered if that is asked for.
    ///
    /// # Errors
    /// [`JobError::NotFound`] when the job is not there or not theirs.
    pub async fn items(
        &self,
        viewer: Viewer,
        id: JobId,
        from: u32,
        limit: usize,
        results: Results,
    ) -> Result<Vec<ItemReport>, JobError> {
        self.get(viewer, id).await?;
        let rows = self
            .store
            .read_aside(move |rows| read_items(rows, id, from, limit, results))
            .await?;
        rows.into_iter()
            .map(|(index, item, sealed)| {
                let at = ItemRef { job: id, index };
                let result = sealed.map(|sealed| self.vault.open_result(at, &sealed)).transpose()?;
                Ok(ItemReport { index, item, result })
            })
            .collect()
    }

    /// Its metadata and its webhook.
    ///
    /// # Errors
    /// [`JobError`] when it cannot be unsealed.
    pub fn private(&self, id: JobId, job: &Job) -> Result<Private, JobError> {
        self.vault.open_private(id, job)
    }

    /// Waits until a job has ended, or `patience` has passed. Returns how it stands then.
    ///
    /// # Errors
    /// [`JobError::NotFound`] when it is not there or not theirs.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn until_ended(&self, viewer: Viewer, id: JobId, patience: Duration) -> Result<Job, JobError> {
        let mut watch = self.hub.watch(id);
        let latest = tokio::time::sleep(patience);
        tokio::pin!(latest);
        loop {
            let job = self.get(viewer, id).await?;
            if job.state.is_finished() {
                return Ok(job);
            }
            tokio::select! {
                biased;
                () = watch.changed() => {}
                () = &mut latest => return Ok(job),
            }
        }
    }

    /// What seals and opens what jobs hold.
    #[must_use]
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Where changes of jobs are told.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// A number from 0 to 1. Without randomness it is a half: waits then are all alike, which is harmless.
    fn jitter(&self) -> f64 {
        entropy::random(self.entropy.as_ref())
            .map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }
}

/// Whether what items were answered is wanted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// It is.
    Included,
    /// It is not.
    LeftOut,
}

/// One item, and what it was answered.
#[derive(Clone, Debug)]
pub struct ItemReport {
    /// Its position.
    pub index: u32,
    /// The item.
    pub item: Item,
    /// What it was answered, if it was and if that was asked for.
    pub result: Option<Reply>,
}

type SealedItem = (u32, Item, Option<Vec<u8>>);

fn read_items(
    rows: &mut Reader,
    id: JobId,
    from: u32,
    limit: usize,
    results: Results,
) -> Result<Vec<SealedItem>, StoreError> {
    let items = item::of_job(rows, id, from, limit)?;
    items
        .into_iter()
        .map(|(index, item)| {
            let sealed = match results {
                Results::Included => item::result(rows, ItemRef { job: id, index })?,
                Results::LeftOut => None,
            };
            Ok((index, item, sealed))
        })
        .collect()
}

/// Questions about tasks that are under way at once.
const POLLS: usize = 16;
