//! Jobs: durable background work, made of items, each of them one call.
//!
//! Everything here is a value: what a job is, how its state follows from its items, what a change may be.

pub mod event;
pub mod item;
pub mod log;
pub mod queue;
pub mod retry;
pub mod state;

use serde::{Deserialize, Serialize};

pub use self::item::{Item, ItemRef, ItemState};
pub use self::queue::{Priority, QueueName};
pub use self::retry::RetryPolicy;
pub use self::state::{JobState, Tally};

use super::clock::Timestamp;
use super::id::{KeyId, OwnerId};

/// One job as it is stored. What is private of it (metadata, the webhook's address) is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose it is.
    pub owner: OwnerId,
    /// The key that submitted it. Its items run under whatever key its owner has then.
    pub key: Option<KeyId>,
    /// What it was submitted as.
    pub kind: JobKind,
    /// Where its items wait.
    pub queue: QueueName,
    /// Which of them are taken first.
    pub priority: Priority,
    /// How it stands. It follows from the rest, and is kept for the indexes.
    pub state: JobState,
    /// Whether an operator keeps it from running.
    pub hold: Hold,
    /// When somebody asked to cancel it.
    pub cancelled_at: Option<Timestamp>,
    /// How its items stand.
    pub tally: Tally,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Nothing of it runs before.
    pub not_before: Option<Timestamp>,
    /// What has not ended then is failed.
    pub deadline: Option<Timestamp>,
    /// When the first of its items was taken.
    pub started_at: Option<Timestamp>,
    /// When the last of its items ended.
    pub finished_at: Option<Timestamp>,
    /// What is tried again, and how often.
    pub retry: RetryPolicy,
    /// How long one attempt, and one task, may take.
    pub limits: TimeLimits,
    /// Metadata and webhook, sealed.
    pub private: Vec<u8>,
    /// Keyed digest of the idempotency key it was submitted with.
    pub idempotency: Option<[u8; 32]>,
    /// The sequence number of its last event.
    pub last_event: u64,
    /// The sequence number of its last log line.
    pub last_log: u64,
}

/// What a job was submitted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobKind {
    /// `POST /v1/jobs`.
    Batch,
    /// `POST /v1/images/generations` with a model of Jimeng's.
    Images,
    /// `POST /v1/videos`.
    Video,
}

/// Whether an operator keeps a job from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// It runs when its turn comes.
    Free,
    /// Nothing of it is taken until it is released: what a restored backup holds was perhaps done since.
    Held,
}

/// How long things of a job may take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimits {
    /// An attempt that takes longer is told of in an event. 1 to `hard`.
    pub soft: u32,
    /// An attempt that takes longer is cut. 1 to 86,400.
    pub hard: u32,
    /// From a task's submit to its end at the provider. 1 to 86,400.
    pub task: u32,
}

impl Default for TimeLimits {
    /// The roadmap backend's: 540 and 600 seconds. A task's result can be asked for during 12 hours.
    fn default() -> Self {
        Self {
            soft: 540,
            hard: 600,
            task: 12 * 3600,
        }
    }
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Batch, Self::Images, Self::Video];

    /// Its name in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Images => "images",
            Self::Video => "video",
        }
    }
}

impl Job {
    /// A batch of so many items that was accepted at a moment, by somebody who asked for nothing more.
    #[must_use]
    pub fn new(owner: OwnerId, queue: QueueName, items: u32, now: Timestamp) -> Self {
        Self {
            owner,
            key: None,
            kind: JobKind::Batch,
            queue,
            priority: Priority::default(),
            state: JobState::Queued,
            hold: Hold::Free,
            cancelled_at: None,
            tally: Tally::queued(items),
            created_at: now,
            not_before: None,
            deadline: None,
            started_at: None,
            finished_at: None,
            retry: RetryPolicy::default(),
            limits: TimeLimits::default(),
            private: Vec::new(),
            idempotency: None,
            last_event: 0,
            last_log: 0,
        }
    }

    /// How it stands, by its items.
    #[must_use]
    pub fn present_state(&self) -> JobState {
        match self.tally.outcome(self.cancelled_at.is_some()) {
            Some(ended) => ended,
            None if self.hold == Hold::Held => JobState::Held,
            None if self.tally.has_begun() => JobState::Running,
            None => JobState::Queued,
        }
    }

    /// Whether its items may be taken.
    #[must_use]
    pub const fn is_runnable(&self) -> bool {
        matches!(self.hold, Hold::Free) && self.cancelled_at.is_none()
    }
}
