//! Sealing anew what older keys sealed.

use serde::{Deserialize, Serialize};

use super::walk::{self, Batch, Found, Position, Visitor};
use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::{Keyring, RenewError, Renewal};
use crate::crypto::seal::{Place, StoreId};
use crate::store::error::StoreError;
use crate::store::keys::{self, KeyRow};
use crate::store::tables::Tables;

/// What sealing anew takes.
pub struct Resealer<'a> {
    /// The keys, old and new.
    pub keyring: &'a Keyring,
    /// The store, which is part of every place.
    pub store: StoreId,
    /// Where salts come from.
    pub entropy: &'a dyn Entropy,
}

/// What some steps of the walk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows that were looked at.
    pub seen: u64,
    /// Rows that were sealed anew.
    pub renewed: u64,
    /// Rows that no key opens: they were damaged before. They stay as they are.
    pub unreadable: u64,
}

impl Tables<'_> {
    /// Looks at some rows behind `from`, and seals anew those that an older key sealed. Gives where the walk goes on;
    /// nothing behind the last row.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written, or no randomness is to be had.
    pub fn reseal(
        &mut self,
        from: &Position,
        batch: Batch,
        resealer: &Resealer<'_>,
    ) -> Result<(Tally, Option<Position>), StoreError> {
        let looked = walk::look(self.view(), resealer.store, from, batch, resealer)?;
        let mut tally = Tally::default();
        for (key, found) in &looked.rows {
            tally.seen += 1;
            match found {
                Found::Nothing | Found::Opened => {}
                Found::Anew(value) => {
                    tally.renewed += 1;
                    self.put_sealed(from.table(), key, value)?;
                }
                Found::Unreadable => tally.unreadable += 1,
            }
        }
        Ok((tally, looked.next))
    }
}

impl Visitor for Resealer<'_> {
    fn value(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        match self.keyring.seal.renew(place, sealed, self.entropy) {
            Ok(Renewal::Current) => Ok(Found::Opened),
            Ok(Renewal::Anew(sealed)) => Ok(Found::Anew(sealed)),
            Err(RenewError::Seal(_)) => Ok(Found::Unreadable),
            Err(RenewError::Entropy(error)) => Err(StoreError::Seal(error.to_string())),
        }
    }

    /// The digest is renewed with the secret.
    fn key(&self, place: &Place<'_>, row: &KeyRow) -> Result<Found<KeyRow>, StoreError> {
        let Ok(secret) = self.keyring.seal.open(place, &row.sealed) else {
            return Ok(Found::Unreadable);
        };
        let bearer = keys::bearer(&self.keyring.digest.newest(), &secret);
        let sealed = match self.value(place, &row.sealed)? {
            Found::Anew(sealed) => sealed,
            _ if bearer == row.bearer => return Ok(Found::Opened),
            _ => row.sealed.clone(),
        };
        Ok(Found::Anew(KeyRow {
            key: row.key.clone(),
            bearer,
            sealed,
        }))
    }

    /// What cannot be read is not passed over: the old keys would go.
    fn unreadable<T>(&self, error: StoreError) -> Result<Found<T>, StoreError> {
        Err(error)
    }
}
