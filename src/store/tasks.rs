//! Submits, the provider's tasks they created, open intents, and the slots of the running-task limit.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::codec::{self, pair, unpair};
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::id::{AccountId, OwnerId};
use crate::model::operation::Operation;
use crate::model::task::{RunningTask, Submit, SubmitRef};

const SUBMITS: &str = "submits.v1";
const TASKS: &str = "tasks.v1";
const OPEN_INTENTS: &str = "open_intents.v1";
const RUNNING: &str = "running_tasks.v1";

/// An intent without a settlement: what it takes to settle it after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIntent {
    /// The boot that made it.
    pub boot: u64,
    /// Whose it is.
    pub owner: OwnerId,
    /// The account it was meant for.
    pub account: AccountId,
    /// What was asked.
    pub operation: Operation,
    /// Its idempotency key, if it has one.
    pub idempotency: Option<Digest>,
}

fn task_key(upstream: &str, task_id: &str) -> Vec<u8> {
    [upstream.as_bytes(), &[0], task_id.as_bytes()].concat()
}

const fn submit_key(submit: SubmitRef) -> (u64, u64) {
    (submit.owner.bits(), submit.intent)
}

/// One submit, if its row is still there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn submit(rows: &mut impl Rows, at: SubmitRef) -> Result<Option<Submit>, StoreError> {
    let (owner, intent) = submit_key(at);
    rows.submits()?
        .get(pair(owner, intent))?
        .map(|row| codec::decode(SUBMITS, row.value()))
        .transpose()
}

/// Where the submit that created a task stands.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn find_task(rows: &mut impl Rows, upstream: &str, task_id: &str) -> Result<Option<SubmitRef>, StoreError> {
    let key = task_key(upstream, task_id);
    rows.tasks()?
        .get(key.as_slice())?
        .map(|row| codec::decode(TASKS, row.value()))
        .transpose()
}

/// Up to `limit` submits of an owner, newest first, those before `before` only.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn submits_of(
    rows: &mut impl Rows,
    owner: OwnerId,
    before: u64,
    limit: usize,
) -> Result<Vec<(u64, Submit)>, StoreError> {
    let range = pair(owner.bits(), 0)..pair(owner.bits(), before);
    rows.submits()?
        .range(range)?
        .rev()
        .take(limit)
        .map(|row| {
            let (key, value) = row?;
            Ok((unpair(key.value()).1, codec::decode(SUBMITS, value.value())?))
        })
        .collect()
}

/// Up to `limit` submits of all owners, newest first, those before `before` only.
///
/// Rows are in the order of owners, so it looks at all of them and keeps the latest.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn latest_submits(rows: &mut impl Rows, before: u64, limit: usize) -> Result<Vec<(SubmitRef, Submit)>, StoreError> {
    let mut latest = BTreeMap::new();
    for row in rows.submits()?.iter()? {
        let (key, value) = row?;
        let (owner, intent) = unpair(key.value());
        let oldest = latest.first_key_value().map(|(oldest, _)| *oldest);
        let full = latest.len() >= limit;
        if intent >= before || (full && oldest.is_some_and(|oldest| intent < oldest)) {
            continue;
        }
        let at = SubmitRef {
            owner: OwnerId::from_bits(owner),
            intent,
        };
        latest.insert(intent, (at, codec::decode(SUBMITS, value.value())?));
        if latest.len() > limit {
            latest.pop_first();
        }
    }
    Ok(latest.into_values().rev().collect())
}

/// Of up to `limit` submits behind `after`, those made before a moment whose outcome is settled, and the key of the last
/// one looked at; no key when there were no more.
pub(super) fn submits_before(
    rows: &mut impl Rows,
    after: [u8; 16],
    before: Timestamp,
    limit: usize,
) -> Result<(Vec<SubmitRef>, Option<[u8; 16]>), StoreError> {
    let (mut old, mut last) = (Vec::new(), None);
    let behind = (Bound::Excluded(after), Bound::Unbounded);
    for row in rows.submits()?.range::<[u8; 16]>(behind)?.take(limit) {
        let (key, value) = row?;
        let (owner, intent) = unpair(key.value());
        let submit: Submit = codec::decode(SUBMITS, value.value())?;
        if submit.submitted_at < before && submit.outcome.is_some() {
            old.push(SubmitRef {
                owner: OwnerId::from_bits(owner),
                intent,
            });
        }
        last = Some(key.value());
    }
    Ok((old, last))
}

