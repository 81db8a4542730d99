//! Backups: the whole store as one authenticated stream, made while calls run, and what restores it.
//!
//! A backup is read from one picture of the store, so it is what the store was at one moment. Secrets stay sealed as they
//! are in the store: without the master key a backup opens none of them. [`mod@format`] says what its bytes are.

pub mod error;
pub mod format;
pub mod reader;
pub mod restore;
mod schedule;
mod stream;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use self::error::BackupError;
pub use self::stream::BackupStream;

use crate::config;
use crate::crypto::backup::BackupKey;
use crate::crypto::entropy::Entropy;
use crate::model::clock::{Clock, Timestamp};
use crate::object::ObjectStorage;
use crate::store::Store;
use crate::telemetry::metrics;

/// Makes backups of one store, one at a time.
pub struct Backups {
    store: Store,
    key: BackupKey,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    plan: Option<config::Backup>,
    aws: config::Aws,
    cleaning: TaskTracker,
    turn: Arc<Semaphore>,
}

/// What [`Backups`] is made of.
pub struct Parts {
    /// The store that is backed up.
    pub store: Store,
    /// What authenticates its backups.
    pub key: BackupKey,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Where backups go that nobody asked for.
    pub plan: Option<config::Backup>,
    /// What opens a bucket.
    pub aws: config::Aws,
    /// What takes away the parts of a backup that was given up; who ends the process waits for it.
    pub cleaning: TaskTracker,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The place it is in.
    pub place: String,
    /// Its name there.
    pub name: String,
    /// When it was begun: what was committed before is in it.
    pub at: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// How long it took.
    pub took: Duration,
    /// Older ones that were removed.
    pub removed: Vec<String>,
}

impl Backups {
    /// The service over its parts. Nothing runs before [`Backups::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            key,
            clock,
            entropy,
            plan,
            aws,
            cleaning,
        } = parts;
        Self {
            store,
            key,
            clock,
            entropy,
            plan,
            aws,
            cleaning,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Begins a backup of the store as it is now.
    ///
    /// # Errors
    /// [`BackupError::Busy`] while another one is made; [`BackupError::Store`].
    pub fn begin(&self) -> Result<BackupStream, BackupError> {
        let turn = Arc::clone(&self.turn).try_acquire_owned();
        let turn = turn.map_err(|_| BackupError::Busy)?;
        BackupStream::begin(&self.store, self.key.clone(), &self.clock, self.entropy.as_ref(), turn)
    }

    /// Makes a backup in the place of `BACKUP_URL`, and removes those that are too many there.
    ///
    /// # Errors
    /// [`BackupError`]; no part of it is left under its name.
    ///
    /// # Cancel safety
    /// Dropped, no part of it is left, unless all of it was written.
    pub async fn back_up(&self) -> Result<Report, BackupError> {
        let begun = self.clock.monotonic();
        let made = self.to_the_place().await;
        let took = self.clock.monotonic().saturating_duration_since(begun);
        match made {
            Ok(report) => {
                metrics::backed_up(self.clock.wall().as_seconds(), took, report.bytes);
                Ok(Report { took, ..report })
            }
            Err(error) => {
                if !matches!(error, BackupError::Busy | BackupError::NoPlace) {
                    metrics::backup_failed();
                }
                Err(error)
            }
        }
    }

    async fn to_the_place(&self) -> Result<Report, BackupError> {
        let plan = self.plan.as_ref().ok_or(BackupError::NoPlace)?;
        let stream = self.begin()?;
        let place = ObjectStorage::open(&plan.url, &self.aws).await?;
        let place = place.cleaning_in(&self.cleaning);
        let header = stream.header().clone();
        let name = name(&header);
        let bytes = upload(stream, &place, &name).await?;
        let removed = match self.retain(&place, plan.keep).await {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(error = %error, "old backups could not be removed");
                Vec::new()
            }
        };
        Ok(Report {
            place: place.to_string(),
            name,
            at: header.at,
            bytes,
            rows: header.facts.rows,
            took: Duration::ZERO,
            removed,
        })
    }

    /// Removes the oldest backups of this store, so that `keep` are left. What others keep there is not touched.
    async fn retain(&self, place: &ObjectStorage, keep: NonZeroUsize) -> Result<Vec<String>, BackupError> {
        let mut ours = self.ours(place).await?;
        ours.truncate(ours.len().saturating_sub(keep.get()));
        for name in &ours {
            place.delete(name).await?;
        }
        Ok(ours)
    }

    /// The names of this store's backups in a place, oldest first.
    async fn ours(&self, place: &ObjectStorage) -> Result<Vec<String>, BackupError> {
        let objects = place.list(&prefix(self.store.id())).await?;
        let names = objects.into_iter().map(|object| object.name);
        Ok(names.filter(|name| name.ends_with(SUFFIX)).collect())
    }
}

/// Writes a stream as an object. Returns its size.
async fn upload(mut stream: BackupStream, place: &ObjectStorage, name: &str) -> Result<u64, BackupError> {
    let mut upload = place.upload(name).await?;
    let mut bytes = 0;
    while let Some(piece) = stream.next().await {
        let written = match piece {
            Ok(piece) => {
                bytes += piece.len() as u64;
                upload.write(piece).await.map_err(BackupError::from)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // Why it failed matters more than what could not be taken away.
            drop(upload.abort().await);
            return Err(error);
        }
    }
    upload.finish().await?;
    Ok(bytes)
}

/// What a backup is called in its place: its store, and its moment, so that names sort by age.
#[must_use]
pub fn name(header: &format::Header) -> String {
    format!("{}{}{SUFFIX}", prefix(header.facts.store), compact(header.at))
}

/// A moment as `20261121T190501Z`.
fn compact(at: Timestamp) -> String {
    let seconds = Timestamp::from_seconds(at.as_seconds()).to_string();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// What the names of a store's backups begin with: eight digits of its name.
fn prefix(store: crate::crypto::seal::StoreId) -> String {
    let name = store.to_string();
    format!("tollgate-{}-", name.get(..8).unwrap_or(&name))
}

/// What the names of backups end with.
pub const SUFFIX: &str = ".backup";

#[cfg(test)]
mod tests;
