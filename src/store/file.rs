//! The file as a whole, while nobody uses it: are its pages sound, can it be smaller.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database};

use super::error::OpenError;
use super::open::explain;

/// What looking at every page found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Every page has its checksum, and none is lost.
    Sound,
    /// The file was not closed in order, or pages were lost: it was repaired, and is sound now.
    Repaired,
}

/// The size of the file before and after it was made smaller, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// Verifies every page of the store at `path`. Blocks, for as long as reading the whole file takes. `progress` is told of
/// a repair after a crash, from 0 to 1.
///
/// # Errors
/// [`OpenError`]: with [`OpenError::Busy`] while another process holds the file, with [`OpenError::Damaged`] where pages
/// are damaged.
pub fn check_pages(path: &Path, cache_bytes: usize, progress: fn(f64)) -> Result<Pages, OpenError> {
    guarded(path, || {
        let mut database = open(path, cache_bytes, progress)?;
        let is_sound = database.check_integrity().map_err(|error| explain(path, error))?;
        Ok(if is_sound { Pages::Sound } else { Pages::Repaired })
    })
}

/// Verifies every page of the store at `path`, moves them together and cuts off what is left. Blocks, for as long as
/// reading the whole file and rewriting most of it takes; stopped at any moment, the store is as it was.
///
/// # Errors
/// As [`check_pages`].
pub fn compact(path: &Path, cache_bytes: usize, progress: fn(f64)) -> Result<Compacted, OpenError> {
    check_pages(path, cache_bytes, progress)?;
    guarded(path, || {
        let size = || {
            let found = fs::metadata(path).map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            });
            found.map(|found| found.len())
        };
        let before = size()?;
        let mut database = open(path, cache_bytes, progress)?;
        // Each pass moves what it can; a few make the file as small as it gets.
        for _ in 0..MOST_PASSES {
            let moved = database.compact().map_err(|error| OpenError::Damaged {
                path: path.to_owned(),
                detail: error.to_string(),
            })?;
            if !moved {
                break;
            }
        }
        drop(database);
        Ok(Compacted { before, after: size()? })
    })
}

fn open(path: &Path, cache_bytes: usize, progress: fn(f64)) -> Result<Database, OpenError> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(move |session| progress(session.progress()));
    builder.open(path).map_err(|error| explain(path, error))
}

/// redb asserts what it reads of its own pages.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_panic| {
        Err(OpenError::Damaged {
            path: path.to_owned(),
            detail: "its pages contradict each other".to_owned(),
        })
    })
}

const MOST_PASSES: usize = 8;
