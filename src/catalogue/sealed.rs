//! An account's way into the store and back.

use super::mask::mask;
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::model::account::Account;
use crate::model::secret::Secret;
use crate::model::upstream::Source;
use crate::store::Store;
use crate::store::accounts::{AccountRow, at_place};
use crate::store::error::StoreError;

/// The row to store, its credential sealed.
pub(super) fn seal(
    account: &Account,
    position: u64,
    base_url: &str,
    store: &Store,
    entropy: &dyn Entropy,
) -> Result<AccountRow, EntropyError> {
    let credential = account.credential.expose().as_bytes();
    let sealed = at_place(account.id, &account.upstream, base_url, store.id(), |place| {
        store.keyring().seal.seal(place, credential, entropy)
    })?;
    Ok(AccountRow {
        id: account.id,
        upstream: account.upstream.clone(),
        weight: account.weight,
        position,
        sealed,
    })
}

/// Opens a row. Whoever moved it, or turned its upstream's address elsewhere behind our back, is found out here, before
/// a credential is sent there.
pub(super) fn open(row: &AccountRow, base_url: &str, store: &Store) -> Result<Account, StoreError> {
    let id = row.id;
    let changed = |what: String| StoreError::Seal(format!("account {id}: {what}"));
    let credential = at_place(id, &row.upstream, base_url, store.id(), |place| {
        store.keyring().seal.open(place, &row.sealed)
    })
    .map_err(|error| changed(error.to_string()))?;
    let credential = std::str::from_utf8(&credential).map_err(|_| changed("its credential is not text".to_owned()))?;
    Ok(Account {
        id,
        upstream: row.upstream.clone(),
        mask: mask(credential),
        weight: row.weight,
        source: Source::Store,
        credential: Secret::new(credential.to_owned()),
    })
}
