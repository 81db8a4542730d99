//! The store as a whole: what it promises of writes, of the chain, of retention and of opening.

mod chain;
mod disk;
mod exports;
mod opening;
mod retention;
mod usage;
mod webhooks;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use redb::WriteTransaction;

use self::disk::Disk;
use super::audit::{self, Logged, Order};
use super::error::{OpenError, StoreError};
use super::fixture::{self, master, open_under};
use super::{Change, Opened, Store, Tables};
use crate::crypto::entropy::OsEntropy;
use crate::model::clock::fixture::Wall;
use crate::model::clock::{Clock, Timestamp};
use crate::model::record::{Event, Refusal, Refusals};

fn open(disk: &Disk) -> Store {
    fixture::open(disk, Wall::at(START))
}

/// A change that adds one entry, which can be told by its number.
struct Log(u64);

impl Change for Log {
    type Done = u64;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        tables.append(entry(self.0))
    }
}

fn entry(number: u64) -> Event {
    Event::Refusals(Refusals {
        reason: Refusal::QueueFull,
        count: number,
        since: START,
    })
}

/// A change made of a closure, for what only one test needs.
struct With<F>(F);

impl<T: Send + 'static, F> Change for With<F>
where
    F: FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
{
    type Done = T;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<T, StoreError> {
        self.0(tables)
    }
}

/// Adds so many entries, each in a commit of its own.
async fn log(store: &Store, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        store.change(Log(number)).await.unwrap();
    }
}

/// The log book from its oldest entry.
fn book(store: &Store) -> Vec<Logged> {
    store
        .read(|rows| audit::page(rows, 0, Order::Rising, usize::MAX))
        .unwrap()
}

/// The numbers of the entries made by [`Log`].
fn numbers(store: &Store) -> Vec<u64> {
    let number = |logged: Logged| match logged.entry.event {
        Event::Refusals(refusals) => Some(refusals.count),
        _ => None,
    };
    book(store).into_iter().filter_map(number).collect()
}

/// Changes rows behind the store's back, as somebody with the file and redb could.
fn tamper(store: &Store, change: impl FnOnce(&WriteTransaction)) {
    let database = store.inner.database.load_full().unwrap();
    let txn = database.begin_write().unwrap();
    change(&txn);
    txn.commit().unwrap();
}

const START: Timestamp = Timestamp::from_seconds(1_771_927_200);
