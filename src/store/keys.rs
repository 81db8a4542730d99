//! Client keys: the record, the digest that finds a bearer, the sealed secret.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::crypto::digest::Digest;
use crate::model::id::KeyId;
use crate::model::key::ApiKey;

/// The table's name, which is part of what a secret is sealed to.
pub const TABLE: &str = "client_keys.v1";

/// One client key as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRow {
    /// Everything but the secret.
    pub key: ApiKey,
    /// Keyed digest of the secret, to find a bearer.
    pub bearer: Digest,
    /// The secret, sealed to this row.
    pub sealed: Vec<u8>,
}

/// One key, if it is there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, id: KeyId) -> Result<Option<KeyRow>, StoreError> {
    rows.client_keys()?
        .get(id.bits())?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()
}

/// Every key, in the order of their numbers. Keys are few: the directory holds them all in memory.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<KeyRow>, StoreError> {
    rows.client_keys()?
        .iter()?
        .map(|row| codec::decode(TABLE, row?.1.value()))
        .collect()
}

impl Tables<'_> {
    /// Adds or replaces a key.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_client_key(&mut self, row: &KeyRow) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, row)?;
        self.opened()
            .client_keys()?
            .insert(row.key.id.bits(), value.as_slice())?;
        Ok(())
    }
}
