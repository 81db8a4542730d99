//! The queues: the gates of accounts, and where items of jobs wait.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::By;
use crate::api::error::{ApiError, Code};
use crate::api::guard::{Authorized, NoBody, ToAdmin};
use crate::api::{Services, Tag};
use crate::jobs;
use crate::model::job::QueueName;
use crate::model::job::queue::{QueueMode, QueueRow, Standing};

/// How one gate of an account stands.
#[derive(Debug, Object)]
#[oai(rename = "Gate")]
pub struct GateView {
    /// The upstream.
    pub upstream: String,
    /// The account.
    pub account: String,
    /// `submit`, `call` or `query`.
    pub class: String,
    /// How many may be in flight.
    pub slots: u64,
    /// How many are.
    pub in_use: u64,
    /// How many may wait.
    pub capacity: u64,
    /// How many do.
    pub waiting: u64,
    /// How long the oldest waiter has waited; null when nobody waits.
    pub oldest_wait_seconds: Option<f64>,
}

/// How one queue of jobs stands.
#[derive(Debug, Object)]
#[oai(rename = "Queue")]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// `open`; `paused`: nothing is taken; `draining`: nothing new is let in, and what is there is finished.
    pub mode: String,
    /// How many of its items may run at once; null for one that is not configured any more, whose items wait.
    pub concurrency: Option<u64>,
    /// How many items stand how.
    pub items: StandingCounts,
    /// How many wait to be taken: ready, delayed, retrying and held ones. It is `enqueued` less `taken`.
    pub backlog: u64,
    /// How long the item has waited that has waited longest of those that are ready; null when none is.
    pub oldest_age_seconds: Option<f64>,
    /// Items that came to wait, since the store was made: new ones and those that were put back.
    pub enqueued: u64,
    /// Items that left the wait: taken or cancelled.
    pub taken: u64,
    /// Items that ended.
    pub ended: u64,
    /// Items that end in a minute, by those of the last one; null until the server has run for some seconds.
    pub throughput_per_minute: Option<f64>,
}

/// How many items stand how.
#[derive(Debug, Object)]
#[oai(rename = "QueueCounts")]
pub struct StandingCounts {
    /// They may be taken at once.
    pub ready: u64,
    /// Their time has not come.
    pub delayed: u64,
    /// They wait for their next attempt.
    pub retrying: u64,
    /// Their job is held.
    pub held: u64,
    /// A worker has them.
    pub running: u64,
    /// Their task is polled.
    pub polling: u64,
    /// They succeeded. Those that ended count as long as their job is kept.
    pub succeeded: u64,
    /// They failed.
    pub failed: u64,
    /// Their outcome is unknown.
    pub unknown: u64,
    /// They ran out of attempts.
    pub dead: u64,
    /// They were cancelled.
    pub cancelled: u64,
}

/// Every queue.
#[derive(Debug, Object)]
pub struct QueuePage {
    /// The gates, by upstream, account and class.
    pub items: Vec<GateView>,
    /// The queues of jobs, by name.
    pub queues: Vec<QueueView>,
    /// Always null: there are few.
    pub next_cursor: Option<String>,
}

/// The operator's routes of queues.
pub struct QueuesApi;

