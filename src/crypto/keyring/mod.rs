//! The store's data keys, and the master key that wraps them.

mod keys;
mod master;
mod ring;

pub use self::keys::{KeyringError, Keys};
pub use self::master::{MIN_PASSPHRASE, MasterKey, MasterKeyError};
pub use self::ring::{RenewError, Renewal, Ring, Versions};

use crate::crypto::digest::DigestKey;
use crate::crypto::seal::SealKey;

/// The random keys of one store, made with it and kept in it, wrapped. Only these touch data, so that replacing the
/// master key re-wraps one row and nothing else.
///
/// All but one can be replaced while the process lives: [`Keyring::install`] changes them for everyone who holds one.
#[derive(Debug)]
pub struct Keyring {
    /// Seals secrets.
    pub seal: Ring<SealKey>,
    /// Digests of bearer tokens, idempotency keys and bodies.
    pub digest: Ring<DigestKey>,
    /// The chain of the log book. None of its keys ever goes.
    pub audit: Ring<DigestKey>,
    /// Authenticates list cursors.
    pub cursor: Ring<DigestKey>,
    /// Stable ids of accounts that the environment defines, and what else must keep its name. Never replaced.
    pub id: DigestKey,
}

impl Keyring {
    /// The keyring of these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        let Keys {
            seal,
            digest,
            audit,
            cursor,
            id,
        } = keys;
        Self {
            seal: Ring::new(seal),
            digest: Ring::new(digest),
            audit: Ring::new(audit),
            cursor: Ring::new(cursor),
            id,
        }
    }

    /// The keys, as they are now.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys {
            seal: (*self.seal.versions()).clone(),
            digest: (*self.digest.versions()).clone(),
            audit: (*self.audit.versions()).clone(),
            cursor: (*self.cursor.versions()).clone(),
            id: self.id.clone(),
        }
    }

    /// Puts these keys in the place of what there is. Only the store does it, when they are on its disk.
    pub fn install(&self, keys: &Keys) {
        self.seal.install(keys.seal.clone());
        self.digest.install(keys.digest.clone());
        self.audit.install(keys.audit.clone());
        self.cursor.install(keys.cursor.clone());
    }
}
