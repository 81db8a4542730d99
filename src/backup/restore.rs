//! From a backup to a store: built beside, verified as a whole, and only then put in its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::error::BackupError;
use super::format::Header;
use super::reader::{BackupReader, VerifiedRows};
use crate::crypto::backup::BackupKey;
use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::StoreId;
use crate::model::clock::{Clock, Timestamp};
use crate::store::audit::{Verdict, Walk};
use crate::store::error::OpenError;
use crate::store::raw::{Occupied, Rebuild};
use crate::store::restored::{Restored, Stage};
use crate::store::{Missing, OpenOptions, Store};

/// What a restoration needs besides the backup.
pub struct Restoration<'a> {
    /// Where the store goes.
    pub path: &'a Path,
    /// Whether a store that is there may be replaced.
    pub replace: Replace,
    /// Turns the store's name into the keys that may open it: the current one, then those being rotated out.
    pub master_keys: &'a (dyn Fn(StoreId) -> Result<Vec<MasterKey>, OpenError> + Sync),
    /// Most bytes kept of the new file in memory.
    pub cache_bytes: usize,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: &'a dyn Entropy,
    /// Told how many rows were restored, and of how many.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// Whether a store that is there may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It may not.
    Never,
    /// It may, and is kept beside.
    Keep,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct RestoreReport {
    /// What the backup said of itself.
    pub header: Header,
    /// What the new store says of where it came from.
    pub restored: Restored,
    /// Where the store is now that was there before, if one was.
    pub kept: Option<PathBuf>,
}

impl Restoration<'_> {
    /// Restores a backup from its bytes. The store that is there is untouched until everything was verified.
    ///
    /// # Errors
    /// [`BackupError`]; everything is then as it was.
    ///
    /// # Cancel safety
    /// Dropped, the store that is there is untouched; a file ending in `.restoring` may be left beside it, and the next
    /// restoration removes it.
    pub async fn run<E: Into<BackupError>>(
        &self,
        mut pieces: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<RestoreReport, BackupError> {
        let occupied = self.occupy()?;
        let beside = with_suffix(self.path, ".restoring");
        remove(&beside)?;
        let keys = |store| self.backup_keys(store);
        let mut reader = BackupReader::new(&keys);
        let mut rebuild = None;
        let built = async {
            while let Some(piece) = pieces.next().await {
                reader.push(&piece.map_err(Into::into)?);
                while let Some(rows) = reader.next_rows()? {
                    let new = match rebuild.take() {
                        Some(rebuild) => rebuild,
                        None => Rebuild::create(&beside, self.cache_bytes)?,
                    };
                    let filled = insert(new, rows).await?;
                    let all = reader.header().map_or(0, |header| header.facts.rows);
                    (self.progress)(filled.rows(), all);
                    rebuild = Some(filled);
                }
            }
            let header = reader.finish()?;
            let rebuild = rebuild.take().ok_or(BackupError::Truncated { bytes: 0 })?;
            self.complete(rebuild, header, occupied, &beside)
        };
        let report = built.await;
        if report.is_err() {
            drop(remove(&beside));
        }
        report
    }

    /// Takes the store that is there, if one is, so that no server can open it meanwhile.
    fn occupy(&self) -> Result<Option<Occupied>, BackupError> {
        let there = fs::metadata(self.path).is_ok_and(|found| found.len() > 0);
        if !there {
            return Ok(None);
        }
        let occupied = Occupied::take(self.path).map_err(in_use)?;
        match self.replace {
            Replace::Keep => Ok(Some(occupied)),
            Replace::Never => Err(BackupError::Occupied {
                path: self.path.to_owned(),
            }),
        }
    }

    fn backup_keys(&self, store: StoreId) -> Result<Vec<BackupKey>, BackupError> {
        let masters = (self.master_keys)(store)?;
        Ok(masters.iter().map(|master| BackupKey::new(master, store)).collect())
    }

    /// Ends the new store, looks at it as a whole, and puts it in its place.
    fn complete(
        &self,
        rebuild: Rebuild,
        header: Header,
        occupied: Option<Occupied>,
        beside: &Path,
    ) -> Result<RestoreReport, BackupError> {
        let predecessor = occupied.map(Occupied::read).transpose().map_err(in_use)?;
        let found = predecessor.as_ref().and_then(|predecessor| predecessor.found);
        let restored = Restored {
            epoch: header.facts.epoch.max(found.map_or(0, |(_, epoch)| epoch)) + 1,
            at: self.clock.wall(),
            backup_at: header.at,
            head: header.facts.head,
            replaced: found.map(|(head, _)| head),
            stage: Stage::Fresh,
        };
        rebuild.finish(&header.facts, &restored)?;
        self.verify(beside)?;
        let failed = |path: &Path, source| BackupError::File {
            path: path.to_owned(),
            source,
        };
        let kept = predecessor.as_ref().map(|_| self.keep(restored.at)).transpose()?;
        fs::rename(beside, self.path).map_err(|error| failed(self.path, error))?;
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed(folder, error))?;
        Ok(RestoreReport { header, restored, kept })
    }

    /// Gives the store that is there a second name, so that at no moment there is no store; where a file can have only
    /// one, it moves. A name that is taken, by a restoration of the same second, stays what it is.
    fn keep(&self, at: Timestamp) -> Result<PathBuf, BackupError> {
        let first = with_suffix(self.path, &format!(".before-restore-{}", super::compact(at)));
        let mut kept = first.clone();
        let mut number = 1;
        while kept.exists() {
            number += 1;
            kept = with_suffix(&first, &format!("-{number}"));
        }
        let named = fs::hard_link(self.path, &kept).or_else(|_| fs::rename(self.path, &kept));
        match named {
            Ok(()) => Ok(kept),
            Err(source) => Err(BackupError::File { path: kept, source }),
        }
    }

    /// Opens the new store as a server would, and walks its log book.
    fn verify(&self, beside: &Path) -> Result<(), BackupError> {
        let options = OpenOptions {
            master_keys: &self.master_keys,
            cache_bytes: self.cache_bytes,
            missing: Missing::Refuse,
            progress: |_| {},
            clock: Arc::clone(&self.clock),
            entropy: self.entropy,
        };
        let store = Store::open(beside, &options)?.store;
        let key = Arc::new(store.keyring().audit.clone());
        let verdict = store.read(|rows| match Walk::begin(rows, &key)? {
            Err(verdict) => Ok(verdict),
            Ok(mut walk) => loop {
                if let Some(verdict) = walk.step(rows, STEP)? {
                    return Ok(verdict);
                }
            },
        });
        store.close();
        match verdict? {
            Verdict::Intact { .. } => Ok(()),
            Verdict::Broken { at, why } => Err(BackupError::Broken { at, why }),
        }
    }
}

fn in_use(error: OpenError) -> BackupError {
    match error {
        OpenError::Busy { path } => BackupError::InUse { path },
        other => other.into(),
    }
}

async fn insert(mut rebuild: Rebuild, rows: VerifiedRows) -> Result<Rebuild, BackupError> {
    let inserted = tokio::task::spawn_blocking(move || {
        let rows = rows.rows()?;
        rebuild.insert(rows.table, rows)?;
        Ok(rebuild)
    });
    inserted.await.unwrap_or(Err(BackupError::Interrupted))
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::File {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Entries that one step looks at.
const STEP: usize = 10_000;
