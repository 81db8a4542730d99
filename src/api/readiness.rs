//! Whether calls would be served, and what the gauges say at this moment.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Services;
use crate::model::account::AccountState;
use crate::model::clock::Timestamp;
use crate::model::id::AccountId;
use crate::model::operation::Class;
use crate::model::upstream::UpstreamName;
use crate::model::usage::Usage;
use crate::relay::{AccountView, BreakerState};
use crate::store::audit;
use crate::telemetry::metrics;

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing is wrong.
    Fine,
    /// What is wrong, in a sentence.
    Problem(&'static str),
}

impl Finding {
    /// What is wrong, if anything is.
    #[must_use]
    pub const fn problem(self) -> Option<&'static str> {
        match self {
            Self::Fine => None,
            Self::Problem(problem) => Some(problem),
        }
    }

    const fn unless(fine: bool, problem: &'static str) -> Self {
        if fine { Self::Fine } else { Self::Problem(problem) }
    }
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It ends: nothing new is admitted.
    Draining,
    /// Its store failed: it is about to end.
    Failed,
}

/// The phase, as everybody sees it.
#[derive(Debug, Default)]
pub struct Lifecycle {
    phase: AtomicU8,
    ending: CancellationToken,
}

impl Lifecycle {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Failed,
        }
    }

    /// Goes on to a later phase; it never goes back.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        if phase != Phase::Serving {
            self.ending.cancel();
        }
    }

    /// Fires when it serves no more: what would last as long as its reader likes ends then.
    #[must_use]
    pub const fn ending(&self) -> &CancellationToken {
        &self.ending
    }
}

/// The accounts whose series the last scrape set. Those of one that is gone since fall to 0 instead of standing still.
#[derive(Debug, Default)]
pub struct Published(Mutex<BTreeSet<(UpstreamName, AccountId)>>);

impl Published {
    fn renew(&self, accounts: &[AccountView]) {
        let id = |view: &AccountView| (view.upstream.clone(), view.account);
        let present = accounts.iter().map(id).collect();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (upstream, account) in last.difference(&present) {
            let (upstream, account) = (upstream.as_str(), account.to_string());
            metrics::account_state(upstream, &account, &AccountState::LABELS, None);
            metrics::breaker_state(upstream, &account, &BreakerState::LABELS, None);
            for class in Class::ALL {
                metrics::queue(upstream, &account, class, 0, 0, None);
            }
            metrics::running_tasks(upstream, &account, 0);
        }
        *last = present;
        for view in accounts {
            let (upstream, account) = (view.upstream.as_str(), view.account.to_string());
            let (state, breaker) = (view.standing.state.label(), view.breaker.label());
            metrics::account_state(upstream, &account, &AccountState::LABELS, Some(state));
            metrics::breaker_state(upstream, &account, &BreakerState::LABELS, Some(breaker));
        }
    }
}

impl Services {
    /// The store, the accounts, the clock, the lifecycle, in this order.
    pub(super) async fn readiness(&self) -> [Finding; 4] {
        let head = self.store.read_aside(audit::head).await;
        let writable = head.is_ok() && !self.store.failed().is_cancelled();
        let last = head.map_or(Timestamp::EPOCH, |head| head.at);
        let clock_is_sane = self.clock.wall().plus(TOLERANCE) >= last;
        [
            Finding::unless(writable && self.recorder.has_room(), "the store cannot be written"),
            Finding::unless(
                self.relay.accounts().iter().any(AccountView::is_usable),
                "no upstream account can be used",
            ),
            Finding::unless(clock_is_sane, "the clock stands before the last record"),
            match self.lifecycle.phase() {
                Phase::Serving => Finding::Fine,
                Phase::Draining => Finding::Problem("the process is draining"),
                Phase::Failed => Finding::Problem("the store failed; the process ends"),
            },
        ]
    }

    /// Every metric, with the gauges as they stand.
    pub(super) async fn scrape(&self) -> String {
        self.admission.publish();
        self.published.renew(&self.relay.accounts());
        for (model, _) in self.relay.catalogue().models.values() {
            // So that what its first call costs and takes is seen as an increase.
            if let Some(price) = &model.price {
                metrics::cost(price.currency.as_str(), &model.name, 0);
                if price.input.max(price.output) > 0 {
                    metrics::tokens(Some(&model.name), Usage::default());
                }
            }
        }
        let rows = self
            .store
            .read_aside(|reader| reader.row_counts())
            .await
            .unwrap_or_default();
        let (file, free) = (self.facts.disk)();
        metrics::store(file, free, &rows);
        for (status, number) in self.directory.counts(self.clock.wall()) {
            metrics::keys(status, number);
        }
        let now = self.clock.wall();
        for view in self.jobs.queues().await.unwrap_or_default() {
            metrics::job_queue(&view.name, &view.row, view.oldest.map(|since| now.since(since)));
        }
        let ready = self.readiness().await.iter().all(|finding| finding.problem().is_none());
        metrics::process(ready, (self.facts.connections)());
        self.process.collect();
        self.metrics.render()
    }
}

/// Clocks of one machine disagree by less.
const TOLERANCE: Duration = Duration::from_secs(2);
