//! Upstreams: how a call looks on a provider's wire, and what its reply means. Only `transport` does I/O, and
//! `media` through it.

pub mod error;
pub mod mark;
pub mod media;
pub mod openai;
pub mod transport;
pub mod volcengine;

use crate::model::outcome::Outcome;
use crate::model::task::TaskState;

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it counts for a paid call. For a query, [`Outcome::Succeeded`] is any answer that tells something.
    pub outcome: Outcome,
    /// Whether the reply itself may be passed on.
    pub form: Form,
    /// The provider's own code.
    pub code: Option<i64>,
    /// The task that a submit created.
    pub task_id: Option<String>,
    /// The state that a query told.
    pub state: Option<TaskState>,
    /// The provider's name for the request.
    pub upstream_request: Option<String>,
    /// Whether the same attempt may be made again.
    pub again: Again,
    /// What it says of the account that got it.
    pub symptom: Symptom,
}

/// What kind of body a reply has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON object: it passes unchanged.
    Object,
    /// Anything else: an error keeps its status in our envelope, a success is unusable.
    Other,
}

impl Form {
    /// What kind of body this is. It is read to its end, without a tree.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
        let object = begins == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
        if object { Self::Object } else { Self::Other }
    }
}

/// What a reply says of the account that got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symptom {
    /// It serves.
    Healthy,
    /// Nothing: the mistake is the client's own.
    Neutral,
    /// Its credential is not valid (401).
    Unauthorized,
    /// It may not use this model (403).
    Forbidden,
    /// Its money or plan is spent (402, quota messages).
    Exhausted,
    /// It is asked too often (429).
    Limited,
    /// The upstream behind it fails (5xx).
    Failing,
}

/// Whether an attempt may be repeated, as far as its reply tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It may not: it was done, or would only be rejected again.
    No,
    /// The provider refused it outright, for now: even a paid call may be repeated.
    Refused,
    /// The provider failed: only what is free may be repeated.
    Failed,
}
