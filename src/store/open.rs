//! Opening the file: find or make it, check what it is, unwrap its keys, bring its schema up, start the writer.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use arc_swap::ArcSwapOption;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableError, WriteTransaction};

use super::audit::Ends;
use super::chain::{Chain, Link, Stretches};
use super::error::{OpenError, StoreError};
use super::found::{Found, classify, empty_unfinished, prepare_directory};
use super::schema::{MIGRATIONS, Reader, SCHEMA};
use super::tables::Tables;
use super::writer::{Queue, Writer};
use super::{Inner, Store, audit, meta, schema};
use crate::crypto::entropy::{self, Entropy};
use crate::crypto::keyring::{Keyring, KeyringError, Keys, MasterKey};
use crate::crypto::seal::StoreId;
use crate::model::clock::{Clock, Timestamp};

/// What is done where no store is yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A new one is made.
    Create,
    /// A new one is made, but not on the root file system: on a platform whose volume may have failed to mount.
    CreateOnVolume,
    /// It is an error.
    Refuse,
}

/// Turns the store's own salt into the keys that may open it: the current one, then those being rotated out.
pub type MasterKeys<'a> = &'a dyn Fn(StoreId) -> Result<Vec<MasterKey>, OpenError>;

/// How to open a store.
pub struct OpenOptions<'a> {
    /// The keys that may open it.
    pub master_keys: MasterKeys<'a>,
    /// Most bytes redb keeps of the file in memory.
    pub cache_bytes: usize,
    /// What is done where no store is yet.
    pub missing: Missing,
    /// Told how much of a file is checked after a crash, from 0 to 1.
    pub progress: fn(f64),
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: &'a dyn Entropy,
}

/// An opened store, and what was found while opening it.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The last entry of the log book.
    pub head: Link,
    /// Whether it was made just now.
    pub origin: Origin,
    /// Which of the master keys opened it; 0 is the current one.
    pub master_key: usize,
}

/// Whether the store existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made just now.
    Created,
    /// It was there.
    Found,
}

impl Store {
    /// Opens the store at `path`. Blocks; after a crash redb checks the whole file first.
    ///
    /// # Errors
    /// [`OpenError`], each with a sentence that says what to do.
    pub fn open(path: &Path, options: &OpenOptions<'_>) -> Result<Opened, OpenError> {
        // redb asserts what it reads of its own pages.
        catch_unwind(AssertUnwindSafe(|| Self::open_file(path, options))).unwrap_or_else(|_panic| Err(torn(path)))
    }

    fn open_file(path: &Path, options: &OpenOptions<'_>) -> Result<Opened, OpenError> {
        let builder = builder(options);
        let found = classify(path)?;
        if found == Found::Unfinished {
            empty_unfinished(path)?;
        }
        let database = if found == Found::Redb {
            builder.open(path)
        } else {
            prepare_directory(path, options.missing)?;
            builder.create(path)
        };
        Self::assemble(database.map_err(|error| explain(path, error))?, options)
    }

    /// Opens a store over any backend: memory, or one that injects faults.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_backend(backend: impl StorageBackend, options: &OpenOptions<'_>) -> Result<Opened, OpenError> {
        let database = builder(options).create_with_backend(backend);
        Self::assemble(
            database.map_err(|error| explain(Path::new("the backend"), error))?,
            options,
        )
    }

    fn assemble(database: Database, options: &OpenOptions<'_>) -> Result<Opened, OpenError> {
        let origin = bring_up(&database)?;
        let (id, keys, master_key) = unlock(&database, options)?;
        let keyring = Arc::new(Keyring::new(keys));
        let mut reader = Reader::new(database.begin_read().map_err(StoreError::from)?);
        let Ends { stretches, head, .. } = whole_ends(&mut reader, &keyring)?;
        let bytes = audit::bytes(&mut reader)?;
        let made_at = meta::get(&mut reader, meta::MADE_AT)?.unwrap_or(Timestamp::EPOCH);
        let boot = meta::get::<u64>(&mut reader, meta::BOOT)?.unwrap_or(0) + 1;
        drop(reader);
        let chain = Chain::new(Arc::new(stretches), head, bytes);
        in_one_transaction(&database, chain.clone(), options.clock.as_ref(), |tables| {
            tables.put_meta(meta::BOOT, &boot)
        })?;

        let database = Arc::new(database);
        let queue = Queue::new();
        let writer = Writer {
            queue: Arc::clone(&queue),
            database: Arc::clone(&database),
            chain,
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&options.clock),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io {
                path: PathBuf::from("the writer's thread"),
                source,
            })?;
        let inner = Inner {
            database: ArcSwapOption::new(Some(database)),
            queue,
            writer: Mutex::new(Some(thread)),
            keyring,
            id,
            boot,
            made_at,
        };
        Ok(Opened {
            store: Self { inner: Arc::new(inner) },
            head,
            origin,
            master_key,
        })
    }
}

fn builder(options: &OpenOptions<'_>) -> Builder {
    let progress = options.progress;
    let mut builder = Database::builder();
    // An allocator rounds a page of 4 KiB with its header up to 5 KiB, and the cache keeps lists of its own: so that it
    // takes what was asked for, it is told three quarters of it.
    builder.set_cache_size(options.cache_bytes / 4 * 3);
    builder.set_repair_callback(move |session| progress(session.progress()));
    builder
}

