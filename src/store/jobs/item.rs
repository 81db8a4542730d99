//! Items, what they ask, and what they were answered.

use std::ops::Bound;

use redb::ReadableTable;

use super::super::codec;
use super::super::error::StoreError;
use super::super::schema::Rows;
use super::super::tables::Tables;
use super::index::item_key;
use crate::model::id::JobId;
use crate::model::job::{Item, ItemRef};

pub(super) const ITEMS: &str = "job_items.v1";

/// The table of what items ask, whose name is part of what it is sealed to.
pub const BODIES: &str = "job_bodies.v1";

/// The table of what items were answered, whose name is part of what it is sealed to.
pub const RESULTS: &str = "job_results.v1";

/// The field that a body is sealed as.
pub const BODY: &str = "body";

/// The field that a result is sealed as.
pub const RESULT: &str = "result";

/// An item's key, which is part of what its body and result are sealed to.
#[must_use]
pub fn place(at: ItemRef) -> [u8; 20] {
    item_key(at)
}

/// One item, if it is there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, at: ItemRef) -> Result<Option<Item>, StoreError> {
    rows.job_items()?
        .get(item_key(at))?
        .map(|row| codec::decode(ITEMS, row.value()))
        .transpose()
}

/// Up to `limit` items of a job from a position on, in their order.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn of_job(rows: &mut impl Rows, id: JobId, from: u32, limit: usize) -> Result<Vec<(u32, Item)>, StoreError> {
    let first = item_key(ItemRef { job: id, index: from });
    let last = item_key(ItemRef {
        job: id,
        index: u32::MAX,
    });
    rows.job_items()?
        .range::<[u8; 20]>((Bound::Included(first), Bound::Included(last)))?
        .take(limit)
        .map(|row| {
            let (key, value) = row?;
            let index = super::index::last_item(&key.value()).index;
            Ok((index, codec::decode(ITEMS, value.value())?))
        })
        .collect()
}

/// What an item asks, sealed.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn body(rows: &mut impl Rows, at: ItemRef) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(rows.job_bodies()?.get(item_key(at))?.map(|row| row.value().to_vec()))
}

/// What an item was answered, sealed, if it was.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn result(rows: &mut impl Rows, at: ItemRef) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(rows.job_results()?.get(item_key(at))?.map(|row| row.value().to_vec()))
}

impl Tables<'_> {
    /// Keeps what an item was answered, sealed.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_result(&mut self, at: ItemRef, sealed: &[u8]) -> Result<(), StoreError> {
        self.opened().job_results()?.insert(item_key(at), sealed)?;
        Ok(())
    }

    /// Forgets what an item was answered.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn drop_result(&mut self, at: ItemRef) -> Result<(), StoreError> {
        self.opened().job_results()?.remove(item_key(at))?;
        Ok(())
    }
}