/// One open intent, if it is open.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn open_intent(rows: &mut impl Rows, seq: u64) -> Result<Option<OpenIntent>, StoreError> {
    rows.open_intents()?
        .get(seq)?
        .map(|row| codec::decode(OPEN_INTENTS, row.value()))
        .transpose()
}

/// Up to `limit` open intents from `from` on, oldest first.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn open_intents(rows: &mut impl Rows, from: u64, limit: usize) -> Result<Vec<(u64, OpenIntent)>, StoreError> {
    rows.open_intents()?
        .range(from..)?
        .take(limit)
        .map(|row| {
            let (seq, value) = row?;
            Ok((seq.value(), codec::decode(OPEN_INTENTS, value.value())?))
        })
        .collect()
}

/// One taken slot, if it is taken.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn running_task(rows: &mut impl Rows, account: AccountId, intent: u64) -> Result<Option<RunningTask>, StoreError> {
    let key = pair(account.bits(), intent);
    rows.running_tasks()?
        .get(key)?
        .map(|row| codec::decode(RUNNING, row.value()))
        .transpose()
}

/// Every taken slot. There are at most as many as the limits of all accounts allow.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn running_tasks(rows: &mut impl Rows) -> Result<Vec<(AccountId, u64, RunningTask)>, StoreError> {
    rows.running_tasks()?
        .iter()?
        .map(|row| {
            let (key, value) = row?;
            let (account, intent) = unpair(key.value());
            Ok((
                AccountId::from_bits(account),
                intent,
                codec::decode(RUNNING, value.value())?,
            ))
        })
        .collect()
}

impl Tables<'_> {
    /// Adds or replaces a submit's row.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_submit(&mut self, at: SubmitRef, submit: &Submit) -> Result<(), StoreError> {
        let (owner, intent) = submit_key(at);
        let value = codec::encode(SUBMITS, submit)?;
        self.opened().submits()?.insert(pair(owner, intent), value.as_slice())?;
        Ok(())
    }

    /// Makes a task findable by the provider's name for it.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_task(&mut self, upstream: &str, task_id: &str, at: SubmitRef) -> Result<(), StoreError> {
        let value = codec::encode(TASKS, &at)?;
        self.opened()
            .tasks()?
            .insert(task_key(upstream, task_id).as_slice(), value.as_slice())?;
        Ok(())
    }

    /// Removes a submit's row and the way to it.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be removed.
    pub fn forget_submit(&mut self, upstream: &str, at: SubmitRef) -> Result<(), StoreError> {
        let (owner, intent) = submit_key(at);
        let Some(gone) = submit(self.view(), at)? else {
            return Ok(());
        };
        self.opened().submits()?.remove(pair(owner, intent))?;
        if let Some(task_id) = gone.task_id {
            self.opened().tasks()?.remove(task_key(upstream, &task_id).as_slice())?;
        }
        Ok(())
    }

    /// Marks an intent as open.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_open_intent(&mut self, seq: u64, open: &OpenIntent) -> Result<(), StoreError> {
        let value = codec::encode(OPEN_INTENTS, open)?;
        self.opened().open_intents()?.insert(seq, value.as_slice())?;
        Ok(())
    }

    /// Marks an intent as settled. Returns it if it was open.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be read or removed.
    pub fn close_intent(&mut self, seq: u64) -> Result<Option<OpenIntent>, StoreError> {
        let table = self.opened().open_intents()?;
        table
            .remove(seq)?
            .map(|row| codec::decode(OPEN_INTENTS, row.value()))
            .transpose()
    }

    /// Takes a slot of the running-task limit, or changes what is known of it.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_running_task(&mut self, account: AccountId, intent: u64, task: &RunningTask) -> Result<(), StoreError> {
        let value = codec::encode(RUNNING, task)?;
        self.opened()
            .running_tasks()?
            .insert(pair(account.bits(), intent), value.as_slice())?;
        Ok(())
    }

    /// Gives a slot back.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be removed.
    pub fn remove_running_task(&mut self, account: AccountId, intent: u64) -> Result<(), StoreError> {
        self.opened().running_tasks()?.remove(pair(account.bits(), intent))?;
        Ok(())
    }
}
