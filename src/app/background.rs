//! What runs beside the calls: room on the disk, retention, the log book's head, metrics upkeep, the key
//! file, running tasks, webhooks, backups.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument;

use super::App;
use crate::api::Services;
use crate::api::readiness::Phase;
use crate::config::Config;
use crate::export::Daily;
use crate::jobs;
use crate::model::clock::GuardedClock;
use crate::store::audit;
use crate::store::ballast::Ballast;
use crate::store::maintain::{Exports, Retention, Sweep};
use crate::upstream::volcengine;

impl App {
    /// Starts it all. [`App::close`] ends it.
    pub fn run_in_background(&self, config: &Config) {
        let retention = Retention {
            audit: config.store.audit_retention,
            audit_bytes: config.store.audit_max_bytes,
            tasks: TASKS_KEPT,
            exports: match config.audit_export {
                Some(_) => Exports::Daily,
                None => Exports::None,
            },
        };
        let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
        let ballast = self.ballast.clone();
        self.background
            .spawn(async move { stop.run_until_cancelled(watch_room(&services, &ballast)).await });
        let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
        let ended = jobs::Retention {
            age: config.jobs.retention,
            most: config.jobs.most_finished,
        };
        self.background.spawn(async move {
            stop.run_until_cancelled(every_minute(&services, retention, ended))
                .await
        });
        let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
        self.background
            .spawn(async move { stop.run_until_cancelled(upkeep(&services)).await });
        let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
        self.background
            .spawn(async move { stop.run_until_cancelled(watch_store(&services)).await });
        let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
        self.background
            .spawn(async move { stop.run_until_cancelled(watch_key_file(&services)).await });
        if let Some(settings) = config.audit_export.clone() {
            let store = self.services.store.clone();
            let daily = Daily::new(store, settings, config.aws.clone(), self.background.clone());
            let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
            self.background
                .spawn(async move { stop.run_until_cancelled(export_days(&services, &daily)).await });
        }
        // One that an older process began goes on.
        Arc::clone(&self.services.rekey).start();
        let jobs = Arc::clone(&self.services.jobs).run(self.stop.clone());
        self.background.spawn(jobs.instrument(tracing::info_span!("jobs")));
        let logs = Arc::clone(&self.services.logs).run(self.stop.clone());
        self.background.spawn(logs.instrument(tracing::info_span!("job logs")));
        let reaping = Arc::clone(&self.services.relay).reap(self.stop.clone());
        self.background.spawn(reaping.instrument(tracing::info_span!("reaper")));
        let carrying = Arc::clone(&self.services.webhooks).run(self.stop.clone());
        self.background
            .spawn(carrying.instrument(tracing::info_span!("webhooks")));
        let backups = Arc::clone(&self.services.backups).run(self.stop.clone());
        self.background
            .spawn(backups.instrument(tracing::info_span!("backups")));
    }
}

/// Ends admission at once when the store fails.
async fn watch_store(services: &Services) {
    services.store.failed().cancelled().await;
    services.lifecycle.enter(Phase::Failed);
    services.admission.close();
}

/// Refuses new intents while the disk has no room, before redb would fail in a commit.
async fn watch_room(services: &Services, ballast: &Ballast) {
    let mut ticks = ticks(ROOM);
    loop {
        ticks.tick().await;
        // A disk that cannot be asked is not known to be full.
        let short = ballast.room().is_ok_and(Ballast::is_short);
        if short && services.recorder.has_room() {
            tracing::error!("the disk is nearly full: new calls are refused until there is room");
        }
        services.recorder.set_room(!short);
    }
}

async fn every_minute(services: &Services, retention: Retention, ended: jobs::Retention) {
    let guarded = GuardedClock::new(Arc::clone(&services.clock));
    let mut sweep = Sweep::default();
    let mut ticks = ticks(MINUTE);
    loop {
        ticks.tick().await;
        if let Err(error) = services.recorder.flush_refusals().await {
            tracing::error!(error = %error, "the refusals of this minute were not recorded");
        }
        let retained = services
            .store
            .retain(retention, volcengine::NAME, guarded.earliest(), &mut sweep)
            .await;
        if let Err(error) = retained {
            tracing::error!(error = %error, "old records could not be removed");
        }
        if let Err(error) = services.jobs.retain(ended, guarded.earliest()).await {
            tracing::error!(error = %error, "jobs that ended long ago could not be removed");
        }
        // Outside of the file, a head is an anchor: with it `audit verify --expect` finds a file that was put back.
        match services.store.read_aside(audit::head).await {
            Ok(head) => tracing::info!(seq = head.seq, digest = %head.digest, "the log book's head"),
            Err(error) => tracing::error!(error = %error, "the log book's head cannot be read"),
        }
    }
}

/// Exports each day of the log book once it has ended.
async fn export_days(services: &Services, daily: &Daily) {
    let guarded = GuardedClock::new(Arc::clone(&services.clock));
    let mut ticks = ticks(EXPORTS);
    loop {
        ticks.tick().await;
        if let Err(error) = daily.catch_up(guarded.earliest()).await {
            tracing::error!(error = %error, "the log book is not exported; what is old is kept until it is");
        }
    }
}

/// Histograms grow until somebody drains them; what queues do in a minute is measured a little at a time.
async fn upkeep(services: &Services) {
    let mut ticks = ticks(UPKEEP);
    loop {
        ticks.tick().await;
        services.metrics.run_upkeep();
        match services.jobs.queues().await {
            Ok(queues) => {
                let ended = queues.into_iter().map(|view| (view.name, view.row.ended));
                services.throughput.sample(services.clock.monotonic(), ended);
            }
            Err(error) => tracing::error!(error = %error, "the queues of jobs cannot be read"),
        }
    }
}

/// Takes up the accounts of a key file that changed.
async fn watch_key_file(services: &Services) {
    let mut ticks = ticks(KEY_FILE);
    // The first one is over at once, and the start has just read the file.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match services.curator.look_at_keys().await {
            Ok(None) => {}
            Ok(Some(found)) => tracing::info!(
                accounts = found.accounts,
                added = found.added,
                removed = found.removed,
                "the key file was read again"
            ),
            Err(error) => tracing::error!(error = %error, "the accounts stay what they were"),
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

const ROOM: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const EXPORTS: Duration = Duration::from_mins(5);
const UPKEEP: Duration = Duration::from_secs(5);
const KEY_FILE: Duration = Duration::from_secs(5);

/// Longer than any task lives at the provider, and than the 48 hours that are promised.
const TASKS_KEPT: Duration = Duration::from_hours(7 * 24);
