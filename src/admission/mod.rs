//! The gate: who may go on, who waits, and who is told to come back later.
//!
//! A paid call passes the gate of its owner, then a slot of the running-task limit where there is one, then the gate of
//! an account, then the spacing between submits. Each operation class has gates of its own, so a poll never waits for a
//! submit. What is taken is a [`Permit`], which gives back on drop.
//!
//! Before all gates stand the quotas of a key ([`Admission::charge`]), and before the house the limit of an address
//! ([`AddressLimit`]).

mod account;
pub mod error;
pub mod gate;
pub mod meter;
pub mod pacer;
pub mod quota;
pub mod rate;
pub mod running;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::time::Instant;

pub use self::rate::AddressLimit;

use self::error::Rejected;
use self::gate::{Capacity, Gate, Refused, Slot};
use self::quota::{Charge, Quotas};
use self::running::RunningTasks;
use crate::config::{Admission as Settings, Volcengine};
use crate::model::caller::Caller;
use crate::model::id::{AccountId, OwnerId};
use crate::model::lane::Lane;
use crate::model::operation::{Class, Operation};
use crate::telemetry::metrics;

pub use self::account::{GateView, Loads, OwnerView};

use self::account::{AccountGates, Load};

/// The gates of every owner and every account.
#[derive(Debug)]
pub struct Admission {
    settings: Settings,
    accounts: ArcSwap<HashMap<AccountId, Arc<AccountGates>>>,
    owners: Mutex<Owners>,
    quotas: Quotas,
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

/// An account that has gates here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Its id.
    pub account: AccountId,
    /// Its upstream's name.
    pub upstream: Arc<str>,
    /// What it is called in metrics and lists.
    pub label: String,
}

/// What an admitted call holds. Dropping it gives everything back.
#[derive(Debug)]
pub struct Permit {
    /// The account it is for.
    pub account: AccountId,
    /// A slot of the running-task limit, until it is tied to the recorded intent.
    pub running: Option<Slot<OwnerId>>,
    owner: Option<Slot<OwnerId>>,
    seat: Option<Seat>,
}

/// A place at an account.
#[derive(Debug)]
struct Seat {
    _slot: Slot<OwnerId>,
    _load: Load,
}

impl Permit {
    /// Gives its slots back while a retry waits. The running-task slot stays: the submit is still meant.
    pub fn step_aside(&mut self) {
        self.owner = None;
        self.seat = None;
    }

    /// Gives its place at the account back to go on at another at once. That among the calls of its owner it keeps: it
    /// must not queue again because an account refused it.
    pub fn leave_account(&mut self) {
        self.seat = None;
    }
}

impl Admission {
    /// Gates for these accounts.
    #[must_use]
    pub fn new(settings: Settings, accounts: impl IntoIterator<Item = Entrant>) -> Self {
        let admission = Self {
            accounts: ArcSwap::default(),
            owners: Mutex::default(),
            quotas: Quotas::default(),
            settings,
        };
        admission.introduce(accounts);
        admission
    }

    /// From now on there are gates for these accounts, and for no others. Those that had some keep them; calls at the
    /// gates of one that is gone end as they are.
    pub fn introduce(&self, accounts: impl IntoIterator<Item = Entrant>) {
        let present = self.accounts.load();
        let gates = |entrant: Entrant| {
            let account = entrant.account;
            let kept = present.get(&account).map(Arc::clone);
            let made = || Arc::new(AccountGates::new(&self.settings.per_account, entrant));
            (account, kept.unwrap_or_else(made))
        };
        self.accounts.store(Arc::new(accounts.into_iter().map(gates).collect()));
    }

    /// Counts a call against the quotas of its key, and borrows the tokens it is expected to use.
    ///
    /// # Errors
    /// [`Rejected::OverQuota`]; nothing is counted then.
    pub fn charge(&self, caller: &Caller, estimated_tokens: u64) -> Result<Charge, Rejected> {
        self.quotas.charge(caller, estimated_tokens)
    }

