//! What an attempt at an item, or a question about its task, came to, and what follows for the item.

use std::time::Duration;

use super::lease::MOST_LOST;
use crate::model::clock::Timestamp;
use crate::model::job::item::{ItemError, Task};
use crate::model::job::{Item, ItemState, Job};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is done.
    Succeeded(Outcome),
    /// It is rejected, or its task failed.
    Failed(ItemError, Option<Outcome>),
    /// It may not be made any more, and this time was not. What an earlier time left in the record stays there.
    Barred(ItemError, KeyUse),
    /// Nobody can know whether it was paid.
    Unknown {
        /// What is known.
        error: ItemError,
        /// Its intent in the log book.
        intent: Option<u64>,
        /// What came, if anything did.
        outcome: Option<Outcome>,
    },
    /// It was refused or not sent: another attempt, if there is one left.
    Retry {
        /// Why.
        error: ItemError,
        /// How long to wait.
        wait: Duration,
        /// Under which idempotency key.
        key: NextKey,
    },
    /// It was not let in at our own gates, or not recorded. That is not held against it.
    Bounced {
        /// Why.
        error: ItemError,
        /// How long to wait.
        wait: Duration,
    },
    /// It goes on by itself, or nobody could look: the same key will tell what came of it.
    Later {
        /// How long to wait.
        wait: Duration,
    },
    /// It took longer than it may and was cut. The same key will tell what came of it.
    Cut(ItemError),
    /// Its task runs at the provider.
    Polling {
        /// Its name there.
        task_id: String,
        /// When it is asked about first.
        wait: Duration,
    },
    /// Its task still runs.
    Pending {
        /// When it is asked about next.
        wait: Duration,
        /// Whether the provider said so, or did not answer.
        heard: Heard,
    },
    /// It was withdrawn.
    Cancelled,
}

/// What an item was answered, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The reply, sealed; `None` where it was too large to keep.
    pub(super) sealed: Option<Vec<u8>>,
    /// Its status.
    pub(super) status: u16,
    /// Until when what it names can be fetched.
    pub(super) expires_at: Option<Timestamp>,
}

/// Under which idempotency key the next attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextKey {
    /// The same one, which is free.
    Same,
    /// A new one: the old one's reply must not be replayed.
    New,
}

/// Whether an idempotency key may have been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyUse {
    No,
    Maybe,
}

/// Whether a provider answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Yes,
    No,
}

impl Ending {
    /// What it left to keep.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Succeeded(outcome) => Some(outcome),
            Self::Failed(_, outcome) | Self::Unknown { outcome, .. } => outcome.as_ref(),
            _ => None,
        }
    }

    /// Whether the idempotency key has told all that it ever will.
    pub(super) const fn spends_the_key(&self) -> bool {
        matches!(
            self,
            Self::Succeeded(_) | Self::Failed(..) | Self::Retry { .. } | Self::Polling { .. }
        )
    }

    /// Changes the item as this says, within what its job allows at `now`.
    pub(super) fn apply(self, item: &mut Item, job: &Job, now: Timestamp) {
        if let Some(outcome) = self.outcome() {
            item.status = Some(outcome.status);
            item.expires_at = outcome.expires_at;
        }
        match self {
            Self::Succeeded(outcome) => {
                item.attempts += u32::from(item.task.is_none());
                item.error = outcome.sealed.is_none().then(too_large);
                item.finish(ItemState::Succeeded, now);
            }
            Self::Failed(error, _) => {
                item.attempts += u32::from(item.task.is_none());
                item.error = Some(error);
                item.finish(ItemState::Failed, now);
            }
            Self::Barred(error, key) => {
                if key == KeyUse::No {
                    item.keyed_at = None;
                }
                item.error = Some(error);
                item.finish(ItemState::Failed, now);
            }
            Self::Unknown { error, intent, .. } => {
                item.attempts += 1;
                item.error = Some(error);
                item.intent = intent;
                item.finish(ItemState::Unknown, now);
            }
            Self::Retry { error, wait, key } => {
                item.attempts += 1;
                item.error = Some(error);
                item.keyed_at = None;
                if key == NextKey::New {
                    item.epoch += 1;
                }
                if item.attempts >= job.retry.max_attempts {
                    item.finish(ItemState::Dead, now);
                } else {
                    back(item, job, now, wait);
                }
            }
            Self::Bounced { error, wait } => {
                item.error = Some(error);
                item.keyed_at = None;
                back(item, job, now, wait);
            }
            Self::Later { wait } => back(item, job, now, wait),
            Self::Cut(error) => {
                item.lost += 1;
                item.error = Some(error);
                if item.lost > MOST_LOST {
                    item.finish(ItemState::Dead, now);
                } else {
                    back(item, job, now, AFTER_CUT);
                }
            }
            Self::Polling { task_id, wait } => {
                item.attempts += 1;
                item.error = None;
                item.task = Some(Task {
                    task_id,
                    submitted_at: now,
                    asked: 0,
                    unanswered: 0,
                });
                item.lease = None;
                if job.cancelled_at.is_some() {
                    item.finish(ItemState::Cancelled, now);
                } else if job.deadline.is_some_and(|deadline| deadline <= now) {
                    item.error = Some(past_the_deadline());
                    item.finish(ItemState::Failed, now);
                } else {
                    item.state = ItemState::Polling;
                    item.wake_at = Some(now.plus(wait));
                }
            }
            Self::Pending { wait, heard } => still_runs(item, job, now, wait, heard),
            Self::Cancelled => item.finish(ItemState::Cancelled, now),
        }
    }
}

