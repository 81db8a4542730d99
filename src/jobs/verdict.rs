//! What a call's answer comes to for its item.

use std::time::Duration;

use http::StatusCode;

use super::ending::{Ending, KeyUse, NextKey, Outcome};
use crate::admission::error::Rejected;
use crate::model::catalogue::NoRoute;
use crate::model::job::item::ItemError;
use crate::model::job::retry::UnknownCalls;
use crate::model::job::{Item, RetryPolicy};
use crate::model::operation::Class;
use crate::model::outcome;
use crate::record::error::RecordError;
use crate::relay::error::{Failure, RelayError};
use crate::relay::meaning::Meaning;

/// What decides whether there is another attempt, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leeway<'a> {
    pub(super) item: &'a Item,
    /// Whether an earlier attempt may have used its idempotency key.
    pub(super) key: KeyUse,
    pub(super) retry: RetryPolicy,
    /// From 0 to 1.
    pub(super) jitter: f64,
}

/// By a reply, whose result is `kept`.
pub(super) fn of_reply(meaning: Meaning, kept: Outcome, intent: Option<u64>, leeway: Leeway<'_>) -> Ending {
    let status = kept.status;
    let error = |sentence: &str| ItemError {
        code: meaning.code.map_or_else(|| status.to_string(), |code| code.to_string()),
        message: sentence.to_owned(),
    };
    match meaning.outcome {
        outcome::Outcome::Succeeded => match meaning.task_id {
            Some(task_id) => Ending::Polling {
                task_id,
                wait: FIRST_QUESTION,
            },
            None => Ending::Succeeded(kept),
        },
        outcome::Outcome::Rejected => Ending::Failed(error("the upstream rejected it"), Some(kept)),
        outcome::Outcome::Refused | outcome::Outcome::NotSent => {
            leeway.retry(error("the upstream refused it"), meaning.retry_after)
        }
        outcome::Outcome::Unknown => leeway.unknown(error("the upstream failed"), intent, Some(kept)),
    }
}

/// By the lack of one.
pub(super) fn of_error(cause: &RelayError, leeway: Leeway<'_>) -> Ending {
    let message = cause.to_string();
    let error = |code: &str| ItemError {
        code: code.to_owned(),
        message: message.clone(),
    };
    let bounced = |code, wait: Duration| Ending::Bounced {
        error: error(code),
        wait: wait.mul_f64(1.0 + leeway.jitter / 2.0),
    };
    match cause {
        RelayError::Rejected(rejected) => match rejected {
            Rejected::KeyBusy { retry_after } | Rejected::OverQuota { retry_after, .. } => {
                bounced("RATE_LIMITED", *retry_after)
            }
            Rejected::QueueFull { retry_after } => bounced("QUEUE_FULL", *retry_after),
            Rejected::QueueTimeout { retry_after } => bounced("QUEUE_TIMEOUT", *retry_after),
            Rejected::Draining => bounced("DRAINING", Duration::ZERO),
            Rejected::NoAccount => bounced("NO_ACCOUNT", NO_ACCOUNT),
        },
        RelayError::Unusable(unusable) => bounced("NO_ACCOUNT", unusable.retry_after.min(NO_ACCOUNT)),
        RelayError::Record(RecordError::TooSlow | RecordError::Full(_)) => bounced("AUDIT_UNAVAILABLE", SHORTLY),
        // The key is in use: an earlier attempt goes on, or the store could not be asked.
        RelayError::Record(RecordError::InFlight | RecordError::Unavailable(_))
        | RelayError::Store(_)
        | RelayError::Interrupted
        | RelayError::Deadline { intent: Some(_) } => Ending::Later { wait: SHORTLY },
        RelayError::Record(RecordError::OutcomeUnknown { intent }) => {
            leeway.unknown(error("OUTCOME_UNKNOWN"), Some(*intent), None)
        }
        // It was done, and paid: under another key it would be paid again.
        RelayError::Record(RecordError::ReplayUnavailable { .. }) => {
            Ending::Barred(error("REPLAY_UNAVAILABLE"), KeyUse::Maybe)
        }
        RelayError::Record(RecordError::Conflict) => Ending::Barred(error("IDEMPOTENCY_CONFLICT"), KeyUse::Maybe),
        RelayError::NoRoute(NoRoute::Unnamed) => leeway.barred(error("VALIDATION_FAILED")),
        RelayError::NoRoute(NoRoute::Unknown(_)) => leeway.barred(error("MODEL_NOT_FOUND")),
        RelayError::ModelDenied | RelayError::Unpriced { .. } => leeway.barred(error("MODEL_DENIED")),
        // It never fits, however long it waits.
        RelayError::Record(RecordError::OverBudget { over, .. }) if over.needed > over.limit => {
            leeway.barred(error("QUOTA_EXCEEDED"))
        }
        // Everything that waits for the same moment need not come at once.
        RelayError::Record(RecordError::OverBudget { resets_in, .. }) => Ending::Bounced {
            error: error("QUOTA_EXCEEDED"),
            wait: *resets_in + SPREAD.mul_f64(leeway.jitter),
        },
        RelayError::ContextExceeded(_) => leeway.barred(error("context_length_exceeded")),
        RelayError::TaskNotFound => Ending::Failed(error("NOT_FOUND"), None),
        RelayError::Deadline { intent: None } => leeway.retry(error("UPSTREAM_TIMEOUT"), None),
        RelayError::Upstream { cause, intent } => {
            let code = match cause {
                Failure::Timeout => "UPSTREAM_TIMEOUT",
                _ => "UPSTREAM_FAILED",
            };
            match (cause, intent) {
                (Failure::Status { status, .. }, Some(_)) if is_rejection(*status) => Ending::Failed(error(code), None),
                (_, Some(intent)) => leeway.unknown(error(code), Some(*intent), None),
                (_, None) => leeway.retry(error(code), None),
            }
        }
    }
}

impl Leeway<'_> {
    const fn barred(&self, error: ItemError) -> Ending {
        Ending::Barred(error, self.key)
    }

    fn retry(&self, error: ItemError, asked: Option<Duration>) -> Ending {
        Ending::Retry {
            error,
            wait: self.retry.wait(self.item.attempts + 1, self.jitter, asked),
            key: NextKey::Same,
        }
    }

    /// What may have been paid stays as it is, unless its submitter said otherwise; a submit always does.
    fn unknown(&self, error: ItemError, intent: Option<u64>, outcome: Option<Outcome>) -> Ending {
        let class = self.item.operation.class();
        let again = match class {
            Class::Submit => false,
            Class::Call => self.retry.unknown_calls == UnknownCalls::Retry,
            Class::Query => true,
        };
        if again {
            return Ending::Retry {
                error,
                wait: self.retry.wait(self.item.attempts + 1, self.jitter, None),
                key: NextKey::New,
            };
        }
        Ending::Unknown { error, intent, outcome }
    }
}

/// A client's own mistake, in words that are no JSON.
fn is_rejection(status: StatusCode) -> bool {
    status.is_client_error()
}

/// When a task is asked about first: none is done sooner.
pub(super) const FIRST_QUESTION: Duration = Duration::from_secs(2);

/// When to look again for what goes on by itself.
const SHORTLY: Duration = Duration::from_secs(5);

/// Over how long what waited for a budget comes back.
const SPREAD: Duration = Duration::from_mins(1);

/// The longest pause where no account can be used: a person, or a cooling account, may change that any time.
const NO_ACCOUNT: Duration = Duration::from_secs(30);
