//! The gate: who may go on, who waits, and who is told to come back later.
//!
//! A paid call passes the gate of its owner, then a slot of the running-task limit where there is one, then the gate of
//! an account, then the spacing between submits. Each operation class has gates of its own, so a poll never waits for a
//! submit. What is taken is a [`Permit`], which gives back on drop.

pub mod error;
pub mod gate;
pub mod pacer;
pub mod running;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use self::error::Rejected;
use self::gate::{Capacity, Gate, Refused, Slot, Snapshot};
use self::pacer::{Pacer, PacerLate};
use self::running::RunningTasks;
use crate::config::{Admission as Settings, Volcengine};
use crate::model::caller::Caller;
use crate::model::id::{AccountId, OwnerId};
use crate::model::lane::Lane;
use crate::model::operation::{Class, Operation};
use crate::telemetry::metrics;

/// The gates of every owner and every account.
#[derive(Debug)]
pub struct Admission {
    settings: Settings,
    accounts: HashMap<AccountId, AccountGates>,
    owners: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    gates: HashMap<(OwnerId, Class), (Capacity, Gate<OwnerId>)>,
    intake: Intake,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Intake {
    #[default]
    Open,
    Closed,
}

/// The gates of one account.
#[derive(Debug)]
pub struct AccountGates {
    upstream: &'static str,
    label: String,
    submit: Gate<OwnerId>,
    call: Gate<OwnerId>,
    query: Gate<OwnerId>,
    pacer: Pacer,
    running: Option<RunningTasks>,
}

/// How one gate of an account stands, for the operator.
#[derive(Clone, Debug)]
pub struct GateView {
    /// The upstream's name.
    pub upstream: &'static str,
    /// The account's label.
    pub account: String,
    /// Its operation class.
    pub class: Class,
    /// Its slots and waiters.
    pub snapshot: Snapshot,
}

/// What an admitted call holds. Dropping it gives everything back.
#[derive(Debug)]
pub struct Permit {
    /// The account it is for.
    pub account: AccountId,
    /// A slot of the running-task limit, until it is tied to the recorded intent.
    pub running: Option<Slot<OwnerId>>,
    seats: Option<Seats>,
}

#[derive(Debug)]
struct Seats {
    _owner: Slot<OwnerId>,
    _account: Slot<OwnerId>,
}

impl Permit {
    /// Gives its slots back while a retry waits. The running-task slot stays: the submit is still meant.
    pub fn step_aside(&mut self) {
        self.seats = None;
    }
}

impl Admission {
    /// Gates for these accounts, each with its upstream's name and its label.
    #[must_use]
    pub fn new(settings: Settings, accounts: impl IntoIterator<Item = (AccountId, &'static str, String)>) -> Self {
        let limits = &settings.per_account;
        let gates = |upstream, label| AccountGates {
            upstream,
            label,
            submit: Gate::new(Capacity {
                slots: limits.max_concurrent,
                queue: limits.max_queue,
                per_key: None,
            }),
            call: Gate::new(ACCOUNT_CALLS),
            query: Gate::new(ACCOUNT_QUERIES),
            pacer: Pacer::new(limits.submit_min_interval),
            running: limits
                .max_running_tasks
                .map(|limit| RunningTasks::new(limit, limits.max_queue)),
        };
        let accounts = accounts
            .into_iter()
            .map(|(id, upstream, label)| (id, gates(upstream, label)))
            .collect();
        Self {
            accounts,
            owners: Mutex::default(),
            settings,
        }
    }

    /// Lets a call in on the first of `candidates` that is free, or waits for the one with the shortest line.
    ///
    /// `deadline` is the call's own. A submit must have [`Volcengine::LEAST_TIME_TO_SUBMIT`] of it left.
    ///
    /// # Errors
    /// [`Rejected`].
    ///
    /// # Cancel safety
    /// Dropping the future gives every place and slot back.
    pub async fn admit(
        &self,
        caller: &Caller,
        operation: Operation,
        lane: Lane,
        candidates: &[AccountId],
        deadline: Instant,
    ) -> Result<Permit, Rejected> {
        let class = operation.class();
        let begun = Instant::now();
        let latest = self.latest(class, begun, deadline);
        let owner = self.owner_gate(caller, class)?.admit(caller.owner, lane, latest).await;
        let owner_slot = owner.map_err(|refused| match refused {
            Refused::Full { retry_after } => Rejected::KeyBusy { retry_after },
            Refused::TimedOut { retry_after } => Rejected::QueueTimeout { retry_after },
            Refused::Closed => Rejected::Draining,
        })?;
        let account = self.choose(class, candidates).ok_or(Rejected::NoAccount)?;
        let gates = self.accounts.get(&account).ok_or(Rejected::NoAccount)?;
        let running = match (&gates.running, class) {
            (Some(running), Class::Submit) => {
                Some(running.admit(caller.owner, lane, latest).await.map_err(at_account)?)
            }
            _ => None,
        };
        let account_slot = gates.enter(class, caller.owner, lane, latest).await?;
        metrics::queue_wait(gates.upstream, class, begun.elapsed());
        Ok(Permit {
            account,
            running,
            seats: Some(Seats {
                _owner: owner_slot,
                _account: account_slot,
            }),
        })
    }

    /// Lets a call that stepped aside in again, on the same account.
    ///
    /// # Errors
    /// [`Rejected`]; the permit then still holds what it held.
    ///
    /// # Cancel safety
    /// As [`Admission::admit`].
    pub async fn readmit(
        &self,
        permit: &mut Permit,
        caller: &Caller,
        operation: Operation,
        lane: Lane,
        deadline: Instant,
    ) -> Result<(), Rejected> {
        let class = operation.class();
        let latest = self.latest(class, Instant::now(), deadline);
        let gates = self.accounts.get(&permit.account).ok_or(Rejected::NoAccount)?;
        let gate = self.owner_gate(caller, class)?;
        let owner = gate.admit(caller.owner, lane, latest).await.map_err(at_account)?;
        let account = gates.enter(class, caller.owner, lane, latest).await?;
        permit.seats = Some(Seats {
            _owner: owner,
            _account: account,
        });
        Ok(())
    }

    /// The running-task limit of an account, where there is one.
    #[must_use]
    pub fn running(&self, account: AccountId) -> Option<&RunningTasks> {
        self.accounts.get(&account)?.running.as_ref()
    }

    /// Every account with a running-task limit.
    pub fn limited_accounts(&self) -> impl Iterator<Item = AccountId> {
        self.accounts
            .iter()
            .filter(|(_, gates)| gates.running.is_some())
            .map(|(id, _)| *id)
    }

    /// Begins the drain: whoever waits, or comes from now on, gets [`Rejected::Draining`]. Permits live on.
    pub fn close(&self) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.intake = Intake::Closed;
        for (_, gate) in owners.gates.values() {
            gate.close();
        }
        drop(owners);
        for gates in self.accounts.values() {
            for class in Class::ALL {
                gates.gate(class).close();
            }
            gates.running.iter().for_each(RunningTasks::close);
        }
    }

