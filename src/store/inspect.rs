//! A look at a store that no process holds, which changes nothing: not its schema, not the number of its boots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{DatabaseError, ReadOnlyDatabase, ReadableDatabase};

use super::Store;
use super::error::{OpenError, StoreError};
use super::found::{Found, classify};
use super::open::{self, MasterKeys};
use super::restored::Restored;
use super::schema::{Reader, SCHEMA};
use super::upstreams::{self, UpstreamRow};
use super::{meta, restored};
use crate::crypto::keyring::Keyring;
use crate::model::clock::Timestamp;

/// What stands at a path.
#[derive(Debug)]
pub enum Inspection {
    /// No store yet.
    Nothing,
    /// A store whose last process did not close it. The next one that opens it checks it, which changes the file.
    NotClosed,
    /// A store.
    Store(Inspected),
}

/// What a store tells.
#[derive(Debug)]
pub struct Inspected {
    /// The schema it was written with, at most [`SCHEMA`].
    pub schema: u32,
    /// Which of the master keys opened it; 0 is the current one.
    pub master_key: usize,
    /// When the last entry of its log book was written.
    pub last_record: Timestamp,
    /// The upstreams that were added to it. An older schema's are not told.
    pub upstreams: Vec<UpstreamRow>,
    /// The restoration that it came from, if it came from one.
    pub restored: Option<Restored>,
}

impl Store {
    /// Looks at the store at `path`: its keys are unwrapped and its head is verified, as when it is opened. Blocks.
    ///
    /// # Errors
    /// [`OpenError`], as [`Store::open`].
    pub fn inspect(path: &Path, master_keys: MasterKeys<'_>) -> Result<Inspection, OpenError> {
        // redb asserts what it reads of its own pages.
        catch_unwind(AssertUnwindSafe(|| look(path, master_keys))).unwrap_or_else(|_panic| Err(open::torn(path)))
    }
}

fn look(path: &Path, master_keys: MasterKeys<'_>) -> Result<Inspection, OpenError> {
    if !matches!(classify(path)?, Found::Redb) {
        return Ok(Inspection::Nothing);
    }
    let database = match ReadOnlyDatabase::open(path) {
        Ok(database) => database,
        Err(DatabaseError::RepairAborted) => return Ok(Inspection::NotClosed),
        Err(error) => return Err(open::explain(path, error)),
    };
    let mut reader = Reader::new(database.begin_read().map_err(StoreError::from)?);
    let schema = open::schema_of(&reader)?;
    if schema > SCHEMA {
        return Err(OpenError::Newer {
            found: schema,
            known: SCHEMA,
        });
    }
    // A store that was begun, and killed before its keys were made.
    if schema == 0 {
        return Ok(Inspection::Nothing);
    }
    let Some((_, keys, master_key)) = open::unwrap_keys(&mut reader, master_keys)? else {
        return Ok(Inspection::Nothing);
    };
    let head = open::whole_ends(&mut reader, &Keyring::new(keys))?.head;
    let upstreams = if schema == SCHEMA {
        upstreams::all(&mut reader)?
    } else {
        Vec::new()
    };
    let made_at = meta::get(&mut reader, meta::MADE_AT)?.unwrap_or(Timestamp::EPOCH);
    Ok(Inspection::Store(Inspected {
        schema,
        master_key,
        last_record: head.at.max(made_at),
        upstreams,
        restored: restored::get(&mut reader)?,
    }))
}
