//! A person decides the fate of an unknown outcome.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Recorder, bill};
use crate::crypto::digest::Digest;
use crate::model::id::AccountId;
use crate::model::operation::Class;
use crate::model::outcome::Outcome;
use crate::model::record::{Event, Intent, Resolution};
use crate::model::reply::Reply;
use crate::model::task::{SubmitRef, TaskState};
use crate::store::error::{StoreError, WriteError};
use crate::store::idempotency::{self, Fate, KeyUse};
use crate::store::tasks;
use crate::store::{Rows, Tables, Write, audit, spending};

/// What a person says of an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was never sent, or never done: the key is free, the slot is given back.
    NotSent,
    /// It created this task: from now on a repeat is answered with it.
    Task(String),
}

/// A resolution of the intent with a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The intent.
    pub intent: u64,
    /// What is said of it.
    pub verdict: Verdict,
    /// Who says so.
    pub actor: String,
}

/// An outcome cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such intent, or it was pruned.
    #[error("the log book has no intent with this number")]
    NotFound,
    /// Its outcome is known, or it is still in flight.
    #[error("the outcome of this intent is not unknown")]
    NotUnknown,
    /// A task id was named for something that is no submit.
    #[error("only a submit can be resolved with a task id")]
    NotASubmit,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) struct Apply {
    resolve: Resolve,
    upstream: &'static str,
    sealed: Option<Vec<u8>>,
}

impl Apply {
    pub(super) fn new(resolve: Resolve, recorder: &Recorder) -> Self {
        let sealed = match &resolve.verdict {
            Verdict::NotSent => None,
            Verdict::Task(task_id) => recorder.seal(resolve.intent, &found(task_id)),
        };
        Self {
            resolve,
            upstream: recorder.upstream,
            sealed,
        }
    }
}

/// The reply a repeat gets: what Volcengine answers to a submit, with the task that was found.
fn found(task_id: &str) -> Reply {
    let body = serde_json::json!({
        "code": 10_000, "data": { "task_id": task_id }, "message": "Success", "status": 10_000,
    });
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Reply {
        status: StatusCode::OK,
        headers,
        body: Bytes::from(body.to_string()),
    }
}

impl Write for Apply {
    type Plan = Box<Intent>;
    type Done = AccountId;
    type Refusal = ResolveError;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Box<Intent>, WriteError<ResolveError>> {
        let refuse = |error| Err(WriteError::Refused(error));
        let seq = self.resolve.intent;
        let Some(Event::Intent(intent)) = audit::get(rows, seq)?.map(|logged| logged.entry.event) else {
            return refuse(ResolveError::NotFound);
        };
        if tasks::open_intent(rows, seq)?.is_some() {
            return refuse(ResolveError::NotUnknown);
        }
        let submit = intent.operation.class() == Class::Submit;
        if matches!(self.resolve.verdict, Verdict::Task(_)) && !submit {
            return refuse(ResolveError::NotASubmit);
        }
        let unknown = if spending::doubt(rows, seq)?.is_some() {
            true
        } else if submit {
            let row = tasks::submit(
                rows,
                SubmitRef {
                    owner: intent.owner,
                    intent: seq,
                },
            )?;
            row.is_some_and(|row| row.outcome == Some(Outcome::Unknown))
        } else {
            let key = intent.idempotency.map(Digest::from_bytes);
            let usage = key.map(|key| idempotency::get(rows, &key)).transpose()?.flatten();
            usage.is_some_and(|usage| usage.intent == seq && usage.fate == Fate::Unknown)
        };
        if unknown {
            Ok(intent)
        } else {
            refuse(ResolveError::NotUnknown)
        }
    }

    fn apply(&mut self, intent: Box<Intent>, tables: &mut Tables<'_>) -> Result<AccountId, StoreError> {
        let seq = self.resolve.intent;
        let (outcome, task_id) = match &self.resolve.verdict {
            Verdict::NotSent => (Outcome::NotSent, None),
            Verdict::Task(task_id) => (Outcome::Succeeded, Some(task_id.clone())),
        };
        tables.append(Event::Resolved(Resolution {
            intent: seq,
            actor: self.resolve.actor.clone(),
            outcome,
            task_id: task_id.clone(),
        }))?;
        if let Some(key) = intent.idempotency.map(Digest::from_bytes)
            && let Some(usage) = idempotency::get(tables.view(), &key)?.filter(|usage| usage.intent == seq)
        {
            match &self.sealed {
                Some(sealed) => {
                    tables.put_reply(seq, sealed)?;
                    tables.put_key_use(
                        &key,
                        &KeyUse {
                            fate: Fate::Kept(outcome),
                            ..usage
                        },
                    )?;
                }
                None => tables.free_key(&key)?,
            }
        }
        let at = SubmitRef {
            owner: intent.owner,
            intent: seq,
        };
        let now = tables.now();
        if let Some(mut submit) = tasks::submit(tables.view(), at)? {
            submit.outcome = Some(outcome);
            submit.state = TaskState::Submitted;
            submit.task_id.clone_from(&task_id);
            submit.updated_at = now;
            tables.put_submit(at, &submit)?;
        }
        match task_id {
            Some(_) => drop(tables.take_doubt(seq)?),
            None => bill::give_back(tables, seq)?,
        }
        match task_id {
            Some(task_id) => {
                tables.put_task(self.upstream, &task_id, at)?;
                if let Some(mut slot) = tasks::running_task(tables.view(), intent.account, seq)? {
                    slot.task_id = Some(task_id);
                    slot.lapses_at = None;
                    tables.put_running_task(intent.account, seq, &slot)?;
                }
            }
            None => tables.remove_running_task(intent.account, seq)?,
        }
        Ok(intent.account)
    }
}
