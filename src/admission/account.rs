//! The gates of one account, and how much is at them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::error::Rejected;
use super::gate::{Capacity, Gate, Slot, Snapshot};
use super::pacer::{Pacer, PacerLate};
use super::running::RunningTasks;
use super::{Entrant, at_account, slots};
use crate::config::AccountLimits;
use crate::model::id::{AccountId, OwnerId};
use crate::model::lane::Lane;
use crate::model::operation::Class;

/// The gates of one account.
#[derive(Debug)]
pub(super) struct AccountGates {
    pub(super) upstream: Arc<str>,
    pub(super) label: String,
    submit: Gate<OwnerId>,
    call: Gate<OwnerId>,
    query: Gate<OwnerId>,
    /// Calls at each gate, waiting or in flight: kept beside the gates, so that a choice among many accounts takes no
    /// lock of theirs.
    loads: Arc<[AtomicUsize; 3]>,
    pacer: Pacer,
    pub(super) running: Option<Arc<RunningTasks>>,
}

/// How one gate of an account stands, for the operator.
#[derive(Clone, Debug)]
pub struct GateView {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The account's label.
    pub account: String,
    /// Its operation class.
    pub class: Class,
    /// Its slots and waiters.
    pub snapshot: Snapshot,
}

/// How one gate of an owner stands, for the operator.
#[derive(Clone, Debug)]
pub struct OwnerView {
    /// Whose calls pass it.
    pub owner: OwnerId,
    /// Its operation class.
    pub class: Class,
    /// Its slots and waiters.
    pub snapshot: Snapshot,
}

/// How much is at every account, for whoever chooses one.
#[derive(Debug)]
pub struct Loads<'a> {
    accounts: &'a HashMap<AccountId, Arc<AccountGates>>,
    class: Class,
}

impl<'a> Loads<'a> {
    pub(super) const fn new(accounts: &'a HashMap<AccountId, Arc<AccountGates>>, class: Class) -> Self {
        Self { accounts, class }
    }

    /// Calls of the class that wait at the account or are in flight there.
    #[must_use]
    pub fn of(&self, account: AccountId) -> usize {
        self.accounts.get(&account).map_or(usize::MAX, |gates| {
            counter(&gates.loads, self.class).load(Ordering::Relaxed)
        })
    }
}

/// One call at an account.
#[derive(Debug)]
pub(super) struct Load {
    loads: Arc<[AtomicUsize; 3]>,
    class: Class,
}

impl Load {
    fn counter(&self) -> &AtomicUsize {
        counter(&self.loads, self.class)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
    }
}

const fn counter(loads: &[AtomicUsize; 3], class: Class) -> &AtomicUsize {
    let [submits, calls, queries] = loads;
    match class {
        Class::Submit => submits,
        Class::Call => calls,
        Class::Query => queries,
    }
}

impl AccountGates {
    /// Gates of one account.
    pub(super) fn new(limits: &AccountLimits, entrant: Entrant) -> Self {
        Self {
            upstream: entrant.upstream,
            label: entrant.label,
            submit: Gate::new(Capacity {
                slots: limits.max_concurrent,
                queue: limits.max_queue,
                per_key: None,
            }),
            call: Gate::new(CALLS),
            query: Gate::new(QUERIES),
            loads: Arc::default(),
            pacer: Pacer::new(limits.submit_min_interval),
            running: limits
                .max_running_tasks
                .map(|limit| Arc::new(RunningTasks::new(limit, limits.max_queue))),
        }
    }

    /// Counts a call that is at this account, waiting or in flight, until it is dropped.
    pub(super) fn load(&self, class: Class) -> Load {
        let load = Load {
            loads: Arc::clone(&self.loads),
            class,
        };
        load.counter().fetch_add(1, Ordering::Relaxed);
        load
    }

    /// How its gates stand.
    pub(super) fn view(&self) -> [GateView; 3] {
        Class::ALL.map(|class| GateView {
            upstream: Arc::clone(&self.upstream),
            account: self.label.clone(),
            class,
            snapshot: self.gate(class).snapshot(),
        })
    }

    /// Whoever waits, or comes from now on, is refused.
    pub(super) fn close(&self) {
        for class in Class::ALL {
            self.gate(class).close();
        }
        self.running.iter().for_each(|running| running.close());
    }

    /// Waits for a slot and, for a submit, for its turn to start. Cancel-safe.
    pub(super) async fn enter(
        &self,
        class: Class,
        owner: OwnerId,
        lane: Lane,
        latest: Instant,
    ) -> Result<Slot<OwnerId>, Rejected> {
        let slot = self.gate(class).admit(owner, lane, latest).await.map_err(at_account)?;
        if class == Class::Submit {
            let too_late = |late: PacerLate| Rejected::QueueTimeout {
                retry_after: late.retry_after,
            };
            self.pacer.turn(latest).await.map_err(too_late)?;
        }
        Ok(slot)
    }

    const fn gate(&self, class: Class) -> &Gate<OwnerId> {
        match class {
            Class::Submit => &self.submit,
            Class::Call => &self.call,
            Class::Query => &self.query,
        }
    }
}

/// What one account carries of synchronous calls: far above what a provider allows, so that its own limits show.
const CALLS: Capacity = Capacity {
    slots: slots(1024),
    queue: 4096,
    per_key: None,
};

/// What one account carries of queries, which are free and short.
const QUERIES: Capacity = Capacity {
    slots: slots(256),
    queue: 4096,
    per_key: None,
};
