//! Taking items from the front of a queue: one commit that leases them.

use std::time::Duration;

use super::bell::{Bell, Told};
use super::ending::{KeyUse, past_the_deadline};
use super::lease::Leases;
use crate::model::clock::Timestamp;
use crate::model::id::OwnerId;
use crate::model::job::item::{ItemError, Lease};
use crate::model::job::queue::QueueMode;
use crate::model::job::{Hold, Item, ItemRef, ItemState, Job, JobKind, QueueName, RetryPolicy, TimeLimits};
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::{Edit, index, item, queue};
use crate::store::{Rows, Tables, Write};

/// Leases up to `limit` items.
pub(super) struct Claim {
    pub(super) queue: QueueName,
    pub(super) limit: usize,
    pub(super) leases: Leases,
    /// How long an idempotency key can be counted on.
    pub(super) key_lives: Duration,
    pub(super) bell: Bell,
}

/// What a claim took.
pub(super) struct Claimed {
    pub(super) leased: Vec<Leased>,
    pub(super) told: Told,
}

/// Nothing may be taken.
#[derive(Debug)]
pub(super) struct Nothing;

/// An item in a worker's hands, with what it needs of its job.
pub(super) struct Leased {
    pub(super) at: ItemRef,
    pub(super) lease: Lease,
    pub(super) owner: OwnerId,
    pub(super) kind: JobKind,
    pub(super) retry: RetryPolicy,
    pub(super) limits: TimeLimits,
    pub(super) item: Item,
    /// Whether an earlier attempt may have used its idempotency key.
    pub(super) key: KeyUse,
    /// What it asks, sealed.
    pub(super) body: Vec<u8>,
}

/// Whether an item's job still wants it done. Its items follow it some at a time, so one may be met that has not yet.
#[derive(Clone, Copy)]
enum Wish {
    Open,
    Cancelled,
    TooLate,
}

impl Wish {
    fn of(job: &Job, now: Timestamp) -> Self {
        match (job.cancelled_at, job.deadline) {
            (Some(_), _) => Self::Cancelled,
            (None, Some(deadline)) if deadline <= now => Self::TooLate,
            (None, _) => Self::Open,
        }
    }
}

impl Write for Claim {
    type Plan = Vec<ItemRef>;
    type Done = Claimed;
    type Refusal = Nothing;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Vec<ItemRef>, WriteError<Nothing>> {
        if queue::get(rows, &self.queue)?.mode == QueueMode::Paused {
            return Err(WriteError::Refused(Nothing));
        }
        match index::ready(rows, &self.queue, self.limit)? {
            none if none.is_empty() => Err(WriteError::Refused(Nothing)),
            some => Ok(some),
        }
    }

    fn apply(&mut self, ready: Vec<ItemRef>, tables: &mut Tables<'_>) -> Result<Claimed, StoreError> {
        let mut claimed = Claimed {
            leased: Vec::with_capacity(ready.len()),
            told: Told::new(),
        };
        let mut open: Option<Edit> = None;
        for at in ready {
            let mut edit = match open.take() {
                Some(edit) if edit.id() == at.job => edit,
                other => {
                    if let Some(edit) = other {
                        self.bell.close(tables, edit, &mut claimed.told)?;
                    }
                    match tables.edit_job(at.job)? {
                        Some(edit) => edit,
                        None => return Err(StoreError::orphan(at)),
                    }
                }
            };
            if let Some(leased) = self.lease(&mut edit, at, tables)? {
                claimed.leased.push(leased);
            }
            open = Some(edit);
        }
        if let Some(edit) = open {
            self.bell.close(tables, edit, &mut claimed.told)?;
        }
        Ok(claimed)
    }
}

impl Claim {
    /// Leases one item, unless its job says otherwise.
    fn lease(&self, edit: &mut Edit, at: ItemRef, tables: &mut Tables<'_>) -> Result<Option<Leased>, StoreError> {
        let now = tables.now();
        let (lease, until) = self.leases.next(now);
        let (held, wish) = (edit.job.hold, Wish::of(&edit.job, now));
        let mut key = KeyUse::No;
        let taken = tables.edit_item(edit, at.index, |item| match (held, wish) {
            (Hold::Held, _) => item.hold = Hold::Held,
            (Hold::Free, Wish::Cancelled) => item.finish(ItemState::Cancelled, now),
            (Hold::Free, Wish::TooLate) => {
                item.error = Some(past_the_deadline());
                item.finish(ItemState::Failed, now);
            }
            (Hold::Free, Wish::Open) if self.is_beyond_telling(item, now) => {
                item.error = Some(ItemError {
                    code: "OUTCOME_UNKNOWN".to_owned(),
                    message: "it may have been sent so long ago that the record cannot tell any more".to_owned(),
                });
                item.finish(ItemState::Unknown, now);
            }
            (Hold::Free, Wish::Open) => {
                item.state = ItemState::Running;
                item.lease = Some(lease);
                item.wake_at = Some(until);
                if item.keyed_at.is_some() {
                    key = KeyUse::Maybe;
                }
                item.keyed_at.get_or_insert(now);
                item.started_at.get_or_insert(now);
            }
        })?;
        let Some(item) = taken.filter(|item| item.state == ItemState::Running) else {
            return Ok(None);
        };
        let body = item::body(tables.view(), at)?.ok_or_else(|| StoreError::orphan(at))?;
        let Job {
            owner,
            kind,
            retry,
            limits,
            ..
        } = edit.job;
        Ok(Some(Leased {
            at,
            lease,
            owner,
            kind,
            retry,
            limits,
            item,
            key,
            body,
        }))
    }

    /// Whether an earlier attempt with the same idempotency key lies so far back that the key may have been forgotten.
    fn is_beyond_telling(&self, item: &Item, now: Timestamp) -> bool {
        item.operation.class().is_paid() && item.keyed_at.is_some_and(|since| since.plus(self.key_lives) <= now)
    }
}