/// A file that made the library panic.
pub(super) fn torn(path: &Path) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        detail: "its pages contradict each other".to_owned(),
    }
}

pub(super) fn explain(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Busy { path },
        DatabaseError::Storage(redb::StorageError::Io(source)) if source.kind() != io::ErrorKind::UnexpectedEof => {
            match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => OpenError::Damaged {
                    path,
                    detail: source.to_string(),
                },
                _ => OpenError::Io { path, source },
            }
        }
        other => OpenError::Damaged {
            path,
            detail: other.to_string(),
        },
    }
}

/// Runs the migrations that the store lacks, each in its own transaction.
fn bring_up(database: &Database) -> Result<Origin, OpenError> {
    let found = stored_schema(database)?;
    if found > SCHEMA {
        return Err(OpenError::Newer { found, known: SCHEMA });
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.to > found) {
        let txn = database.begin_write().map_err(StoreError::from)?;
        (migration.run)(&txn)?;
        set_schema(&txn, migration.to)?;
        txn.commit().map_err(StoreError::from)?;
    }
    Ok(if found == 0 { Origin::Created } else { Origin::Found })
}

fn stored_schema(database: &Database) -> Result<u32, OpenError> {
    schema_of(&Reader::new(database.begin_read().map_err(StoreError::from)?))
}

/// The schema of a store; 0 where nothing was written yet.
pub(super) fn schema_of(reader: &Reader) -> Result<u32, OpenError> {
    match reader.schema() {
        Ok(schema) => Ok(schema),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(StoreError::from(error).into()),
    }
}

fn set_schema(txn: &WriteTransaction, schema: u32) -> Result<(), StoreError> {
    txn.open_table(schema::META)?
        .insert(meta::SCHEMA, schema.to_be_bytes().as_slice())?;
    Ok(())
}

/// Unwraps the data keys, or makes them for a new store.
fn unlock(database: &Database, options: &OpenOptions<'_>) -> Result<(StoreId, Keys, usize), OpenError> {
    let mut reader = Reader::new(database.begin_read().map_err(StoreError::from)?);
    if let Some(unwrapped) = unwrap_keys(&mut reader, options.master_keys)? {
        return Ok(unwrapped);
    }
    drop(reader);
    let id = StoreId::from_bytes(entropy::random(options.entropy)?);
    let keys = Keys::generate(options.entropy)?;
    let masters = (options.master_keys)(id)?;
    let master = masters.first().ok_or(OpenError::WrongKey)?;
    let wrapped = keys.wrap(master, id, options.entropy)?;
    let first = Arc::clone(keys.audit().newest());
    let chain = Chain::new(Arc::new(Stretches::one(first)), Link::START, 0);
    in_one_transaction(database, chain, options.clock.as_ref(), |tables| {
        let now = tables.now();
        tables.put_meta(meta::MADE_AT, &now)?;
        tables.put_meta(meta::IDENTITY, &id)?;
        tables.put_meta(meta::KEYRING, &wrapped)
    })?;
    Ok((id, keys, 0))
}

/// Unwraps the data keys, and tells which master key did; `None` where none were made yet.
pub(super) fn unwrap_keys(
    reader: &mut Reader,
    master_keys: MasterKeys<'_>,
) -> Result<Option<(StoreId, Keys, usize)>, OpenError> {
    let identity: Option<StoreId> = meta::get(reader, meta::IDENTITY)?;
    let wrapped: Option<Vec<u8>> = meta::get(reader, meta::KEYRING)?;
    let Some((id, wrapped)) = identity.zip(wrapped) else {
        return Ok(None);
    };
    match Keys::unwrap(&wrapped, &master_keys(id)?, id) {
        Ok((keys, which)) => Ok(Some((id, keys, which))),
        Err(KeyringError::WrongMasterKey) => Err(OpenError::WrongKey),
        Err(error) => Err(StoreError::corrupt("meta.v1", error).into()),
    }
}

/// The two ends of the log book, verified.
pub(super) fn whole_ends(reader: &mut Reader, keyring: &Keyring) -> Result<Ends, OpenError> {
    let ends = audit::ends(reader, &keyring.audit)?.ok_or(OpenError::Head)?;
    // Every key but the first has its turn, and what lies behind a turn is not made with an older key.
    let is_whole = ends.stretches.count() == keyring.audit.versions().count()
        && ends.stretches.turns().all(|turn| turn.seq <= ends.head.seq);
    if !is_whole || !audit::head_matches(reader, ends.head, ends.anchor)? {
        return Err(OpenError::Head);
    }
    Ok(ends)
}

/// A write before the writer thread exists.
fn in_one_transaction(
    database: &Database,
    chain: Chain,
    clock: &dyn Clock,
    apply: impl FnOnce(&mut Tables<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let txn = database.begin_write()?;
    let mut tables = Tables::new(&txn, chain, clock.wall());
    apply(&mut tables)?;
    tables.finish()?;
    Ok(txn.commit()?)
}

impl Reader {
    /// The schema number. It stands outside the envelope, so that every version can read it.
    fn schema(&self) -> Result<u32, TableError> {
        let table = self.transaction().open_table(schema::META)?;
        let row = table.get_owned(meta::SCHEMA).map_err(TableError::Storage)?;
        Ok(row
            .and_then(|row| row.value().try_into().ok().map(u32::from_be_bytes))
            .unwrap_or(0))
    }
}
