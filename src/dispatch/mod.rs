//! Sending: where a call may go, one attempt at one account, and what follows from what came.

mod attempt;
mod board;
mod ending;
mod journey;
mod line;
pub mod pool;
pub mod retry;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

pub use self::attempt::{Arrived, Attempt, Begun, retry_after};
pub use self::journey::Journey;

use self::board::Board;
use self::journey::{Leg, Pooled, Way};
use self::line::{Line, Target};
use self::pool::trial::Bounds;
use self::pool::unusable::{Unusable, UnusableKind};
use self::pool::{Changes, Listed, Moment, Pool, View};
use crate::config::Volcengine;
use crate::crypto::digest::DigestKey;
use crate::model::account::{AccountState, Standing};
use crate::model::call::Call;
use crate::model::catalogue::{self, Catalogue, NoRoute, Route};
use crate::model::clock::Clock;
use crate::model::id::AccountId;
use crate::model::operation::Protocol;
use crate::model::upstream::UpstreamName;
use crate::telemetry::{fields, metrics};
use crate::upstream::mark::SentMark;
use crate::upstream::transport::Transport;
use crate::upstream::volcengine::{self, InvalidAddress};

/// The accounts, their pools, and the way to them.
pub struct Dispatcher {
    board: ArcSwap<Board>,
    /// The lines that the environment alone defines.
    fixed: Vec<Arc<Line>>,
    pools: Mutex<BTreeMap<UpstreamName, Pool>>,
    /// Calls so far, by which neighbours of equal preference take turns.
    rounds: AtomicU64,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    max_bytes: usize,
    on_change: OnChange,
}

/// Told when an account stands differently, so that it is written down. It must not wait.
pub type OnChange = Box<dyn Fn(AccountId, Standing) + Send + Sync>;

/// What a dispatcher is built from, beside the catalogue.
pub struct Outfit {
    /// What speaks to upstreams.
    pub transport: Arc<dyn Transport>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The largest reply, in bytes.
    pub max_bytes: usize,
    /// Told when an account stands differently.
    pub on_change: OnChange,
}

impl Dispatcher {
    /// A dispatcher to the accounts of the `volcengine` upstream and of `catalogue`. `standings` is what is written down
    /// of them.
    ///
    /// # Errors
    /// [`InvalidAddress`] when a host cannot stand in a URL.
    pub fn new(
        settings: Option<&Volcengine>,
        ids: &DigestKey,
        catalogue: Arc<Catalogue>,
        standings: impl Fn(AccountId) -> Option<Standing>,
        outfit: Outfit,
    ) -> Result<Self, InvalidAddress> {
        let Outfit {
            transport,
            clock,
            max_bytes,
            on_change,
        } = outfit;
        let fixed = board::volcengine_lines(settings, &volcengine::name(), ids, max_bytes)?;
        let dispatcher = Self {
            board: ArcSwap::from_pointee(Board::blank(Arc::clone(&catalogue))),
            fixed,
            pools: Mutex::default(),
            rounds: AtomicU64::new(0),
            transport,
            clock,
            max_bytes,
            on_change,
        };
        dispatcher.define(catalogue, standings);
        Ok(dispatcher)
    }

    /// From now on calls go by this catalogue. Accounts that were there keep how they stand.
    pub fn define(&self, catalogue: Arc<Catalogue>, standings: impl Fn(AccountId) -> Option<Standing>) {
        let board = Board::new(catalogue, &self.fixed, self.max_bytes);
        let at = Moment::of(self.clock.as_ref());
        let mut members: BTreeMap<UpstreamName, Vec<Listed>> = BTreeMap::new();
        let weights: HashMap<_, _> = board
            .catalogue
            .accounts
            .iter()
            .map(|account| (account.id, account.weight))
            .collect();
        for line in board.lines.values() {
            members.entry(line.upstream.clone()).or_default().push(Listed {
                account: line.account,
                weight: weights.get(&line.account).copied().unwrap_or(NonZeroU32::MIN),
                standing: standings(line.account),
            });
        }
        let mut pools = self.pools();
        pools.retain(|upstream, _| members.contains_key(upstream));
        for (upstream, listed) in members {
            pools
                .entry(upstream)
                .or_insert_with(|| Pool::new(at))
                .define(listed, at);
        }
        drop(pools);
        self.board.store(Arc::new(board));
    }

