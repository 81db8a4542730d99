//! The store looked through as a whole, and made smaller, while no server runs.

use std::sync::Arc;

use super::error::StartError;
use super::{Outside, master_keys, store_path};
use crate::catalogue::Curator;
use crate::config::Config;
use crate::crypto::seal::StoreId;
use crate::store::audit::{Verdict, Walk};
use crate::store::file::{self, Compacted, Pages};
use crate::store::sealed::{self, Seals};
use crate::store::{Missing, OpenOptions, Store};

/// What a check found.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// Of the file's pages.
    pub pages: Pages,
    /// Of the log book's chain.
    pub log_book: Verdict,
    /// Of everything that is sealed.
    pub seals: Seals,
    /// Of upstreams, accounts and models: why they cannot be taken up, if they cannot.
    pub catalogue: Result<(), String>,
    /// The tables and their rows.
    pub rows: Vec<(&'static str, u64)>,
}

/// Where a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every page is read.
    Pages,
    /// So many entries of the log book were verified, of so many.
    LogBook(u64, u64),
    /// So many rows that hold something sealed were looked at, of so many.
    Seals(u64, u64),
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        matches!(self.log_book, Verdict::Intact { .. }) && self.seals.unreadable == 0 && self.catalogue.is_ok()
    }
}

/// Checks the store of `config`: its pages, its log book, and that what is sealed opens. Blocks.
///
/// # Errors
/// [`StartError`] where it cannot be opened at all, or a server holds it.
pub fn check(config: &Config, progress: &dyn Fn(Step)) -> Result<CheckReport, StartError> {
    let path = store_path(&config.store.location)?;
    progress(Step::Pages);
    let pages = file::check_pages(&path, config.store.cache_bytes, |_| {})?;
    let outside = Outside::real()?;
    let keys = |id: StoreId| master_keys(config, id);
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: config.store.cache_bytes,
        missing: Missing::Refuse,
        progress: |_| {},
        clock: Arc::clone(&outside.clock),
        entropy: outside.entropy.as_ref(),
    };
    let store = Store::open(&path, &options)?.store;
    let log_book = walk(&store, progress)?;
    let all = store.read(|rows| sealed::rows(rows))?;
    let seals = sealed::check(&store, |seals| {
        progress(Step::Seals(seals.opened + seals.unreadable, all));
    })?;
    let tasks = tokio_util::task::TaskTracker::new();
    let catalogue = Curator::load(config, store.clone(), outside.entropy, outside.clock, tasks);
    let rows = store.read(|rows| rows.row_counts())?;
    let report = CheckReport {
        pages,
        log_book,
        seals,
        catalogue: catalogue.map(drop).map_err(|error| error.to_string()),
        rows,
    };
    store.close();
    Ok(report)
}

fn walk(store: &Store, progress: &dyn Fn(Step)) -> Result<Verdict, StartError> {
    let key = Arc::new(store.keyring().audit.clone());
    let mut walk = match store.read(|rows| Walk::begin(rows, &key))? {
        Ok(walk) => walk,
        Err(verdict) => return Ok(verdict),
    };
    loop {
        let verdict = store.read(|rows| walk.step(rows, STEP))?;
        let (done, all) = walk.progress();
        progress(Step::LogBook(done, all));
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
    }
}

/// Makes the file of the store of `config` as small as it can be. Blocks.
///
/// # Errors
/// [`StartError`] where it cannot be opened, or a server holds it.
pub fn compact(config: &Config) -> Result<Compacted, StartError> {
    let path = store_path(&config.store.location)?;
    Ok(file::compact(&path, config.store.cache_bytes, |_| {})?)
}

/// Entries that one step looks at.
const STEP: usize = 10_000;
