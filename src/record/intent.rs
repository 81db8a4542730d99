//! The record before: one commit with the intent, what it holds of its owner's budget, the use of the idempotency key,
//! the submit's row and its running slot.

use std::sync::Arc;

use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::id::AccountId;
use crate::model::money::{Budget, OverBudget};
use crate::model::operation::Class;
use crate::model::outcome::{Outcome, Reason};
use crate::model::record::{Event, Intent, Reroute, Settlement};
use crate::model::task::{RunningTask, Submit, SubmitRef, TaskState};
use crate::store::error::{StoreError, WriteError};
use crate::store::idempotency::{self, Fate, KeyUse};
use crate::store::tasks::{self, OpenIntent};
use crate::store::{Change, Job, Rows, Tables, Write, unattended};

use super::bill::{self, Bill};
use super::claim::Guard;
use super::settlement::Settle;

/// Whether a slot of the running-task limit comes with the intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningSlot {
    /// The account has no such limit, or the call creates no task.
    None,
    /// One is taken.
    Taken,
}

/// How a call uses an idempotency key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    /// Digest of owner and key.
    pub(super) key: Digest,
    /// Digest of operation and body.
    pub(super) fingerprint: Digest,
    /// Until when the key is used.
    pub(super) expires_at: Timestamp,
}

/// Writes an intent.
pub(super) struct Open {
    pub(super) boot: u64,
    pub(super) upstream: &'static str,
    pub(super) intent: Box<Intent>,
    pub(super) keyed: Option<Keyed>,
    /// The hold on the key: while the intent is with the writer a repeat waits, even when the caller has left.
    pub(super) claim: Option<Arc<Guard>>,
    pub(super) slot: RunningSlot,
    /// What expired keys are measured against.
    pub(super) now: Timestamp,
    /// What the owner may spend.
    pub(super) budget: Option<Budget>,
}

/// Why an intent is refused by what the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The key is in use, although memory did not know it.
    KeyInUse {
        /// The intent of that use.
        intent: u64,
    },
    /// The room for kept replies is spent.
    RepliesFull,
    /// The owner's budget does not allow it.
    OverBudget(OverBudget),
}

/// Whether a use of the key that has expired stands in the way.
pub(super) enum Stale {
    No,
    Yes,
}

impl Write for Open {
    type Plan = Stale;
    type Done = u64;
    type Refusal = Refused;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Stale, WriteError<Refused>> {
        if let Some(over) = bill::afford(rows, &self.intent, self.budget)? {
            return Err(WriteError::Refused(Refused::OverBudget(over)));
        }
        let Some(keyed) = &self.keyed else { return Ok(Stale::No) };
        if idempotency::reply_bytes(rows)? >= MOST_REPLY_BYTES {
            return Err(WriteError::Refused(Refused::RepliesFull));
        }
        match idempotency::get(rows, &keyed.key)? {
            None => Ok(Stale::No),
            Some(usage) if usage.expires_at <= self.now => Ok(Stale::Yes),
            Some(usage) => Err(WriteError::Refused(Refused::KeyInUse { intent: usage.intent })),
        }
    }

    fn apply(&mut self, stale: Stale, tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        if let (Stale::Yes, Some(keyed)) = (stale, &self.keyed) {
            tables.free_key(&keyed.key)?;
        }
        let intent = &self.intent;
        let now = tables.now();
        let seq = tables.append(Event::Intent(intent.clone()))?;
        bill::reserve(tables, intent)?;
        let open = OpenIntent {
            boot: self.boot,
            owner: intent.owner,
            account: intent.account,
            operation: intent.operation,
            idempotency: self.keyed.as_ref().map(|keyed| keyed.key),
        };
        tables.put_open_intent(seq, &open)?;
        if let Some(Keyed {
            key,
            fingerprint,
            expires_at,
        }) = self.keyed
        {
            tables.put_key_use(
                &key,
                &KeyUse {
                    fingerprint,
                    intent: seq,
                    fate: Fate::Open,
                    expires_at,
                },
            )?;
        }
        if intent.operation.class() == Class::Submit {
            let submit = Submit {
                request: intent.request,
                operation: intent.operation,
                req_key: intent.model.clone(),
                account: intent.account,
                task_id: None,
                outcome: None,
                state: TaskState::Submitted,
                submitted_at: now,
                updated_at: now,
            };
            tables.put_submit(
                SubmitRef {
                    owner: intent.owner,
                    intent: seq,
                },
                &submit,
            )?;
        }
        if self.slot == RunningSlot::Taken {
            let task = RunningTask {
                owner: intent.owner,
                task_id: None,
                req_key: intent.model.clone(),
                operation: intent.operation,
                asked_at: now,
                lapses_at: None,
            };
            tables.put_running_task(intent.account, seq, &task)?;
        }
        Ok(seq)
    }

    /// Committed, but its caller has given up on it: nothing was sent, and nothing will be.
    fn orphaned(&mut self, seq: u64) -> Option<Box<dyn Job>> {
        Some(unattended(Settle {
            upstream: self.upstream,
            settlement: Settlement::unanswered(seq, self.intent.account, Outcome::NotSent, Reason::NotRecorded),
            consumption: None,
            bill: Bill::nothing(&self.intent),
            reply: None,
            claim: self.claim.take(),
            relaxed: true,
        }))
    }
}

/// Writes that a call goes on at another account.
pub(super) struct Redirect {
    pub(super) intent: u64,
    pub(super) account: AccountId,
}

impl Change for Redirect {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let Some(mut open) = tasks::open_intent(tables.view(), self.intent)? else {
            return Ok(());
        };
        open.account = self.account;
        tables.put_open_intent(self.intent, &open)?;
        tables.append(Event::Rerouted(Reroute {
            intent: self.intent,
            account: self.account,
        }))?;
        Ok(())
    }
}

/// All kept replies together.
const MOST_REPLY_BYTES: u64 = 256 * 1024 * 1024;
