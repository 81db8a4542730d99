//! What a write is promised.

use std::io;

use futures_util::FutureExt;

use super::super::error::WriteError;
use super::super::{Job, Receipt, Rows, Urgency, Write, unattended};
use super::*;

/// A write whose plan refuses.
struct Refuse;

impl Write for Refuse {
    type Plan = ();
    type Done = ();
    type Refusal = &'static str;

    fn plan(&mut self, _rows: &mut impl Rows) -> Result<(), WriteError<&'static str>> {
        Err(WriteError::Refused("not today"))
    }

    fn apply(&mut self, (): (), _tables: &mut Tables<'_>) -> Result<(), StoreError> {
        unreachable!("its plan refuses")
    }
}

/// A write that nobody is in a hurry for.
struct Relaxed(u64);

impl Change for Relaxed {
    type Done = u64;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        tables.append(entry(self.0))
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}

/// A write that is followed by another one if nobody hears of it.
struct Open;

impl Write for Open {
    type Plan = ();
    type Done = u64;
    type Refusal = std::convert::Infallible;

    fn plan(&mut self, _rows: &mut impl Rows) -> Result<(), WriteError<Self::Refusal>> {
        Ok(())
    }

    fn apply(&mut self, (): (), tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        tables.append(entry(OPENED))
    }

    fn orphaned(&mut self, _seq: u64) -> Option<Box<dyn Job>> {
        Some(unattended(Log(SETTLED)))
    }
}

const OPENED: u64 = 100;
const SETTLED: u64 = 101;

async fn submit<W: Write>(store: &Store, write: W) -> Receipt<W> {
    store.place().await.unwrap().submit(write)
}

/// A store whose writer is held in the commit of entry 1, so that what is submitted next forms one batch.
async fn held() -> (Disk, Store, Receipt<Log>) {
    let disk = Disk::default();
    let store = open(&disk);
    disk.hold();
    let first = submit(&store, Log(1)).await;
    disk.until_held();
    (disk, store, first)
}

#[tokio::test]
async fn a_refusal_touches_nothing_and_its_neighbours_commit() {
    let (disk, store, first) = held().await;

    let before = submit(&store, Log(2)).await;
    let refused = submit(&store, Refuse).await;
    let after = submit(&store, Log(3)).await;
    disk.release();

    assert!(matches!(refused.await, Err(WriteError::Refused("not today"))));
    assert_eq!(
        (first.await.unwrap(), before.await.unwrap(), after.await.unwrap()),
        (1, 2, 3)
    );
    assert_eq!(numbers(&store), [1, 2, 3]);
}

#[tokio::test]
async fn a_batch_of_refusals_costs_no_commit() {
    let disk = Disk::default();
    let store = open(&disk);
    let syncs = disk.syncs();

    assert!(store.write(Refuse).await.is_err());

    assert_eq!(disk.syncs(), syncs);
}

#[tokio::test]
async fn a_panic_rolls_back_and_its_neighbours_commit() {
    let (disk, store, first) = held().await;

    let before = submit(&store, Log(2)).await;
    let panics = With(|tables: &mut Tables<'_>| -> Result<(), StoreError> {
        tables.append(entry(99))?;
        panic!("on purpose");
    });
    let panicked = submit(&store, panics).await;
    let after = submit(&store, Log(3)).await;
    disk.release();

    assert!(matches!(panicked.await, Err(WriteError::Store(StoreError::Panicked))));
    assert_eq!(
        (first.await.unwrap(), before.await.unwrap(), after.await.unwrap()),
        (1, 2, 3)
    );
    assert_eq!(numbers(&store), [1, 2, 3], "what it wrote before it panicked is gone");
    log(&store, [4]).await;
    assert_eq!(numbers(&store), [1, 2, 3, 4], "the store lives on");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_its_own_write_only() {
    let (disk, store, first) = held().await;

    let fails = With(|tables: &mut Tables<'_>| -> Result<(), StoreError> {
        tables.append(entry(99))?;
        Err(StoreError::corrupt("audit.v1", "on purpose"))
    });
    let failed = submit(&store, fails).await;
    let after = submit(&store, Log(2)).await;
    disk.release();

    assert!(matches!(
        failed.await,
        Err(WriteError::Store(StoreError::Corrupt { .. }))
    ));
    assert_eq!((first.await.unwrap(), after.await.unwrap()), (1, 2));
    assert_eq!(numbers(&store), [1, 2]);
}

