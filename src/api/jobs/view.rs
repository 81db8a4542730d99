//! How jobs and their items are shown.

use std::net::SocketAddr;

use bytes::Bytes;
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{Any, Type};
use poem_openapi::{ApiResponse, Object};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::relayed::told;
use crate::jobs::{ItemReport, JobError, Jobs, Private};
use crate::model::clock::Timestamp;
use crate::model::http_url::{Host, Scheme};
use crate::model::id::JobId;
use crate::model::job::{ItemState, Job, Tally};
use crate::model::webhook::WebhookUrl;

/// How the items of a job stand. They add up to `total`.
#[derive(Debug, Object, serde::Serialize)]
pub struct JobCounts {
    /// How many there are.
    pub total: u32,
    /// Waiting: for a worker, for their time, or for their next attempt.
    pub queued: u32,
    /// In a worker's hands.
    pub running: u32,
    /// Their tasks run at the provider.
    pub polling: u32,
    /// Their results are there.
    pub succeeded: u32,
    /// Rejected, or their tasks failed.
    pub failed: u32,
    /// Nobody can know whether they were paid.
    pub unknown: u32,
    /// Out of attempts.
    pub dead: u32,
    /// Withdrawn.
    pub cancelled: u32,
}

/// A job.
#[derive(Debug, Object)]
#[oai(rename = "Job")]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// Always `job`.
    pub object: String,
    /// `batch`, `images` or `video`.
    pub kind: String,
    /// The rotation family it belongs to.
    pub owner: String,
    /// Where its items wait.
    pub queue: String,
    /// `queued`, `running`, `succeeded`, `partially_failed`, `failed`, `cancelled`, `dead` or `held`.
    pub state: String,
    /// 0 to 9, the highest first.
    pub priority: u8,
    /// When it was accepted.
    pub created_at: String,
    /// Nothing of it runs before.
    pub not_before: Option<String>,
    /// What has not ended then is failed.
    pub deadline: Option<String>,
    /// When the first of its items was taken.
    pub started_at: Option<String>,
    /// When the last of its items ended.
    pub finished_at: Option<String>,
    /// How its items stand.
    pub counts: JobCounts,
    /// Failed and dead items of all, 0 to 1.
    pub failed_ratio: f64,
    /// What was noted with it.
    pub metadata: Any<Value>,
    /// Where its end is told; its path and query are not shown.
    pub webhook: Option<String>,
}