    /// How every account's gates stand.
    #[must_use]
    pub fn view(&self) -> Vec<GateView> {
        let views = |gates: &AccountGates| {
            Class::ALL.map(|class| GateView {
                upstream: gates.upstream,
                account: gates.label.clone(),
                class,
                snapshot: gates.gate(class).snapshot(),
            })
        };
        let mut all: Vec<_> = self.accounts.values().flat_map(views).collect();
        all.sort_by(|a, b| (a.upstream, &a.account, a.class).cmp(&(b.upstream, &b.account, b.class)));
        all
    }

    /// Publishes how every gate stands, at a scrape.
    pub fn publish(&self) {
        for view in self.view() {
            let GateView {
                upstream,
                account,
                class,
                snapshot,
            } = view;
            let depth = snapshot.waiting_interactive + snapshot.waiting_background;
            metrics::queue(upstream, &account, class, depth, snapshot.queue, snapshot.oldest_wait);
        }
        for gates in self.accounts.values() {
            let taken = gates.running.as_ref().map_or(0, RunningTasks::taken);
            metrics::running_tasks(gates.upstream, &gates.label, taken);
        }
    }

    /// Until when a call may wait for its places.
    fn latest(&self, class: Class, begun: Instant, deadline: Instant) -> Instant {
        let latest = match class {
            Class::Submit => deadline.checked_sub(Volcengine::LEAST_TIME_TO_SUBMIT).unwrap_or(begun),
            Class::Call | Class::Query => deadline,
        };
        latest.min(begun + self.settings.per_account.queue_timeout)
    }

    fn choose(&self, class: Class, candidates: &[AccountId]) -> Option<AccountId> {
        let load = |account: &&AccountId| {
            self.accounts.get(account).map_or(usize::MAX, |gates| {
                let snapshot = gates.gate(class).snapshot();
                snapshot.in_use + snapshot.waiting_interactive + snapshot.waiting_background
            })
        };
        match candidates {
            [only] => Some(*only),
            many => many.iter().min_by_key(load).copied(),
        }
    }

    /// The gate of an owner, made when it is first needed, and resized when its limits have changed.
    fn owner_gate(&self, caller: &Caller, class: Class) -> Result<Gate<OwnerId>, Rejected> {
        let capacity = self.owner_capacity(caller, class);
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.intake == Intake::Closed {
            return Err(Rejected::Draining);
        }
        let (present, gate) = owners
            .gates
            .entry((caller.owner, class))
            .or_insert_with(|| (capacity, Gate::new(capacity)));
        if *present != capacity {
            *present = capacity;
            gate.resize(capacity);
        }
        Ok(gate.clone())
    }

    fn owner_capacity(&self, caller: &Caller, class: Class) -> Capacity {
        let defaults = &self.settings.per_key;
        let (slots, queue) = match class {
            Class::Submit => {
                let own = caller
                    .limits
                    .concurrency
                    .and_then(|limit| NonZeroUsize::try_from(limit).ok());
                let queue = caller.limits.queue.map_or(defaults.max_queue, |limit| limit as usize);
                (own.unwrap_or(defaults.max_concurrent), queue)
            }
            Class::Call => (defaults.max_concurrent_calls, defaults.max_queue_calls),
            Class::Query => (OWNER_QUERIES, defaults.max_queue_calls),
        };
        Capacity {
            slots,
            queue,
            per_key: None,
        }
    }
}

impl AccountGates {
    /// Waits for a slot and, for a submit, for its turn to start. Cancel-safe.
    async fn enter(
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

const fn at_account(refused: Refused) -> Rejected {
    match refused {
        Refused::Full { retry_after } => Rejected::QueueFull { retry_after },
        Refused::TimedOut { retry_after } => Rejected::QueueTimeout { retry_after },
        Refused::Closed => Rejected::Draining,
    }
}

const fn slots(number: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(number - 1)
}

/// What one account carries of synchronous calls: far above what a provider allows, so that its own limits show.
const ACCOUNT_CALLS: Capacity = Capacity {
    slots: slots(1024),
    queue: 4096,
    per_key: None,
};

/// What one account carries of queries, which are free and short.
const ACCOUNT_QUERIES: Capacity = Capacity {
    slots: slots(256),
    queue: 4096,
    per_key: None,
};

/// Queries of one owner in flight.
const OWNER_QUERIES: NonZeroUsize = slots(8);
