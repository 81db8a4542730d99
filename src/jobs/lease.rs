//! Workers' holds on items: given with a number, renewed while the worker lives, taken back when it does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Jobs;
use super::bell::{Bell, Told};
use super::poll::AskAgain;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::item::{ItemError, Lease};
use crate::model::job::{Item, ItemRef, ItemState, QueueName};
use crate::store::error::StoreError;
use crate::store::jobs::index::{self, Timer};
use crate::store::jobs::item;
use crate::store::{Change, Tables, Urgency};

/// The leases of this process.
#[derive(Clone)]
pub(super) struct Leases {
    boot: u64,
    last: Arc<AtomicU64>,
    held: Arc<Mutex<HashMap<ItemRef, Held>>>,
}

#[derive(Clone)]
struct Held {
    lease: Lease,
    /// Fires when the worker is to let go.
    withdrawn: CancellationToken,
}

/// A lease in a worker's hands. Dropped, it is renewed no longer.
pub(super) struct Hand {
    at: ItemRef,
    leases: Leases,
    withdrawn: CancellationToken,
}

impl Leases {
    pub(super) fn new(boot: u64) -> Self {
        Self {
            boot,
            last: Arc::default(),
            held: Arc::default(),
        }
    }

    /// A new lease, and until when it holds.
    pub(super) fn next(&self, now: Timestamp) -> (Lease, Timestamp) {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let lease = Lease {
            boot: self.boot,
            number,
        };
        (lease, now.plus(LENGTH))
    }

    /// Takes a lease into a worker's hands.
    pub(super) fn hold(&self, at: ItemRef, lease: Lease) -> Hand {
        let withdrawn = CancellationToken::new();
        let held = Held {
            lease,
            withdrawn: withdrawn.clone(),
        };
        self.lock().insert(at, held);
        Hand {
            at,
            leases: self.clone(),
            withdrawn,
        }
    }

    /// Tells the workers of a job's items to let go.
    pub(super) fn withdraw(&self, job: JobId) {
        for (at, held) in self.lock().iter() {
            if at.job == job {
                held.withdrawn.cancel();
            }
        }
    }

    pub(super) fn all(&self) -> Vec<(ItemRef, Lease)> {
        self.lock().iter().map(|(at, held)| (*at, held.lease)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ItemRef, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hand {
    /// Waits until the item is withdrawn from its worker.
    pub(super) async fn withdrawn(&self) {
        self.withdrawn.cancelled().await;
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.at);
    }
}

impl Jobs {
    /// Renews what workers hold, a third of a lease's length apart.
    pub(super) async fn keep_leases(&self) {
        loop {
            sleep(LENGTH / 3).await;
            let held = self.leases.all();
            if held.is_empty() {
                continue;
            }
            if let Err(error) = self.store.change(Renew { held }).await {
                tracing::error!(error = %error, "leases could not be renewed");
            }
        }
    }

    /// Takes back what workers of an older process held, and the questions that it was putting.
    pub(super) async fn take_back_all(&self) {
        if let Err(error) = self.store.change(AskAgain).await {
            tracing::error!(error = %error, "questions of an older process could not be taken back");
        }
        loop {
            let taking = TakeBack {
                boot: self.leases.boot,
                bell: self.bell.clone(),
            };
            match self.store.change(taking).await {
                Ok(taken) if taken.items == 0 => return,
                Ok(taken) => {
                    tracing::warn!(items = taken.items, "items that an older process held were taken back");
                    self.tell(&taken.told);
                }
                Err(error) => {
                    tracing::error!(error = %error, "items of an older process could not be taken back");
                    return;
                }
            }
        }
    }
}

/// Renews leases.
pub(super) struct Renew {
    pub(super) held: Vec<(ItemRef, Lease)>,
}

impl Change for Renew {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let until = tables.now().plus(LENGTH);
        for (at, lease) in &self.held {
            let Some(mut edit) = tables.edit_job(at.job)? else {
                continue;
            };
            tables.edit_item(&mut edit, at.index, |item| {
                if is_held(item, *lease) {
                    item.wake_at = Some(until);
                }
            })?;
            tables.close_job(edit)?;
        }
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}

/// Takes back leases of older boots, some at a time.
pub(super) struct TakeBack {
    pub(super) boot: u64,
    pub(super) bell: Bell,
}

/// What was taken back.
pub(super) struct TakenBack {
    pub(super) items: usize,
    pub(super) told: Told,
}

impl Change for TakeBack {
    type Done = TakenBack;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<TakenBack, StoreError> {
        let mut taken = TakenBack {
            items: 0,
            told: Told::new(),
        };
        // A lease ends at most its length from now, unless the clock was put back meanwhile.
        let mut behind = None;
        loop {
            let due = index::due(
                tables.view(),
                Timer::Item,
                Timestamp::from_micros(i64::MAX),
                behind,
                STEP,
            )?;
            let Some((last, _)) = due.last() else { return Ok(taken) };
            behind = Some(*last);
            for (_, at) in due {
                let Some(item) = item::get(tables.view(), at)? else {
                    continue;
                };
                if item.lease.is_some_and(|lease| lease.boot < self.boot) {
                    lose(tables, at, &self.bell, &mut taken.told)?;
                    taken.items += 1;
                }
            }
            if taken.items > 0 {
                return Ok(taken);
            }
        }
    }
}

/// Puts items back whose workers had no time to finish. It is not held against them.
pub(super) struct Return {
    pub(super) held: Vec<(ItemRef, Lease)>,
    pub(super) bell: Bell,
}

impl Change for Return {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let now = tables.now();
        for (at, lease) in &self.held {
            let Some(mut edit) = tables.edit_job(at.job)? else {
                continue;
            };
            tables.edit_item(&mut edit, at.index, |item| {
                if is_held(item, *lease) {
                    item.requeue(now, None);
                }
            })?;
            self.bell.close(tables, edit, &mut Told::new())?;
        }
        Ok(())
    }
}

/// Whether a worker with this lease still has the item.
pub(super) fn is_held(item: &Item, lease: Lease) -> bool {
    item.state == ItemState::Running && item.lease == Some(lease)
}

/// Takes an item back whose worker is gone: into the queue, or among the dead letters if it has taken its workers with it
/// too often. Returns its queue.
pub(super) fn lose(
    tables: &mut Tables<'_>,
    at: ItemRef,
    bell: &Bell,
    told: &mut Told,
) -> Result<Option<QueueName>, StoreError> {
    let now = tables.now();
    let Some(mut edit) = tables.edit_job(at.job)? else {
        return Ok(None);
    };
    let queue = edit.job.queue.clone();
    let hold = edit.job.hold;
    tables.edit_item(&mut edit, at.index, |item| {
        if item.state != ItemState::Running {
            return;
        }
        item.lost += 1;
        if item.lost > MOST_LOST {
            item.error = Some(ItemError {
                code: "LEASE_LOST".to_owned(),
                message: format!("{} workers were lost with it", item.lost),
            });
            item.finish(ItemState::Dead, now);
        } else {
            item.requeue(now, None);
            item.hold = hold;
        }
    })?;
    bell.close(tables, edit, told)?;
    Ok(Some(queue))
}

/// How long a lease holds without being renewed.
const LENGTH: Duration = Duration::from_mins(1);

/// Workers that an item may take with it before it is dead.
pub(super) const MOST_LOST: u32 = 3;

const STEP: usize = 256;
