//! One item of a job: one call, and how it stands.

use serde::{Deserialize, Serialize};

use super::Hold;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::operation::Operation;

/// Which item of which job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemRef {
    /// The job.
    pub job: JobId,
    /// Its position in it, from 0.
    pub index: u32,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ItemState {
    /// Waiting: for a worker, for its time, or for its next attempt.
    Queued,
    /// A worker has it.
    Running,
    /// Its task runs at the provider, which is asked about it from time to time. No worker has it.
    Polling,
    /// Its result is there.
    Succeeded,
    /// It was rejected, or its task failed.
    Failed,
    /// Nobody can know whether it was paid. Never sent again.
    Unknown,
    /// It ran out of attempts: a dead letter.
    Dead,
    /// Withdrawn before it ended.
    Cancelled,
}

/// One item as it is stored. What it asks and what it was answered are kept elsewhere, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it asks.
    pub operation: Operation,
    /// The model or `req_key` it names.
    pub model: Option<String>,
    /// How it stands.
    pub state: ItemState,
    /// Whether it is kept from being taken, as its job is.
    pub hold: Hold,
    /// Since when it waits: its place in the queue.
    pub queued_at: Timestamp,
    /// When something is due, by its state: queued, it may be taken from then on; running, its lease ends; polling, the
    /// provider is asked.
    pub wake_at: Option<Timestamp>,
    /// Attempts that counted: those that an upstream refused, or that could not reach one, or that it answered.
    pub attempts: u32,
    /// Leases that were lost with their worker.
    pub lost: u32,
    /// Which idempotency key its attempts use: a new one each time that an older one must not be replayed.
    pub epoch: u32,
    /// Since when the present key may have been used, until it has told what came of it. Beyond `IDEMPOTENCY_TTL` nobody
    /// could tell any more.
    pub keyed_at: Option<Timestamp>,
    /// The worker's hold, while it runs.
    pub lease: Option<Lease>,
    /// Its task at the provider, once known.
    pub task: Option<Task>,
    /// Its intent in the log book, where its outcome is unknown.
    pub intent: Option<u64>,
    /// Why it failed, or why its last attempt did.
    pub error: Option<ItemError>,
    /// The HTTP status of its result.
    pub status: Option<u16>,
    /// Until when what its result names can be fetched.
    pub expires_at: Option<Timestamp>,
    /// When it was first taken.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A worker's hold on an item. Its number is a fence: what a worker says whose lease was taken back is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The boot that gave it.
    pub boot: u64,
    /// Its number, which no other lease of that boot has.
    pub number: u64,
}

/// A provider's task that is polled to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name at the provider.
    pub task_id: String,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// How often the provider was asked.
    pub asked: u32,
    /// How often in a row it did not answer.
    pub unanswered: u32,
}

/// Why an item, or an attempt of it, failed. The words are ours: what the provider said is in the sealed result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// A stable word, or the provider's own number.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// What an item asks, as it is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemBody {
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The task that it names, for a query.
    pub task_id: Option<String>,
    /// What its task is asked with: the `req_json` of a query.
    pub req_json: Option<String>,
    /// What its client calls the model that it names, where that is another name.
    pub alias: Option<String>,
}

impl ItemState {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Polling,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Its name in JSON and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Polling => "polling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that `label` names.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.label() == label)
    }

    /// Whether nothing of it will change unless somebody asks for a retry.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Polling)
    }
}

impl Item {
    /// A new one, which may be taken from `not_before` on.
    #[must_use]
    pub const fn new(
        operation: Operation,
        model: Option<String>,
        now: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Self {
        Self {
            operation,
            model,
            state: ItemState::Queued,
            hold: Hold::Free,
            queued_at: now,
            wake_at: not_before,
            attempts: 0,
            lost: 0,
            epoch: 0,
            keyed_at: None,
            lease: None,
            task: None,
            intent: None,
            error: None,
            status: None,
            expires_at: None,
            started_at: None,
            finished_at: None,
        }
    }

    /// The name of its task, if the provider never said that the task has ended.
    #[must_use]
    pub fn unfinished_task(&self) -> Option<&str> {
        let task = self.task.as_ref().filter(|_| self.status.is_none());
        task.map(|task| task.task_id.as_str())
    }

    /// Ends it.
    pub fn finish(&mut self, state: ItemState, now: Timestamp) {
        self.state = state;
        self.wake_at = None;
        self.lease = None;
        self.finished_at = Some(now);
    }

    /// Puts it back into the queue, to be taken at `wake_at` or at once.
    pub fn requeue(&mut self, now: Timestamp, wake_at: Option<Timestamp>) {
        self.state = ItemState::Queued;
        self.queued_at = now;
        self.wake_at = wake_at;
        self.lease = None;
        self.finished_at = None;
    }
}
