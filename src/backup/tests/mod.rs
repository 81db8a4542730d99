//! What a backup promises: it is the store at one moment, whole or refused, and restoring it never costs the old one.

mod refusals;
mod schedule;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use tempfile::TempDir;

use super::restore::{Replace, Restoration, RestoreReport};
use super::*;
use crate::config::{Addressing, Aws};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::StoreId;
use crate::model::object_url::ObjectUrl;
use crate::model::record::{Event, Refusal, Refusals};
use crate::store::audit;
use crate::store::error::OpenError;
use crate::store::restored::{self, Stage};
use crate::store::{Change, Missing, OpenOptions, Tables};

/// A wall clock that moves a second whenever it is asked.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(Ticking(AtomicI64::new(1_800_000_000)))
}

fn master(byte: u8) -> MasterKey {
    MasterKey::from_base64(&data_encoding::BASE64.encode(&[byte; 32]).into()).unwrap()
}

fn keys(byte: u8) -> impl Fn(StoreId) -> Result<Vec<MasterKey>, OpenError> + Sync {
    move |_| Ok(vec![master(byte)])
}

fn open(path: &Path) -> Store {
    let keys = keys(1);
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: 1 << 20,
        missing: Missing::Create,
        progress: |_| {},
        clock: clock(),
        entropy: &OsEntropy,
    };
    Store::open(path, &options).unwrap().store
}

/// Writes one entry that tells a number.
struct Note(u64);

impl Change for Note {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), crate::store::error::StoreError> {
        let refusals = Refusals {
            reason: Refusal::AuthFailed,
            count: self.0,
            since: Timestamp::EPOCH,
        };
        tables.append(Event::Refusals(refusals)).map(drop)
    }
}

/// A store with some entries in its log book, in a folder of its own.
async fn store_with(entries: u64) -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store"));
    for number in 0..entries {
        store.change(Note(number)).await.unwrap();
    }
    (folder, store)
}

fn backups(store: &Store, plan: Option<config::Backup>) -> Arc<Backups> {
    Arc::new(Backups::new(Parts {
        store: store.clone(),
        key: BackupKey::new(&master(1), store.id()),
        clock: clock(),
        entropy: Arc::new(OsEntropy),
        plan,
        aws: aws(),
        cleaning: TaskTracker::new(),
    }))
}

fn aws() -> Aws {
    Aws {
        credentials: None,
        region: String::new(),
        endpoint: None,
        addressing: Addressing::Path,
    }
}

async fn bytes_of(stream: BackupStream) -> Vec<u8> {
    let pieces: Vec<_> = stream.map(Result::unwrap).collect().await;
    pieces.concat()
}

async fn backup_of(store: &Store) -> Vec<u8> {
    bytes_of(backups(store, None).begin().unwrap()).await
}

async fn restore_as(bytes: &[u8], path: &Path, replace: Replace, key: u8) -> Result<RestoreReport, BackupError> {
    let keys = keys(key);
    let restoration = Restoration {
        path,
        replace,
        master_keys: &keys,
        cache_bytes: 1 << 20,
        clock: clock(),
        entropy: &OsEntropy,
        progress: &|_, _| {},
    };
    let pieces: Vec<_> = bytes
        .chunks(10_000)
        .map(|piece| Ok::<_, BackupError>(Bytes::copy_from_slice(piece)))
        .collect();
    restoration.run(stream::iter(pieces)).await
}

async fn restore(bytes: &[u8], path: &Path) -> Result<RestoreReport, BackupError> {
    restore_as(bytes, path, Replace::Never, 1).await
}

/// Every row but those that each start writes.
fn rows(store: &Store) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let snapshot = store.snapshot().unwrap();
    let each = snapshot.each_row::<crate::store::error::StoreError>(|table, key, value| {
        if !(table == "meta.v1" && [b"boot".as_slice(), b"restored"].contains(&key)) {
            rows.push((table, key.to_vec(), value.to_vec()));
        }
        Ok(())
    });
    each.unwrap();
    rows
}

fn numbers(store: &Store) -> Vec<u64> {
    let page = store.read(|rows| audit::page(rows, 0, audit::Order::Rising, usize::MAX));
    let number = |logged: audit::Logged| match logged.entry.event {
        Event::Refusals(refusals) => Some(refusals.count),
        _ => None,
    };
    page.unwrap().into_iter().filter_map(number).collect()
}

