//! Client keys: the record, the digest that finds a bearer, the sealed secret.

mod older;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use self::older::Row;
use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::seal::{Place, StoreId};
use crate::model::clock::Timestamp;
use crate::model::id::KeyId;
use crate::model::key::ApiKey;
use crate::store::codec;
use crate::store::error::StoreError;
use crate::store::schema::Rows;
use crate::store::tables::Tables;

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

/// Where a key's secret is sealed to: its row, and what it allows for how long.
pub fn at_place<T>(key: &ApiKey, store: StoreId, then: impl FnOnce(&Place<'_>) -> T) -> T {
    then(&Place {
        context: &[&[key.scopes.bits()], &moment(key.revoked_at()), &moment(key.expires_at)],
        ..Place::of_row(store, TABLE, &key.id.bits().to_be_bytes(), "secret")
    })
}

/// The digest that a bearer is found by.
#[must_use]
pub fn bearer(key: &DigestKey, token: &[u8]) -> Digest {
    key.of("bearer", &[token])
}

/// A moment that may be absent, as bytes.
fn moment(at: Option<Timestamp>) -> [u8; 9] {
    let mut bytes = [0; 9];
    if let (Some(at), Some((present, micros))) = (at, bytes.split_first_mut()) {
        *present = 1;
        micros.copy_from_slice(&at.as_micros().to_be_bytes());
    }
    bytes
}

/// One key, if it is there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, id: KeyId) -> Result<Option<KeyRow>, StoreError> {
    rows.client_keys()?
        .get(id.bits())?
        .map(|row| decode(row.value()))
        .transpose()
}

/// Every key, in the order of their numbers. Keys are few: the directory holds them all in memory.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<KeyRow>, StoreError> {
    rows.client_keys()?.iter()?.map(|row| decode(row?.1.value())).collect()
}

/// A row of any version. One that is written anew is of the present one.
pub(super) fn decode(bytes: &[u8]) -> Result<KeyRow, StoreError> {
    match bytes.first() {
        Some(&older::FIRST) => codec::decode_as::<Row<older::First>>(TABLE, older::FIRST, bytes).map(KeyRow::from),
        Some(&older::SECOND) => codec::decode_as::<Row<older::Second>>(TABLE, older::SECOND, bytes).map(KeyRow::from),
        _ => codec::decode_as(TABLE, VERSION, bytes),
    }
}

/// A row of the present version.
pub(super) fn encode(row: &KeyRow) -> Result<Vec<u8>, StoreError> {
    codec::encode_as(TABLE, VERSION, row)
}

impl Tables<'_> {
    /// Adds or replaces a key.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_client_key(&mut self, row: &KeyRow) -> Result<(), StoreError> {
        let value = encode(row)?;
        self.opened()
            .client_keys()?
            .insert(row.key.id.bits(), value.as_slice())?;
        Ok(())
    }
}

/// The version byte of the rows that are written: budgets came with it.
const VERSION: u8 = 3;
