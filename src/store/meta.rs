//! Single rows: what the store is, and where its chain begins and ends.

use redb::ReadableTable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;

pub(super) const TABLE: &str = "meta.v1";

/// The schema number.
pub(super) const SCHEMA: &str = "schema";
/// What the store is called in sealed rows, and the salt of a pass-phrase.
pub(super) const IDENTITY: &str = "identity";
/// When the store was made.
pub(super) const MADE_AT: &str = "made_at";
/// The data keys, wrapped by the master key.
pub(super) const KEYRING: &str = "keyring";
/// How often the store was opened for writing.
pub(super) const BOOT: &str = "boot";
/// The last entry of the log book.
pub(super) const HEAD: &str = "audit.head";
/// The last entry that was pruned.
pub(super) const ANCHOR: &str = "audit.anchor";
/// The entries at which the key of the log book was replaced.
pub(super) const TURNS: &str = "audit.turns";
/// Bytes of all entries of the log book.
pub(super) const AUDIT_BYTES: &str = "audit.bytes";
/// Bytes of all kept replies.
pub(super) const REPLY_BYTES: &str = "replies.bytes";
/// How far the log book is exported.
pub(super) const EXPORT: &str = "audit.export";

/// How far the replacement of the data keys has come.
pub(super) const REKEYING: &str = "rekeying";

/// How many webhook deliveries are in each state.
pub(super) const DELIVERIES: &str = "deliveries.counts";

/// Where the store came from, if it was restored from a backup.
pub(super) const RESTORED: &str = "restored";

/// One row, if it is there.
pub(super) fn get<T: DeserializeOwned>(rows: &mut impl Rows, name: &'static str) -> Result<Option<T>, StoreError> {
    rows.meta()?
        .get(name)?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()
}

impl Tables<'_> {
    /// Sets one row.
    pub(super) fn put_meta<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, value)?;
        self.opened().meta()?.insert(name, value.as_slice())?;
        Ok(())
    }
}