#[tokio::test]
async fn a_write_is_acknowledged_after_its_commit() {
    let (disk, store, mut first) = held().await;

    assert!((&mut first).now_or_never().is_none(), "its sync has not ended");
    assert_eq!(numbers(&store), [0; 0]);
    disk.release();

    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(numbers(&store), [1]);
}

#[tokio::test]
async fn writes_that_wait_together_share_a_commit() {
    let (disk, store, first) = held().await;
    let mut relaxed = Vec::new();
    for number in 2..40 {
        relaxed.push(submit(&store, Relaxed(number)).await);
    }
    let awaited = submit(&store, Log(40)).await;
    let before = disk.syncs();
    disk.release();
    first.await.unwrap();
    awaited.await.unwrap();
    for receipt in relaxed {
        receipt.await.unwrap();
    }
    let together = disk.syncs() - before;

    log(&store, [41]).await;
    let alone = disk.syncs() - before - together;

    assert!(
        together <= 2 * alone,
        "{together} syncs for two commits, {alone} for one"
    );
    assert_eq!(numbers(&store), (1..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_relaxed_write_that_finds_no_company_is_written_all_the_same() {
    let store = open(&Disk::default());
    assert_eq!(store.change(Relaxed(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_failed_commit_ends_the_store() {
    for (kind, is_full) in [(io::ErrorKind::Other, false), (io::ErrorKind::StorageFull, true)] {
        let (disk, store, first) = held().await;
        disk.fail(kind);
        let behind = submit(&store, Log(2)).await;
        disk.release();

        let Err(WriteError::Store(error)) = first.await else {
            panic!("the commit did not fail")
        };
        assert_eq!(matches!(error, StoreError::Full), is_full, "{error}");
        assert!(error.is_fatal());
        assert!(behind.await.is_err());
        store.failed().cancelled().await;
        // Whoever comes later is told why, not only that it is over.
        let later = store.change(Log(3)).await.unwrap_err();
        assert_eq!(matches!(later, StoreError::Full), is_full, "{later}");
        let Err(WriteError::Store(late)) = store.follow_up(Log(4)).await else {
            panic!("the store took a write after its end")
        };
        assert_eq!(matches!(late, StoreError::Full), is_full, "{late}");
    }
}

#[tokio::test]
async fn what_is_queued_at_the_close_is_written_and_nothing_after_it() {
    let disk = Disk::default();
    let store = open(&disk);
    let receipts = [submit(&store, Log(1)).await, submit(&store, Log(2)).await];

    store.close();

    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert!(matches!(store.change(Log(3)).await, Err(StoreError::Closed)));
    assert!(matches!(store.read(|_| Ok(())), Err(StoreError::Closed)));
    assert_eq!(numbers(&open(&disk)), [1, 2]);
}

#[tokio::test]
async fn a_write_whose_caller_left_before_its_commit_is_followed_up() {
    let (disk, store, first) = held().await;

    let opened = submit(&store, Open).await;
    drop(opened);
    disk.release();
    first.await.unwrap();
    log(&store, [2, 3]).await;

    // The second write may come before or after the settlement that nobody asked for, the third only after it.
    let mut numbers = numbers(&store);
    numbers.retain(|number| *number != 2);
    assert_eq!(numbers, [1, OPENED, SETTLED, 3]);
}

#[tokio::test]
async fn a_write_whose_caller_left_without_reading_its_answer_is_followed_up() {
    let store = open(&Disk::default());

    let opened = submit(&store, Open).await;
    log(&store, [1]).await;
    drop(opened);
    log(&store, [2]).await;

    assert_eq!(numbers(&store), [OPENED, 1, SETTLED, 2]);
}

#[tokio::test]
async fn a_write_whose_caller_read_its_answer_is_not_followed_up() {
    let store = open(&Disk::default());

    assert_eq!(submit(&store, Open).await.await.unwrap(), 1);
    log(&store, [1]).await;

    assert_eq!(numbers(&store), [OPENED, 1]);
}
