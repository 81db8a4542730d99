//! One process after another on a file in memory, at a moment that a test chooses.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Directory, Issuer};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::StoreId;
use crate::model::clock::{Clock, Timestamp};
use crate::model::record::AdminAction;
use crate::model::secret::Secret;
use crate::rekey::{Parts, Rekey, Wrapped};
use crate::store::error::OpenError;
use crate::store::{Missing, OpenOptions, Opened, Store};

/// A wall clock that stands until it is moved.
pub(super) struct Wall(AtomicI64);

impl Wall {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW.as_micros())))
    }

    pub(super) fn forward(&self, length: Duration) {
        let micros = i64::try_from(length.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// A file in memory that outlives the store that was opened on it.
#[derive(Clone, Debug, Default)]
pub(super) struct File(Arc<InMemoryBackend>);

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// One process on a file: its store, and what replaces its keys.
pub(super) struct Process {
    pub(super) store: Store,
    pub(super) directory: Arc<Directory>,
    pub(super) rekey: Arc<Rekey>,
    pub(super) issuer: Issuer,
}

pub(super) fn master(byte: u8) -> MasterKey {
    let text = data_encoding::BASE64.encode(&[byte; 32]);
    MasterKey::from_base64(&Secret::new(text)).unwrap()
}

/// Opens the file under these master keys, the present one first.
pub(super) fn opened(file: &File, clock: &Arc<Wall>, masters: &[u8]) -> Result<Opened, OpenError> {
    let keys = |_: StoreId| Ok(masters.iter().map(|byte| master(*byte)).collect());
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: 1 << 20,
        missing: Missing::Create,
        progress: |_| {},
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: &OsEntropy,
    };
    Store::open_backend(file.clone(), &options)
}

impl Process {
    /// Starts one. Nothing runs in the background: a test takes the steps.
    pub(super) fn start(file: &File, clock: &Arc<Wall>, masters: &[u8]) -> Self {
        let opened = opened(file, clock, masters).unwrap();
        let store = opened.store;
        let directory = Arc::new(Directory::load(&store).unwrap());
        let wrapped = Wrapped::by(opened.master_key);
        let rekey = rekey(&store, Arc::clone(&directory), master(masters[0]), wrapped, clock);
        let issuer = Issuer::new(
            store.clone(),
            Arc::clone(&directory),
            Arc::new(OsEntropy),
            Arc::clone(clock) as Arc<dyn Clock>,
            TaskTracker::new(),
        );
        Self {
            store,
            directory,
            rekey: Arc::new(rekey),
            issuer,
        }
    }

    /// It is gone, and another one starts on what it left.
    pub(super) fn killed(self, file: &File, clock: &Arc<Wall>) -> Self {
        self.store.close();
        Self::start(file, clock, &[1])
    }
}

/// What replaces the keys of a store that holds no client keys.
pub(super) fn rekey_of(store: &Store, present: MasterKey, wrapped: Wrapped, clock: &Arc<Wall>) -> Rekey {
    let directory = Arc::new(Directory::load(store).unwrap());
    rekey(store, directory, present, wrapped, clock)
}

fn rekey(store: &Store, directory: Arc<Directory>, present: MasterKey, wrapped: Wrapped, clock: &Arc<Wall>) -> Rekey {
    Rekey::new(Parts {
        store: store.clone(),
        directory,
        master: Arc::new(present),
        wrapped,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(OsEntropy),
        ttl: TTL,
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    })
}

/// What the log book is to say.
pub(super) fn action(action: &str) -> AdminAction {
    AdminAction {
        actor: "test".to_owned(),
        action: action.to_owned(),
        target: "store".to_owned(),
        request: None,
    }
}

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_771_927_200);

/// How long idempotency keys are used.
pub(super) const TTL: Duration = Duration::from_hours(24);
