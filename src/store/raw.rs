//! Rows as bytes, for what moves a store as a whole: out for a backup, in for a restoration.

use std::fs::{self, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, Key, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, Value, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::chain::Link;
use super::error::{OpenError, StoreError};
use super::restored::{self, Restored};
use super::schema::{self, Reader, SCHEMA};
use super::{Store, audit, codec, meta};
use crate::crypto::seal::StoreId;
use crate::model::clock::Timestamp;

/// One stable picture of the store, from which every row can be read. It pins old pages while it lives: what is freed
/// meanwhile is not used again, so the file may grow.
pub struct Snapshot {
    reader: Reader,
    facts: Facts,
}

/// What is known of a picture of a store before its rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The schema of its rows.
    pub schema: u32,
    /// The store's name.
    pub store: StoreId,
    /// When the store was made.
    pub made_at: Timestamp,
    /// How often the store was opened.
    pub boot: u64,
    /// How often the store was restored.
    pub epoch: u64,
    /// The log book's head.
    pub head: Link,
    /// How many rows there are in all tables.
    pub rows: u64,
}

impl Store {
    /// A picture of the store as the last commit left it. Writes go on, and are not in it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let database = self.inner.database.load_full().ok_or(StoreError::Closed)?;
        let mut reader = Reader::new(database.begin_read()?);
        let facts = Facts {
            schema: SCHEMA,
            store: self.id(),
            made_at: self.made_at(),
            boot: self.boot(),
            epoch: restored::get(&mut reader)?.map_or(0, |restored| restored.epoch),
            head: audit::head(&mut reader)?,
            rows: reader.row_counts()?.iter().map(|(_, rows)| rows).sum(),
        };
        Ok(Snapshot { reader, facts })
    }
}

impl Snapshot {
    /// What is known before its rows are read.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.facts
    }

    /// Gives every row to `each`: its table's name, its key, its value. Tables come one after another, their rows by key.
    ///
    /// # Errors
    /// [`StoreError`], or whatever `each` returns.
    pub fn each_row<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(&'static str, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.each_row(&mut each)
    }
}

/// A store that is being built from rows, in a new file. Nothing else can open it, and it is no store before
/// [`Rebuild::finish`].
pub struct Rebuild {
    database: Database,
    transaction: Option<WriteTransaction>,
    /// Bytes of rows in the present transaction.
    pending: usize,
    rows: u64,
}

impl Rebuild {
    /// Begins in a new file at `path`, which only we may read.
    ///
    /// # Errors
    /// [`OpenError::Io`] where a file is there or none can be made.
    pub fn create(path: &Path, cache_bytes: usize) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let new = fs::OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path);
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let database = builder.create_file(new.map_err(failed)?);
        Ok(Self {
            database: database.map_err(|error| failed(io::Error::other(error)))?,
            transaction: None,
            pending: 0,
            rows: 0,
        })
    }

    /// Writes rows of one table as [`Snapshot::each_row`] gave them.
    ///
    /// # Errors
    /// [`StoreError`]; with [`StoreError::Corrupt`] where this version knows no such table.
    pub fn insert<'a>(
        &mut self,
        table: &str,
        rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), StoreError> {
        let transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None => self.database.begin_write()?,
        };
        let (mut bytes, mut number) = (0, 0);
        let counted = rows.inspect(|(key, value)| {
            bytes += key.len() + value.len();
            number += 1;
        });
        schema::insert_rows(&transaction, table, counted)?;
        self.rows += number;
        self.pending += bytes;
        if self.pending < COMMIT_BYTES {
            self.transaction = Some(transaction);
        } else {
            self.pending = 0;
            transaction.commit()?;
        }
        Ok(())
    }

    /// How many rows were written.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Makes it a store that knows where it came from, and puts it on the disk.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn finish(self, facts: &Facts, restored: &Restored) -> Result<(), StoreError> {
        let transaction = match self.transaction {
            Some(transaction) => transaction,
            None => self.database.begin_write()?,
        };
        if facts.schema == SCHEMA {
            // Of empty tables nothing came. What an older schema lacks, the migrations make.
            schema::create_tables(&transaction)?;
        }
        let value = codec::encode(meta::TABLE, restored)?;
        transaction
            .open_table(schema::META)?
            .insert(meta::RESTORED, value.as_slice())?;
        Ok(transaction.commit()?)
    }
}

/// A store's file that is kept from being opened by others, without being touched.
pub struct Occupied {
    file: fs::File,
    path: PathBuf,
}

/// The same file, opened: it may be put elsewhere now.
pub struct Predecessor {
    _database: Option<Database>,
    /// The log book's head in it, and how often it was restored; nothing where it cannot be read.
    pub found: Option<(Link, u64)>,
}

impl Occupied {
    /// Takes the file at `path`, whatever its state is.
    ///
    /// # Errors
    /// [`OpenError::Busy`] where another process holds it, [`OpenError::Io`] where it cannot be opened.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let file = fs::File::open(path).map_err(failed)?;
        // The lock that redb takes, too.
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Busy { path: path.to_owned() },
            TryLockError::Error(source) => failed(source),
        })?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Reads what a successor must know of it. After a crash redb repairs it for that.
    ///
    /// # Errors
    /// [`OpenError::Busy`] where another process was quicker to take it.
    pub fn read(self) -> Result<Predecessor, OpenError> {
        let Self { file, path } = self;
        drop(file);
        // redb asserts what it reads of its own pages.
        let opened = std::panic::catch_unwind(|| Database::builder().set_cache_size(CACHE_BYTES).open(&path));
        let database = match opened {
            Ok(Ok(database)) => Some(database),
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(OpenError::Busy { path }),
            Ok(Err(_)) | Err(_) => None,
        };
        let found = database.as_ref().and_then(|database| {
            let mut reader = Reader::new(database.begin_read().ok()?);
            let head = audit::head(&mut reader).ok()?;
            let epoch = restored::get(&mut reader).ok()?.map_or(0, |restored| restored.epoch);
            Some((head, epoch))
        });
        Ok(Predecessor {
            _database: database,
            found,
        })
    }
}

/// Every row of one table, for [`Reader::each_row`].
pub(super) fn each_row_of<K: Key + 'static, E: From<StoreError>>(
    name: &'static str,
    table: &ReadOnlyTable<K, &'static [u8]>,
    each: &mut impl FnMut(&'static str, &[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for row in table.iter().map_err(StoreError::from)? {
        let (key, value) = row.map_err(StoreError::from)?;
        each(name, K::as_bytes(&key.value()).as_ref(), value.value())?;
    }
    Ok(())
}

/// Writes rows into one table, for [`schema::insert_rows`].
pub(super) fn insert_into<'a, K: Key + 'static>(
    table: &mut Table<'_, K, &'static [u8]>,
    rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), StoreError> {
    for (key, value) in rows {
        if K::fixed_width().is_some_and(|width| width != key.len()) {
            return Err(StoreError::corrupt(
                "a backup",
                "a key has another length than its table's",
            ));
        }
        table.insert(<K as Value>::from_bytes(key), value)?;
    }
    Ok(())
}

/// After so many bytes of rows a rebuilt store is committed: what is not yet on the disk is held in memory.
const COMMIT_BYTES: usize = 32 << 20;

/// Enough to look at two rows.
const CACHE_BYTES: usize = 1 << 20;
