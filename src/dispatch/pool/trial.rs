//! What one call has tried at one upstream, and what its accounts said to it.
//!
//! A 401, 402 or 403 may be the fault of the account or of the call. If every account that can be asked says the same to
//! one call, it is the call's, and no account changes for it. So these words are held back until another account
//! disagrees, or the call ends without having asked every account. A call that had only one account to ask cannot tell,
//! and then the account is held to its word. 429 is not held back: it speaks of a rate, cools for a while only, and is
//! where an honest `Retry-After` comes from.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::rotation;
use super::turn::Turn;
use crate::model::id::AccountId;
use crate::telemetry::metrics::RetryReason;
use crate::upstream::Symptom;

/// One call's way through one pool. Dropping it, as when the client hangs up, forgets what was held back.
#[derive(Debug)]
pub struct Trial {
    model: Arc<str>,
    bounds: Bounds,
    /// The accounts that it may not be sent to any more.
    tried: Vec<AccountId>,
    attempts: u32,
    switches: u32,
    reply: Reply,
    testimony: Testimony,
}

/// How far a call may go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most attempts that count: those that ended with a 429, a 5xx, or without a reply.
    pub max_attempts: u32,
    /// Until when a further attempt must have begun.
    pub latest: Instant,
    /// Whether it carries an idempotency key.
    pub keyed: Keyed,
}

/// Whether a call carries an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// It does: it is sent on only if it was certainly refused.
    Yes,
    /// It does not.
    No,
}

/// What an account said to this call, once it is known whose fault it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) account: AccountId,
    pub(super) generation: u64,
    pub(super) symptom: Symptom,
    pub(super) retry_after: Option<Duration>,
}

/// Whether a byte of a reply was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Awaited,
    Begun,
}

/// What the accounts have said so far.
#[derive(Debug)]
enum Testimony {
    /// Nothing, or all the same refusal.
    Agreed(Vec<Word>),
    /// It is known that they do not agree.
    Differing,
}

impl Trial {
    /// One that has tried nothing. `model` is what the model is called at this upstream.
    #[must_use]
    pub fn new(model: impl Into<Arc<str>>, bounds: Bounds) -> Self {
        Self {
            model: model.into(),
            bounds,
            tried: Vec::new(),
            attempts: 0,
            switches: 0,
            reply: Reply::Awaited,
            testimony: Testimony::Agreed(Vec::new()),
        }
    }

    /// Gives a turn back of which nothing was used: the account may be chosen again.
    #[expect(clippy::needless_pass_by_value, reason = "what was given back cannot be used")]
    pub fn give_back(&mut self, turn: Turn) {
        self.readmit(turn.account);
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(in crate::dispatch) const fn keyed(&self) -> Keyed {
        self.bounds.keyed
    }

    pub(super) const fn latest(&self) -> Instant {
        self.bounds.latest
    }

    /// Whether a further attempt may still begin.
    pub(in crate::dispatch) fn has_time(&self, now: Instant) -> bool {
        self.reply == Reply::Awaited && now < self.bounds.latest
    }

    pub(super) fn has_tried(&self, account: AccountId) -> bool {
        self.tried.contains(&account)
    }

    /// Whether no account was chosen for it yet.
    pub(super) const fn is_new(&self) -> bool {
        self.tried.is_empty() && self.attempts + self.switches == 0
    }

    pub(super) fn chose(&mut self, account: AccountId) {
        self.tried.push(account);
    }

    /// An account that it waited for may be chosen again.
    pub(super) fn readmit(&mut self, account: AccountId) {
        self.tried.retain(|tried| *tried != account);
    }

    /// A byte of a reply is about to be forwarded.
    pub(super) const fn begin_reply(&mut self) {
        self.reply = Reply::Begun;
    }

    /// Counts an attempt that failed for `reason`, and says whether another is within the bounds.
    pub(super) fn goes_on(&mut self, reason: RetryReason, now: Instant) -> bool {
        if rotation::counts(reason) {
            self.attempts += 1;
        } else {
            self.switches += 1;
        }
        self.has_time(now) && self.attempts < self.bounds.max_attempts && self.switches < MOST_SWITCHES
    }

    /// Hears what an account said. Given back is what may be acted upon now.
    pub(super) fn hear(&mut self, word: Word) -> Vec<Word> {
        let refusal = matches!(
            word.symptom,
            Symptom::Unauthorized | Symptom::Forbidden | Symptom::Exhausted
        );
        match &mut self.testimony {
            Testimony::Agreed(words) if refusal && words.iter().all(|held| held.symptom == word.symptom) => {
                words.push(word);
                Vec::new()
            }
            Testimony::Agreed(words) => {
                let mut words = std::mem::take(words);
                words.push(word);
                self.testimony = Testimony::Differing;
                words
            }
            Testimony::Differing => vec![word],
        }
    }

    /// The call ends. Given back is what may be acted upon, if not every account said the same.
    pub(super) fn conclude(&mut self, asked: Asked) -> Vec<Word> {
        match std::mem::replace(&mut self.testimony, Testimony::Differing) {
            Testimony::Agreed(words) if words.len() > 1 && asked == Asked::Everyone => Vec::new(),
            Testimony::Agreed(words) => words,
            Testimony::Differing => Vec::new(),
        }
    }
}

/// Whether a call has asked every account that could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Everyone,
    Some,
}

/// Most switches after 401, 402 and 403, which do not count as attempts: a call must not knock at a thousand doors. A pool
/// that is larger learns from each call what it can, and the next call begins where this one ended.
const MOST_SWITCHES: u32 = 100;