#[tokio::test]
async fn a_restored_store_has_every_row_and_knows_where_it_came_from() {
    let (folder, store) = store_with(50).await;
    let head = store.read(audit::head).unwrap();
    let bytes = backup_of(&store).await;
    let path = folder.path().join("restored");

    let report = restore(&bytes, &path).await.unwrap();

    assert_eq!((report.header.facts.head, report.kept), (head, None));
    let again = open(&path);
    assert_eq!(rows(&again), rows(&store));
    assert_eq!(again.id(), store.id());
    let restored = again.read(restored::get).unwrap().unwrap();
    assert_eq!(restored, report.restored);
    assert_eq!((restored.epoch, restored.head, restored.stage), (1, head, Stage::Fresh));
    assert_eq!(restored.replaced, None);
}

#[tokio::test]
async fn a_backup_is_the_store_as_it_was_when_it_began_and_holds_up_no_writer() {
    let (folder, store) = store_with(3).await;
    let mut stream = backups(&store, None).begin().unwrap();
    let first = stream.next().await.unwrap().unwrap();

    for number in 3..20 {
        store.change(Note(number)).await.unwrap();
    }

    let mut bytes = first.to_vec();
    bytes.extend(bytes_of(stream).await);
    let path = folder.path().join("restored");
    restore(&bytes, &path).await.unwrap();
    assert_eq!(numbers(&open(&path)), [0, 1, 2]);
    assert_eq!(numbers(&store).len(), 20);
}

#[tokio::test]
async fn a_store_that_is_replaced_is_kept_beside_and_its_head_is_remembered() {
    let (folder, store) = store_with(3).await;
    let bytes = backup_of(&store).await;
    store.change(Note(3)).await.unwrap();
    let lost = store.read(audit::head).unwrap();
    store.close();
    let path = folder.path().join("store");

    let refused = restore(&bytes, &path).await.unwrap_err();
    assert!(matches!(refused, BackupError::Occupied { .. }), "{refused}");

    let report = restore_as(&bytes, &path, Replace::Keep, 1).await.unwrap();
    assert_eq!(report.restored.replaced, Some(lost));
    assert_eq!(numbers(&open(&path)), [0, 1, 2]);
    assert_eq!(numbers(&open(&report.kept.unwrap())), [0, 1, 2, 3]);

    let bytes = backup_of(&open(&path)).await;
    let again = restore_as(&bytes, &path, Replace::Keep, 1).await.unwrap();
    assert_eq!(again.restored.epoch, 2);
}

#[tokio::test]
async fn a_store_that_a_server_holds_is_not_replaced() {
    let (folder, store) = store_with(1).await;
    let bytes = backup_of(&store).await;
    let error = restore_as(&bytes, &folder.path().join("store"), Replace::Keep, 1).await;
    assert!(matches!(error, Err(BackupError::InUse { .. })));
}

#[tokio::test]
async fn what_a_stopped_restoration_left_is_no_obstacle() {
    let (folder, store) = store_with(1).await;
    let bytes = backup_of(&store).await;
    let path = folder.path().join("restored");
    std::fs::write(folder.path().join("restored.restoring"), b"half").unwrap();

    restore(&bytes, &path).await.unwrap();

    assert!(!folder.path().join("restored.restoring").exists());
}

#[tokio::test]
async fn a_row_longer_than_a_block_comes_through() {
    let mut block = format::Block::default();
    let long = vec![7; 1 << 20];
    assert_eq!(block.add("a", b"k1", &long), None);
    let first = block.add("a", b"k2", b"v").unwrap();
    let second = block.add("b", b"k", b"v").unwrap();
    let third = block.take().unwrap();
    assert_eq!(block.take(), None);

    let read = |payload: &[u8]| {
        let rows = format::Rows::of(payload).unwrap();
        let (table, number) = (rows.table.to_owned(), rows.number);
        let rows: Vec<_> = rows.map(|(key, value)| (key.to_vec(), value.len())).collect();
        (table, number, rows)
    };
    assert_eq!(read(&first), ("a".to_owned(), 1, vec![(b"k1".to_vec(), long.len())]));
    assert_eq!(read(&second), ("a".to_owned(), 1, vec![(b"k2".to_vec(), 1)]));
    assert_eq!(read(&third), ("b".to_owned(), 1, vec![(b"k".to_vec(), 1)]));
}
