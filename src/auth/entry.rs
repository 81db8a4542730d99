//! One client key in memory, and its way out of the store and back.

use std::sync::Arc;

use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::crypto::keyring::Keyring;
use crate::model::caller::{Caller, Identity};
use crate::model::key::ApiKey;
use crate::model::secret::Secret;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::keys::{KeyRow, at_place, bearer};

/// One client key with all that a request needs of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: ApiKey,
    pub(super) secret: Secret,
    /// What a bearer of the secret is found by, under the digest key that was the newest then.
    pub(super) bearer: Digest,
    /// The key's models, shared with every caller that uses it.
    pub(super) models: Option<Arc<[String]>>,
}

impl Entry {
    pub(super) fn new(key: ApiKey, secret: Secret, keyring: &Keyring) -> Self {
        Self {
            bearer: bearer(&keyring.digest.newest(), secret.expose().as_bytes()),
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
        let keyring = store.keyring();
        let secret = at_place(&row.key, store.id(), |place| keyring.seal.open(place, &row.sealed))
            .map_err(|error| changed(error.to_string()))?;
        let secret = std::str::from_utf8(&secret).map_err(|_| changed("its secret is not text".to_owned()))?;
        let versions = keyring.digest.versions();
        let is_of_secret = |key: &Arc<DigestKey>| bearer(key, secret.as_bytes()).ct_eq(&row.bearer);
        if !versions.iter().any(is_of_secret) {
            return Err(changed("its digest is not that of its secret".to_owned()));
        }
        Ok(Self::new(row.key, Secret::new(secret.to_owned()), keyring))
    }

    /// The row to store, sealed anew to the settings it has now.
    pub(super) fn seal(&self, store: &Store, entropy: &dyn Entropy) -> Result<KeyRow, EntropyError> {
        let secret = self.secret.expose().as_bytes();
        let keyring = store.keyring();
        let sealed = at_place(&self.key, store.id(), |place| keyring.seal.seal(place, secret, entropy))?;
        Ok(KeyRow {
            key: self.key.clone(),
            // Not the digest in memory, which may be of a key that has been replaced since.
            bearer: bearer(&keyring.digest.newest(), secret),
            sealed,
        })
    }
}
