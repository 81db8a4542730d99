//! One client key in memory, and its way out of the store and back.

use std::sync::Arc;

use crate::crypto::digest::Digest;
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::Place;
use crate::model::caller::{Caller, Identity};
use crate::model::clock::Timestamp;
use crate::model::key::ApiKey;
use crate::model::secret::Secret;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::keys::{self, KeyRow};

/// One client key with all that a request needs of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: ApiKey,
    pub(super) secret: Secret,
    /// What a bearer of the secret is found by.
    pub(super) bearer: Digest,
    /// The key's models, shared with every caller that uses it.
    pub(super) models: Option<Arc<[String]>>,
}

impl Entry {
    pub(super) fn new(key: ApiKey, secret: Secret, keyring: &Keyring) -> Self {
        Self {
            bearer: bearer_digest(keyring, secret.expose().as_bytes()),
            models: key.models.as_deref().map(Arc::from),
            key,
            secret,
        }
    }

    /// This key with other settings; its secret stays.
    pub(super) fn with(&self, key: ApiKey) -> Self {
        Self {
            models: key.models.as_deref().map(Arc::from),
            key,
            secret: self.secret.clone(),
            bearer: self.bearer,
        }
    }

    /// The caller that its holder is.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            identity: Identity::Key(self.key.id),
            owner: self.key.owner,
            scopes: self.key.scopes,
            models: self.models.clone(),
            limits: self.key.limits,
        }
    }

    /// Opens a row. Whoever changed its scopes, standing, expiry or digest behind our back is found out here.
    pub(super) fn open(row: KeyRow, store: &Store) -> Result<Self, StoreError> {
        let id = row.key.id;
        let changed = |what| StoreError::Seal(format!("client key {id}: {what}"));
        let secret = with_place(&row.key, store, |place| store.keyring().seal.open(place, &row.sealed))
            .map_err(|error| changed(error.to_string()))?;
        let secret = std::str::from_utf8(&secret).map_err(|_| changed("its secret is not text".to_owned()))?;
        let entry = Self::new(row.key, Secret::new(secret.to_owned()), store.keyring());
        if !entry.bearer.ct_eq(&row.bearer) {
            return Err(changed("its digest is not that of its secret".to_owned()));
        }
        Ok(entry)
    }

    /// The row to store, sealed anew to the settings it has now.
    pub(super) fn seal(&self, store: &Store, entropy: &dyn Entropy) -> Result<KeyRow, EntropyError> {
        let secret = self.secret.expose().as_bytes();
        let sealed = with_place(&self.key, store, |place| {
            store.keyring().seal.seal(place, secret, entropy)
        })?;
        Ok(KeyRow {
            key: self.key.clone(),
            bearer: self.bearer,
            sealed,
        })
    }
}

/// The digest that a bearer is found by.
pub(super) fn bearer_digest(keyring: &Keyring, token: &[u8]) -> Digest {
    keyring.digest.of("bearer", &[token])
}

/// Where a key's secret is sealed to: its row, and what it allows for how long.
fn with_place<T>(key: &ApiKey, store: &Store, then: impl FnOnce(&Place<'_>) -> T) -> T {
    then(&Place {
        store: store.id(),
        table: keys::TABLE,
        record: &key.id.bits().to_be_bytes(),
        field: "secret",
        version: 1,
        context: &[&[key.scopes.bits()], &moment(key.revoked_at()), &moment(key.expires_at)],
    })
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
