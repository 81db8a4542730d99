//! What an operator sees of jobs: how they stand, never what they ask or were answered.

use poem_openapi::Object;

use super::super::view::{ItemErrorView, JobCounts};
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::{Hold, Item, ItemRef, Job};

/// A job in a list.
#[derive(Debug, Object)]
#[oai(rename = "JobSummary", skip_serializing_if_is_none)]
pub struct JobRow {
    /// `job_` and 32 hex digits.
    pub id: String,
    /// The rotation family it belongs to.
    pub owner: String,
    /// `batch`, `images` or `video`.
    pub kind: String,
    /// Where its items wait.
    pub queue: String,
    /// `queued`, `running`, `succeeded`, `partially_failed`, `failed`, `cancelled`, `dead` or `held`.
    pub state: String,
    /// 0 to 9; the highest is taken first.
    pub priority: u8,
    /// When it was accepted.
    pub created_at: String,
    /// When the first of its items was taken.
    pub started_at: Option<String>,
    /// When the last of its items ended.
    pub finished_at: Option<String>,
    /// How its items stand.
    pub counts: JobCounts,
    /// Failed and dead items of all, 0 to 1.
    pub failed_ratio: f64,
}

/// A page of jobs.
#[derive(Debug, Object)]
#[oai(rename = "JobSummaryPage")]
pub struct JobRowPage {
    /// Newest first.
    pub items: Vec<JobRow>,
    /// Where the next page begins; null on the last. A page with a rare filter may be short and have one.
    pub next_cursor: Option<String>,
}

/// A job, with what it was submitted with.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct JobDetail {
    /// How it stands.
    #[oai(flatten)]
    pub row: JobRow,
    /// The key that submitted it.
    pub key: Option<String>,
    /// Whether it is kept from running.
    pub held: bool,
    /// Nothing of it runs before.
    pub not_before: Option<String>,
    /// What has not ended then is failed.
    pub deadline: Option<String>,
    /// When somebody asked to cancel it.
    pub cancelled_at: Option<String>,
    /// Most attempts of an item.
    pub max_attempts: u32,
    /// How long an attempt may take before an event tells of it.
    pub soft_limit_seconds: u32,
    /// How long an attempt may take.
    pub hard_limit_seconds: u32,
    /// How long a task may take.
    pub task_limit_seconds: u32,
}

/// An item of a job.
#[derive(Debug, Object)]
#[oai(rename = "JobItemSummary", skip_serializing_if_is_none)]
pub struct ItemRow {
    /// Its position, from 0.
    pub index: u32,
    /// What it asks.
    pub operation: String,
    /// The model or `req_key` it names.
    pub model: Option<String>,
    /// `queued`, `running`, `polling`, `succeeded`, `failed`, `unknown`, `dead` or `cancelled`.
    pub state: String,
    /// Attempts that counted.
    pub attempts: u32,
    /// Leases that were lost with their worker.
    pub lost: u32,
    /// Since when it waits, or waited.
    pub queued_at: String,
    /// When it may be taken, when its lease ends, or when its task is asked about next.
    pub wake_at: Option<String>,
    /// Its task at the provider.
    pub task_id: Option<String>,
    /// How often its task was asked about.
    pub polls: Option<u32>,
    /// Its intent in the log book, where its outcome is unknown: `audit resolve` takes it.
    pub audit_id: Option<u64>,
    /// The HTTP status of its result.
    pub status: Option<u16>,
    /// Why it failed, or why its last attempt did.
    pub error: Option<ItemErrorView>,
    /// When it was first taken.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Until when what its result names can be fetched.
    pub expires_at: Option<String>,
}

/// A page of items.
#[derive(Debug, Object)]
#[oai(rename = "JobItemSummaryPage")]
pub struct ItemRowPage {
    /// In their order.
    pub items: Vec<ItemRow>,
    /// Where the next page begins; null on the last. A page of a rare state may be short and have one.
    pub next_cursor: Option<String>,
}

/// An item that ran out of attempts.
#[derive(Debug, Object)]
pub struct DeadLetter {
    /// Its job.
    pub job: String,
    /// Whose it is.
    pub owner: String,
    /// Where it waited.
    pub queue: String,
    /// The item.
    pub item: ItemRow,
}

/// A page of dead letters.
#[derive(Debug, Object)]
pub struct DeadLetterPage {
    /// Those of the oldest job first.
    pub items: Vec<DeadLetter>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl JobRow {
    /// A job as it stands.
    pub(super) fn new(id: JobId, job: &Job) -> Self {
        Self {
            id: id.to_string(),
            owner: job.owner.to_string(),
            kind: job.kind.label().to_owned(),
            queue: job.queue.to_string(),
            state: job.state.label().to_owned(),
            priority: job.priority.number(),
            created_at: job.created_at.to_string(),
            started_at: text(job.started_at),
            finished_at: text(job.finished_at),
            counts: JobCounts::from(&job.tally),
            failed_ratio: job.tally.failed_ratio(),
        }
    }
}

impl JobDetail {
    /// A job as it stands.
    pub(super) fn new(id: JobId, job: &Job) -> Self {
        Self {
            row: JobRow::new(id, job),
            key: job.key.map(|key| key.to_string()),
            held: job.hold == Hold::Held,
            not_before: text(job.not_before),
            deadline: text(job.deadline),
            cancelled_at: text(job.cancelled_at),
            max_attempts: job.retry.max_attempts,
            soft_limit_seconds: job.limits.soft,
            hard_limit_seconds: job.limits.hard,
            task_limit_seconds: job.limits.task,
        }
    }
}

impl ItemRow {
    /// An item as it stands.
    pub(super) fn new(index: u32, item: Item) -> Self {
        Self {
            index,
            operation: item.operation.label().to_owned(),
            model: item.model,
            state: item.state.label().to_owned(),
            attempts: item.attempts,
            lost: item.lost,
            queued_at: item.queued_at.to_string(),
            wake_at: text(item.wake_at),
            polls: item.task.as_ref().map(|task| task.asked),
            task_id: item.task.map(|task| task.task_id),
            audit_id: item.intent,
            status: item.status,
            error: item.error.map(|error| ItemErrorView {
                code: error.code,
                message: error.message,
            }),
            started_at: text(item.started_at),
            finished_at: text(item.finished_at),
            expires_at: text(item.expires_at),
        }
    }
}

impl DeadLetter {
    /// A dead item of a job.
    pub(super) fn new(at: ItemRef, job: &Job, item: Item) -> Self {
        Self {
            job: at.job.to_string(),
            owner: job.owner.to_string(),
            queue: job.queue.to_string(),
            item: ItemRow::new(at.index, item),
        }
    }
}

fn text(moment: Option<Timestamp>) -> Option<String> {
    moment.map(|moment| moment.to_string())
}