/// A page of jobs.
#[derive(Debug, Object)]
pub struct JobPage {
    /// Newest first.
    pub items: Vec<JobView>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Why an item failed, or why its last attempt did.
#[derive(Debug, Object, serde::Serialize)]
#[oai(rename = "JobItemError")]
pub struct ItemErrorView {
    /// A stable word, or the provider's own number.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// What an item was answered.
#[derive(Debug, Object)]
#[oai(rename = "JobItemResult")]
pub struct ItemResultView {
    /// The upstream's status.
    pub status: u16,
    /// The upstream's body, byte for byte.
    pub body: Any<Value>,
    /// Until when what it names can be fetched; null where nothing of it expires.
    pub expires_at: Option<String>,
}

/// An item of a job.
#[derive(Debug, Object)]
#[oai(rename = "JobItem")]
pub struct ItemView {
    /// Its position, from 0.
    pub index: u32,
    /// What it asks.
    pub operation: String,
    /// The model it names.
    pub model: Option<String>,
    /// `queued`, `running`, `polling`, `succeeded`, `failed`, `unknown`, `dead` or `cancelled`.
    pub state: String,
    /// Attempts that counted.
    pub attempts: u32,
    /// Its task at the provider.
    pub task_id: Option<String>,
    /// Its intent in the log book, where its outcome is unknown.
    pub audit_id: Option<u64>,
    /// When its next attempt, or the next question about its task, is due.
    pub due_at: Option<String>,
    /// When it was first taken.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Why it failed, or why its last attempt did.
    pub error: Option<ItemErrorView>,
    /// What it was answered.
    pub result: Option<ItemResultView>,
}

/// A page of items.
#[derive(Debug, Object)]
#[oai(rename = "JobItemPage")]
pub struct ItemPage {
    /// In their order.
    pub items: Vec<ItemView>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl From<&Tally> for JobCounts {
    fn from(tally: &Tally) -> Self {
        Self {
            total: tally.total(),
            queued: tally.of(ItemState::Queued),
            running: tally.of(ItemState::Running),
            polling: tally.of(ItemState::Polling),
            succeeded: tally.of(ItemState::Succeeded),
            failed: tally.of(ItemState::Failed),
            unknown: tally.of(ItemState::Unknown),
            dead: tally.of(ItemState::Dead),
            cancelled: tally.of(ItemState::Cancelled),
        }
    }
}

impl JobView {
    /// How a job is shown to those who may see it.
    ///
    /// # Errors
    /// [`JobError`] when what is sealed of it cannot be opened.
    pub fn new(jobs: &Jobs, id: JobId, job: &Job) -> Result<Self, JobError> {
        let Private { metadata, webhook, .. } = jobs.private(id, job)?;
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        Ok(Self {
            id: id.to_string(),
            object: "job".to_owned(),
            kind: job.kind.label().to_owned(),
            owner: job.owner.to_string(),
            queue: job.queue.to_string(),
            state: job.state.label().to_owned(),
            priority: job.priority.number(),
            created_at: job.created_at.to_string(),
            not_before: text(job.not_before),
            deadline: text(job.deadline),
            started_at: text(job.started_at),
            finished_at: text(job.finished_at),
            counts: JobCounts::from(&job.tally),
            failed_ratio: job.tally.failed_ratio(),
            metadata: Any(serde_json::from_str(&metadata).unwrap_or_default()),
            webhook: webhook.as_ref().map(origin_of),
        })
    }
}

/// Whom a webhook's address names. Its path and query may hold a secret.
fn origin_of(url: &WebhookUrl) -> String {
    let scheme = match url.scheme() {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    match url.host() {
        Host::Name(name) => format!("{scheme}://{name}:{}", url.port()),
        Host::Address(address) => format!("{scheme}://{}", SocketAddr::new(*address, url.port())),
    }
}

/// An item as it is written: its result's body as it came.
#[derive(serde::Serialize)]
struct WrittenItem<'a> {
    index: u32,
    operation: &'static str,
    model: Option<&'a str>,
    state: &'static str,
    attempts: u32,
    task_id: Option<&'a str>,
    audit_id: Option<u64>,
    due_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    error: Option<ItemErrorView>,
    result: Option<WrittenResult>,
}

#[derive(serde::Serialize)]
struct WrittenResult {
    status: u16,
    body: Box<RawValue>,
    expires_at: Option<String>,
}

#[derive(serde::Serialize)]
struct WrittenPage<'a> {
    items: Vec<WrittenItem<'a>>,
    next_cursor: Option<String>,
}

impl<'a> WrittenItem<'a> {
    fn new(report: &'a ItemReport) -> Self {
        let ItemReport { index, item, result } = report;
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        Self {
            index: *index,
            operation: item.operation.name(),
            model: item.model.as_deref(),
            state: item.state.label(),
            attempts: item.attempts,
            task_id: item.task.as_ref().map(|task| task.task_id.as_str()),
            audit_id: item.intent,
            due_at: text(item.wake_at.filter(|_| item.state != ItemState::Running)),
            started_at: text(item.started_at),
            finished_at: text(item.finished_at),
            error: item.error.as_ref().map(|error| ItemErrorView {
                code: error.code.clone(),
                message: error.message.clone(),
            }),
            result: result.as_ref().map(|reply| WrittenResult {
                status: reply.status.as_u16(),
                body: raw(&reply.body),
                expires_at: text(item.expires_at),
            }),
        }
    }
}

/// JSON as it came, and anything else as a string.
fn raw(body: &Bytes) -> Box<RawValue> {
    let text = String::from_utf8_lossy(body).into_owned();
    RawValue::from_string(text)
        .or_else(|_| serde_json::value::to_raw_value(&String::from_utf8_lossy(body)))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A page of items, written as it will be sent: results hold numbers and fields that a tree would change.
pub struct WrittenItems(String);

impl WrittenItems {
    /// A page.
    #[must_use]
    pub fn new(reports: &[ItemReport], next_cursor: Option<String>) -> Self {
        let page = WrittenPage {
            items: reports.iter().map(WrittenItem::new).collect(),
            next_cursor,
        };
        // Strings, numbers and JSON that was read before: writing them cannot fail.
        Self(serde_json::to_string(&page).unwrap_or_default())
    }
}

impl IntoResponse for WrittenItems {
    fn into_response(self) -> Response {
        Response::builder().content_type("application/json").body(self.0)
    }
}

impl ApiResponse for WrittenItems {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A page of items.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: ItemPage::schema_ref(),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ItemPage::register(registry);
    }
}

/// The answer to a submission: 202 with the job and where it is.
pub struct Accepted {
    /// The job.
    pub view: JobView,
    /// Whether an earlier submission with the same key had made it.
    pub repeated: bool,
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        use poem_openapi::types::ToJSON;
        let location = format!("/v1/jobs/{}", self.view.id);
        let mut response = Response::builder()
            .status(http::StatusCode::ACCEPTED)
            .header(http::header::LOCATION, location)
            .content_type("application/json");
        if self.repeated {
            response = response.header("idempotency-replayed", "true");
        }
        response.body(self.view.to_json_string())
    }
}

impl ApiResponse for Accepted {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The job is on the disk.",
                status: Some(202),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: JobView::schema_ref(),
                }],
                headers: vec![
                    told("Location", "Where the job is."),
                    told(
                        "Idempotency-Replayed",
                        "`true` when an earlier submission with the same key made it.",
                    ),
                ],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        JobView::register(registry);
    }
}