#[OpenApi(tag = "Tag::Queues")]
impl QueuesApi {
    /// Show the queues
    ///
    /// How every account's gates stand, by operation class, and every queue of jobs.
    #[oai(path = "/admin/queues", method = "get", operation_id = "queues_list")]
    async fn list(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<QueuePage>, ApiError> {
        let services = &authorized.services;
        let gates = services.admission.view().into_iter().map(|view| GateView {
            upstream: view.upstream.as_ref().to_owned(),
            account: view.account,
            class: view.class.label().to_owned(),
            slots: view.snapshot.slots as u64,
            in_use: view.snapshot.in_use as u64,
            capacity: view.snapshot.queue as u64,
            waiting: (view.snapshot.waiting_interactive + view.snapshot.waiting_background) as u64,
            oldest_wait_seconds: view.snapshot.oldest_wait.map(|wait| wait.as_secs_f64()),
        });
        let queues = services.jobs.queues().await?;
        Ok(Json(QueuePage {
            items: gates.collect(),
            queues: queues.iter().map(|view| QueueView::new(view, services)).collect(),
            next_cursor: None,
        }))
    }

    /// Show a queue of jobs
    ///
    /// How many of its items stand how, for how long the oldest has waited, and how many end in a minute.
    #[oai(path = "/admin/queues/:name", method = "get", operation_id = "queues_get")]
    async fn show(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Its name.
        name: Path<String>,
    ) -> Result<Json<QueueView>, ApiError> {
        one(&authorized.services, &queue(&name.0)?).await.map(Json)
    }

    /// Pause a queue of jobs
    ///
    /// None of its items is taken until it is resumed. New ones are let in, and what runs goes on.
    #[oai(path = "/admin/queues/:name/pause", method = "post", operation_id = "queues_pause")]
    async fn pause(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Its name.
        name: Path<String>,
    ) -> Result<Json<QueueView>, ApiError> {
        let by = By::of(&authorized);
        set(by, &name.0, QueueMode::Paused, "queue.pause").await
    }

    /// Drain a queue of jobs
    ///
    /// Nothing new is let in until it is resumed; what is there is finished.
    #[oai(path = "/admin/queues/:name/drain", method = "post", operation_id = "queues_drain")]
    async fn drain(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Its name.
        name: Path<String>,
    ) -> Result<Json<QueueView>, ApiError> {
        let by = By::of(&authorized);
        set(by, &name.0, QueueMode::Draining, "queue.drain").await
    }

    /// Resume a queue of jobs
    ///
    /// Whether it was paused or drained.
    #[oai(path = "/admin/queues/:name/resume", method = "post", operation_id = "queues_resume")]
    async fn resume(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Its name.
        name: Path<String>,
    ) -> Result<Json<QueueView>, ApiError> {
        let by = By::of(&authorized);
        set(by, &name.0, QueueMode::Open, "queue.resume").await
    }
}

async fn set(by: By<'_>, name: &str, mode: QueueMode, action: &str) -> Result<Json<QueueView>, ApiError> {
    let name = queue(name)?;
    // Of a queue that is not configured nothing is taken or let in, whatever its mode.
    if !by.services.jobs.has_queue(&name) {
        return Err(no_such_queue());
    }
    by.services.jobs.set_mode(&name, mode).await?;
    by.note(action, name.to_string()).await?;
    one(by.services, &name).await.map(Json)
}

async fn one(services: &Services, name: &QueueName) -> Result<QueueView, ApiError> {
    let queues = services.jobs.queues().await?;
    let found = queues.iter().find(|view| view.name == *name);
    found
        .map(|view| QueueView::new(view, services))
        .ok_or_else(no_such_queue)
}

fn queue(name: &str) -> Result<QueueName, ApiError> {
    name.parse().map_err(|_| no_such_queue())
}

fn no_such_queue() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such queue")
}

impl QueueView {
    fn new(view: &jobs::QueueView, services: &Services) -> Self {
        let (row, clock) = (&view.row, &services.clock);
        Self {
            name: view.name.to_string(),
            mode: row.mode.label().to_owned(),
            concurrency: view.concurrency.map(|concurrency| concurrency.get() as u64),
            items: StandingCounts::new(row),
            backlog: row.backlog(),
            oldest_age_seconds: view.oldest.map(|since| clock.wall().since(since).as_secs_f64()),
            enqueued: row.enqueued,
            taken: row.taken,
            ended: row.ended,
            throughput_per_minute: services.throughput.per_minute(&view.name, row.ended, clock.monotonic()),
        }
    }
}

impl StandingCounts {
    fn new(row: &QueueRow) -> Self {
        Self {
            ready: row.of(Standing::Ready),
            delayed: row.of(Standing::Delayed),
            retrying: row.of(Standing::Retrying),
            held: row.of(Standing::Held),
            running: row.of(Standing::Running),
            polling: row.of(Standing::Polling),
            succeeded: row.of(Standing::Succeeded),
            failed: row.of(Standing::Failed),
            unknown: row.of(Standing::Unknown),
            dead: row.of(Standing::Dead),
            cancelled: row.of(Standing::Cancelled),
        }
    }
}