    /// Lets a call in: at its owner's gate, then at the account that `choose` names once the owner's turn has come.
    ///
    /// `deadline` is the call's own. A submit must have [`Volcengine::LEAST_TIME_TO_SUBMIT`] of it left.
    ///
    /// # Errors
    /// [`Rejected`], or what `choose` says.
    ///
    /// # Cancel safety
    /// Dropping the future gives every place and slot back.
    pub async fn admit<E: From<Rejected>>(
        &self,
        caller: &Caller,
        operation: Operation,
        lane: Lane,
        choose: impl FnOnce(&Loads<'_>) -> Result<AccountId, E>,
        deadline: Instant,
    ) -> Result<Permit, E> {
        let class = operation.class();
        let begun = Instant::now();
        let latest = self.latest(class, begun, deadline);
        let owner = self.owner_gate(caller, class)?.admit(caller.owner, lane, latest).await;
        let owner_slot = owner.map_err(|refused| match refused {
            Refused::Full { retry_after } => Rejected::KeyBusy { retry_after },
            Refused::TimedOut { retry_after } => Rejected::QueueTimeout { retry_after },
            Refused::Closed => Rejected::Draining,
        })?;
        let (account, gates) = self.choose(class, choose)?;
        let load = gates.load(class);
        let running = match (&gates.running, class) {
            (Some(running), Class::Submit) => {
                Some(running.admit(caller.owner, lane, latest).await.map_err(at_account)?)
            }
            _ => None,
        };
        let account_slot = gates.enter(class, caller.owner, lane, latest).await?;
        metrics::queue_wait(&gates.upstream, class, begun.elapsed());
        Ok(Permit {
            account,
            running,
            owner: Some(owner_slot),
            seat: Some(Seat {
                _slot: account_slot,
                _load: load,
            }),
        })
    }

    /// Lets a call that stepped aside, or left its account, in again, at the account that `choose` names: the same, or
    /// another.
    ///
    /// # Errors
    /// [`Rejected`], or what `choose` says; the permit then still holds what it held.
    ///
    /// # Cancel safety
    /// As [`Admission::admit`].
    pub async fn readmit<E: From<Rejected>>(
        &self,
        permit: &mut Permit,
        caller: &Caller,
        operation: Operation,
        lane: Lane,
        choose: impl FnOnce(&Loads<'_>) -> Result<AccountId, E>,
        deadline: Instant,
    ) -> Result<(), E> {
        let class = operation.class();
        let latest = self.latest(class, Instant::now(), deadline);
        if permit.owner.is_none() {
            let gate = self.owner_gate(caller, class)?;
            permit.owner = Some(gate.admit(caller.owner, lane, latest).await.map_err(at_account)?);
        }
        let (account, gates) = self.choose(class, choose)?;
        let load = gates.load(class);
        let slot = gates.enter(class, caller.owner, lane, latest).await?;
        permit.account = account;
        permit.seat = Some(Seat {
            _slot: slot,
            _load: load,
        });
        Ok(())
    }

    /// The running-task limit of an account, where there is one.
    #[must_use]
    pub fn running(&self, account: AccountId) -> Option<Arc<RunningTasks>> {
        self.accounts.load().get(&account)?.running.clone()
    }

    /// Every account with a running-task limit.
    #[must_use]
    pub fn limited_accounts(&self) -> Vec<AccountId> {
        let accounts = self.accounts.load();
        let limited = accounts.iter().filter(|(_, gates)| gates.running.is_some());
        limited.map(|(id, _)| *id).collect()
    }

    /// Begins the drain: whoever waits, or comes from now on, gets [`Rejected::Draining`]. Permits live on.
    pub fn close(&self) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.intake = Intake::Closed;
        for (_, gate) in owners.gates.values() {
            gate.close();
        }
        drop(owners);
        self.accounts.load().values().for_each(|gates| gates.close());
    }

    /// How every account's gates stand.
    #[must_use]
    pub fn view(&self) -> Vec<GateView> {
        let mut all: Vec<_> = self.accounts.load().values().flat_map(|gates| gates.view()).collect();
        all.sort_by(|a, b| (&a.upstream, &a.account, a.class).cmp(&(&b.upstream, &b.account, b.class)));
        all
    }

    /// How the gates of owners stand at which somebody is in flight or waits, the longest line first. There are no more
    /// than there are calls.
    #[must_use]
    pub fn busy_owners(&self) -> Vec<OwnerView> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |(&(owner, class), (_, gate)): (&(OwnerId, Class), &(Capacity, Gate<OwnerId>))| {
            let snapshot = gate.snapshot();
            let view = OwnerView { owner, class, snapshot };
            (snapshot.in_use > 0 || snapshot.waiting() > 0).then_some(view)
        };
        let mut busy: Vec<_> = owners.gates.iter().filter_map(view).collect();
        drop(owners);
        busy.sort_by_key(|view| (Reverse(view.snapshot.waiting()), view.owner, view.class));
        busy
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
            metrics::queue(
                &upstream,
                &account,
                class,
                snapshot.waiting(),
                snapshot.queue,
                snapshot.oldest_wait,
            );
        }
        for gates in self.accounts.load().values() {
            let taken = gates.running.as_ref().map_or(0, |running| running.taken());
            metrics::running_tasks(&gates.upstream, &gates.label, taken);
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

    fn choose<E: From<Rejected>>(
        &self,
        class: Class,
        choose: impl FnOnce(&Loads<'_>) -> Result<AccountId, E>,
    ) -> Result<(AccountId, Arc<AccountGates>), E> {
        let accounts = self.accounts.load();
        let account = choose(&Loads::new(&accounts, class))?;
        let gates = accounts.get(&account).ok_or(Rejected::NoAccount)?;
        Ok((account, Arc::clone(gates)))
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

/// Queries of one owner in flight.
const OWNER_QUERIES: NonZeroUsize = slots(8);
