//! What tests of jobs stand on: a store in memory, and jobs in it.

use std::sync::Arc;

use super::vault::Vault;
use crate::crypto::entropy::OsEntropy;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::id::{JobId, OwnerId};
use crate::model::job::{Item, ItemState, Job, QueueName};
use crate::model::operation::Operation;
use crate::store::error::StoreError;
use crate::store::fixture::{File, open};
use crate::store::jobs::{Edit, NewItem};
use crate::store::{Change, Store, Tables, jobs};

pub(super) const OWNER: OwnerId = OwnerId::from_bits(7);
pub(super) const JOB: JobId = JobId::from_bits(1);
pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_771_927_200);

pub(super) fn store() -> Store {
    store_at(Arc::new(SystemClock))
}

/// One whose commits happen when this clock says.
pub(super) fn store_at(clock: Arc<dyn Clock>) -> Store {
    open(&File::default(), clock)
}

pub(super) fn vault(store: &Store) -> Vault {
    Vault::new(store.clone(), Arc::new(OsEntropy))
}

/// Writes a job with so many items.
pub(super) async fn submit(store: &Store, id: JobId, items: u32) {
    let job = Job::new(OWNER, QueueName::default_queue(), items, NOW);
    let new = move |_| NewItem {
        item: Item::new(Operation::Process, None, NOW, None),
        body: Vec::new(),
    };
    let insert = move |tables: &mut Tables<'_>| {
        let items: Vec<_> = (0..items).map(new).collect();
        let edit = tables.insert_job(id, job.clone(), &items)?;
        tables.close_job(edit).map(drop)
    };
    store.change(With(insert)).await.unwrap();
}

/// Brings an item into a state.
pub(super) async fn bring(store: &Store, id: JobId, index: u32, state: ItemState) {
    edit(store, id, move |tables, edit| {
        let change = |item: &mut Item| {
            if state.is_finished() {
                item.finish(state, NOW);
            } else {
                item.state = state;
            }
        };
        tables.edit_item(edit, index, change).map(drop)
    })
    .await;
}

/// Changes a job in one commit.
pub(super) async fn edit<F>(store: &Store, id: JobId, mut change: F)
where
    F: FnMut(&mut Tables<'_>, &mut Edit) -> Result<(), StoreError> + Send + 'static,
{
    let write = move |tables: &mut Tables<'_>| {
        let mut edit = tables.edit_job(id)?.unwrap();
        change(tables, &mut edit)?;
        tables.close_job(edit).map(drop)
    };
    store.change(With(write)).await.unwrap();
}

pub(super) fn read(store: &Store, id: JobId) -> Job {
    store.read(|rows| jobs::get(rows, id)).unwrap().unwrap()
}

/// A change made of a closure.
struct With<F>(F);

impl<F> Change for With<F>
where
    F: FnMut(&mut Tables<'_>) -> Result<(), StoreError> + Send + 'static,
{
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        self.0(tables)
    }
}
