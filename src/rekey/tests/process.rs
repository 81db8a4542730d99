//! One process after another on a file in memory, at a moment that a test chooses.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Directory, Issuer};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::model::clock::fixture::Wall;
use crate::model::clock::{Clock, Timestamp};
use crate::model::record::AdminAction;
use crate::rekey::{Parts, Rekey, Wrapped};
use crate::store::Store;
use crate::store::fixture::{self, File};

/// One process on a file: its store, and what replaces its keys.
pub(super) struct Process {
    pub(super) store: Store,
    pub(super) directory: Arc<Directory>,
    pub(super) rekey: Arc<Rekey>,
    pub(super) issuer: Issuer,
}

impl Process {
    /// Starts one. Nothing runs in the background: a test takes the steps.
    pub(super) fn start(file: &File, clock: &Arc<Wall>, masters: &[u8]) -> Self {
        let opened = fixture::open_under(file, Arc::clone(clock) as Arc<dyn Clock>, masters).unwrap();
        let store = opened.store;
        let directory = Arc::new(Directory::load(&store).unwrap());
        let wrapped = Wrapped::by(opened.master_key);
        let rekey = rekey(
            &store,
            Arc::clone(&directory),
            fixture::master(masters[0]),
            wrapped,
            clock,
        );
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