    /// The catalogue that calls go by.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.board.load().catalogue)
    }

    /// Every account: its id, its upstream and its label.
    #[must_use]
    pub fn accounts(&self) -> Vec<(AccountId, UpstreamName, String)> {
        let board = self.board.load();
        let lines = board.lines.values();
        lines
            .map(|line| (line.account, line.upstream.clone(), line.label.clone()))
            .collect()
    }

    /// How the accounts of each upstream stand.
    #[must_use]
    pub fn view(&self) -> Vec<(UpstreamName, Vec<View>)> {
        let now = self.clock.monotonic();
        let pools = self.pools();
        pools
            .iter()
            .map(|(upstream, pool)| (upstream.clone(), pool.view(now).collect()))
            .collect()
    }

    /// Where a call goes.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(&self, call: &Call) -> Result<Route, NoRoute> {
        match call.operation.protocol() {
            Protocol::OpenAi => self.board.load().catalogue.route(call.model.as_deref()),
            Protocol::Volcengine => Ok(Route {
                model: call.model.clone().unwrap_or_default(),
                targets: Arc::new([catalogue::Target {
                    upstream: volcengine::name(),
                    model: call.model.clone().unwrap_or_default(),
                    weight: None,
                }]),
                context_length: None,
                max_tokens: None,
                price: (call.model.as_deref()).and_then(|req_key| self.board.load().catalogue.price_of(req_key)),
            }),
        }
    }

    /// The way of a call on its route, until `latest`.
    #[must_use]
    pub fn journey(&self, call: &Call, route: &Route, latest: Instant) -> Journey {
        let board = self.board.load();
        let round = self.rounds.fetch_add(1, Ordering::Relaxed);
        let leg = |target: &catalogue::Target| {
            let upstream = board.catalogue.upstreams.get(&target.upstream);
            let bounds = Bounds {
                max_attempts: upstream.map_or(1, |upstream| upstream.max_attempts),
                latest,
                keyed: journey::keyed(call),
            };
            Leg::new(target, bounds)
        };
        Journey {
            way: Way::Pooled(Pooled {
                legs: journey::ordered(route, round).into_iter().map(leg).collect(),
                at: 0,
                turn: None,
                max_tokens: route.max_tokens,
            }),
        }
    }

    /// The way of a query: to the account that its task is at, if that still exists, else to any of the upstream.
    #[must_use]
    pub fn pinned(&self, account: Option<AccountId>) -> Journey {
        let known = account.filter(|account| self.fixed.iter().any(|line| line.account == *account));
        Journey {
            way: Way::Pinned(match known {
                Some(account) => vec![account],
                None => self.fixed.iter().map(|line| line.account).collect(),
            }),
        }
    }

    /// Chooses the account for the next attempt. `in_flight` tells how many queries are at an account; of paid calls the
    /// pools know it themselves.
    ///
    /// # Errors
    /// [`Unusable`] when no account of any target can serve the call now.
    pub fn choose(&self, journey: &mut Journey, in_flight: impl Fn(AccountId) -> usize) -> Result<AccountId, Unusable> {
        let way = match &mut journey.way {
            Way::Pinned(accounts) => {
                let least = accounts.iter().min_by_key(|account| in_flight(**account));
                return least.copied().ok_or(NO_POOL);
            }
            Way::Pooled(way) => way,
        };
        let at = Moment::of(self.clock.as_ref());
        let mut pools = self.pools();
        let mut changed = Changes::new();
        let mut chosen = Err(NO_POOL);
        for (place, leg) in way.legs.iter_mut().enumerate().skip(way.at) {
            let unusable = match pools.get_mut(&leg.upstream) {
                None => NO_POOL,
                Some(pool) => match pool.choose(&mut leg.trial, at) {
                    Ok(turn) => {
                        chosen = Ok((place, turn));
                        break;
                    }
                    Err(unusable) => {
                        changed.extend(pool.conclude(&mut leg.trial, at));
                        unusable
                    }
                },
            };
            chosen = chosen.map_err(|why| why.or_sooner(unusable));
        }
        drop(pools);
        self.note(changed);
        let (place, turn) = chosen?;
        let account = turn.account();
        way.at = place;
        way.turn = Some(turn);
        Ok(account)
    }

    /// Whether a journey may go where it was let in: nothing has happened to the account while it waited. If not, give
    /// its turn back ([`Journey::give_back`]) and choose again.
    #[must_use]
    pub fn stands(&self, journey: &Journey) -> bool {
        let Way::Pooled(way) = &journey.way else { return true };
        let (Some(turn), Some(leg)) = (&way.turn, way.legs.get(way.at)) else {
            return true;
        };
        let pools = self.pools();
        let pool = pools.get(&leg.upstream);
        pool.is_none_or(|pool| pool.still(&leg.trial, turn, self.clock.monotonic()))
    }

    /// Chooses where a call goes on that was at `before`: there, if it still has its turn, else where the pool says.
    ///
    /// # Errors
    /// As [`Dispatcher::choose`].
    pub fn choose_again(
        &self,
        journey: &mut Journey,
        before: AccountId,
        in_flight: impl Fn(AccountId) -> usize,
    ) -> Result<AccountId, Unusable> {
        match &journey.way {
            Way::Pooled(Pooled { turn: None, .. }) => self.choose(journey, in_flight),
            Way::Pooled(_) | Way::Pinned(_) => Ok(before),
        }
    }

    /// The longest that a call on this route may take until its answer, or the head of its stream.
    #[must_use]
    pub fn patience(&self, route: &Route) -> Duration {
        let board = self.board.load();
        let timeouts = route
            .targets
            .iter()
            .filter_map(|target| board.catalogue.upstreams.get(&target.upstream));
        timeouts.map(|upstream| upstream.timeout).max().unwrap_or_default() + board::BODY_PATIENCE
    }

    /// Sends a call once to the account that its journey is at. `mark` tells whether a byte of it left.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; what happened is then what the mark says.
    pub async fn attempt(
        &self,
        call: &Call,
        journey: &Journey,
        account: AccountId,
        number: u32,
        mark: SentMark,
    ) -> Attempt {
        let begun = Instant::now();
        let line = self.board.load().lines.get(&account).map(Arc::clone);
        let Some(line) = line else {
            return Attempt {
                result: Err(line::UNSENT),
                took: Duration::ZERO,
            };
        };
        let target = match &journey.way {
            Way::Pinned(_) => Target::default(),
            Way::Pooled(way) => way.target(),
        };
        let sending = line.send(call, target, self.transport.as_ref(), self.clock.wall(), mark);
        let attempt = Attempt {
            result: sending.await,
            took: begun.elapsed(),
        };
        let outcome = attempt.outcome();
        if let Err(error) = &attempt.result {
            tracing::warn!(
                { fields::UPSTREAM } = line.upstream.as_str(),
                { fields::ACCOUNT_ID } = %account,
                { fields::ATTEMPT } = number,
                { fields::OUTCOME } = outcome.label(),
                error = %error,
                "an attempt brought no whole reply"
            );
        }
        metrics::attempt(line.upstream.as_str(), &line.label, call.operation, outcome);
        attempt
    }

    fn note(&self, changed: Changes) {
        for (account, standing) in changed {
            let (state, reason) = (standing.state.label(), standing.reason.label());
            if standing.state == AccountState::Active {
                tracing::info!({ fields::ACCOUNT_ID } = %account, state, reason, "an account serves again");
            } else {
                tracing::warn!({ fields::ACCOUNT_ID } = %account, state, reason, "an account is out of use");
            }
            (self.on_change)(account, standing);
        }
    }

    /// A person has decided how an account stands.
    pub fn decided(&self, account: AccountId, standing: Standing) {
        let at = Moment::of(self.clock.as_ref());
        for pool in self.pools().values_mut() {
            match standing.state {
                AccountState::Disabled { .. } => pool.disable(account, at),
                _ => pool.enable(account, at),
            };
        }
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<UpstreamName, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no such upstream, or it has no account: only a person can change that.
const NO_POOL: Unusable = Unusable {
    retry_after: Duration::from_hours(1),
    kind: UnusableKind::NoAccount,
};