/// Its task is asked about again, unless its job is cancelled or one of them is out of time.
fn still_runs(item: &mut Item, job: &Job, now: Timestamp, wait: Duration, heard: Heard) {
    let Some(task) = &mut item.task else { return };
    task.asked += 1;
    task.unanswered = match heard {
        Heard::Yes => 0,
        Heard::No => task.unanswered.saturating_add(1),
    };
    let ends_at = task.submitted_at.plus(Duration::from_secs(job.limits.task.into()));
    if job.cancelled_at.is_some() {
        item.finish(ItemState::Cancelled, now);
    } else if job.deadline.is_some_and(|deadline| deadline <= now) {
        item.error = Some(past_the_deadline());
        item.finish(ItemState::Failed, now);
    } else if ends_at <= now {
        item.error = Some(ItemError {
            code: "TASK_TIMEOUT".to_owned(),
            message: format!("the task had not ended after {} seconds", job.limits.task),
        });
        item.finish(ItemState::Failed, now);
    } else {
        item.wake_at = Some(now.plus(wait).min(ends_at));
    }
}

/// Back into the queue, unless its job is cancelled or out of time.
fn back(item: &mut Item, job: &Job, now: Timestamp, wait: Duration) {
    if job.cancelled_at.is_some() {
        return item.finish(ItemState::Cancelled, now);
    }
    if job.deadline.is_some_and(|deadline| deadline <= now) {
        item.error = Some(past_the_deadline());
        return item.finish(ItemState::Failed, now);
    }
    item.requeue(now, Some(now.plus(wait)).filter(|_| !wait.is_zero()));
    item.hold = job.hold;
}

/// Why what had not ended at its job's deadline is failed.
pub(super) fn past_the_deadline() -> ItemError {
    ItemError {
        code: "DEADLINE_EXCEEDED".to_owned(),
        message: "the job's deadline passed before it ended".to_owned(),
    }
}

/// Why there is no result, although there was one.
fn too_large() -> ItemError {
    ItemError {
        code: "RESULT_TOO_LARGE".to_owned(),
        message: format!("it succeeded, but its result has more than {MOST_RESULT} bytes and was not kept"),
    }
}

/// The largest result that is kept, in bytes.
pub(super) const MOST_RESULT: usize = 16 * 1024 * 1024;

/// How long after a cut it is looked what came of the call.
const AFTER_CUT: Duration = Duration::from_secs(5);
