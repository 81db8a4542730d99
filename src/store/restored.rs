//! Where a store came from that was restored from a backup, and how far that has been dealt with.

use serde::{Deserialize, Serialize};

use super::chain::Link;
use super::error::StoreError;
use super::meta;
use super::schema::Rows;
use super::tables::Tables;
use crate::model::clock::Timestamp;

/// That a store was restored from a backup. What happened between [`Restored::backup_at`] and [`Restored::at`] is not in
/// it: idempotency keys that were first used then are not known, and a call that repeats one is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// How often the store was restored, this time included.
    pub epoch: u64,
    /// When it was restored.
    pub at: Timestamp,
    /// When the backup was made.
    pub backup_at: Timestamp,
    /// The log book's head in the backup.
    pub head: Link,
    /// The log book's head in the file that the restored one replaced, where there was one that could be read.
    pub replaced: Option<Link>,
    /// How far it has been dealt with.
    pub stage: Stage,
}

/// How far a restoration has been dealt with. Each step is done before the next one begins, by whoever opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Nothing was done yet.
    Fresh,
    /// It stands in the log book.
    Recorded,
    /// The jobs that had not ended are held, too.
    Complete,
}

/// The last restoration, if the store was ever restored.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows) -> Result<Option<Restored>, StoreError> {
    meta::get(rows, meta::RESTORED)
}

impl Tables<'_> {
    /// Notes how far the last restoration has been dealt with.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_restored(&mut self, restored: &Restored) -> Result<(), StoreError> {
        self.put_meta(meta::RESTORED, restored)
    }
}
