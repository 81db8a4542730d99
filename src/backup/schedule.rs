//! Backups that are made without being asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Backups, SUFFIX, prefix};
use crate::config;
use crate::object::{Object, ObjectStorage};
use crate::telemetry::metrics;

impl Backups {
    /// Tells of the last backup that an older process made, then makes one whenever one is due, until `stop` fires. One
    /// that failed is tried again after ten minutes.
    ///
    /// # Cancel safety
    /// Dropped, no part of a backup is left under its name.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(plan) = &self.plan else { return };
        let every = plan.every;
        let all = async {
            let last = self.last(plan).await;
            if let Some(last) = &last {
                metrics::backup_found(last.modified.as_seconds(), last.bytes);
            }
            if every.is_zero() {
                return;
            }
            let mut wait = self.first_wait(every, last.as_ref());
            loop {
                tokio::time::sleep(wait).await;
                wait = match self.back_up().await {
                    Ok(report) => {
                        tracing::info!(
                            name = report.name,
                            bytes = report.bytes,
                            seconds = report.took.as_secs_f64(),
                            removed = report.removed.len(),
                            "backed up"
                        );
                        every
                    }
                    Err(error) => {
                        tracing::error!(error = %error, "the backup failed: it is tried again");
                        every.min(RETRY)
                    }
                };
            }
        };
        stop.run_until_cancelled(all).await;
    }

    /// How long to wait for the first one: restarts neither put it off nor repeat it.
    fn first_wait(&self, every: Duration, last: Option<&Object>) -> Duration {
        let passed = last.map_or(every, |last| self.clock.wall().since(last.modified));
        every.saturating_sub(passed).max(SOONEST)
    }

    /// The newest backup of this store that is in the place.
    async fn last(&self, plan: &config::Backup) -> Option<Object> {
        let objects = match ObjectStorage::open(&plan.url, &self.aws).await {
            Ok(place) => place.list(&prefix(self.store.id())).await,
            Err(error) => Err(error),
        };
        match objects {
            Ok(objects) => objects
                .into_iter()
                .filter(|object| object.name.ends_with(SUFFIX))
                .max_by_key(|object| object.modified),
            Err(error) => {
                tracing::error!(error = %error, "the place of the backups cannot be looked at");
                None
            }
        }
    }
}

/// After a start, calls come first.
const SOONEST: Duration = Duration::from_secs(10);
/// How soon a backup that failed is tried again.
const RETRY: Duration = Duration::from_mins(10);
