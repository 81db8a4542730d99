//! The store's data keys, and the master key that wraps them.

mod master;

use zeroize::Zeroizing;

pub use self::master::{MIN_PASSPHRASE, MasterKey, MasterKeyError};

use self::master::CHECK;
use crate::crypto::digest::DigestKey;
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::crypto::seal::{Place, SealKey, StoreId};

/// The random keys of one store, made with it and kept in it, wrapped. Only these touch data, so that replacing the
/// master key re-wraps one row and nothing else.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// Seals secrets.
    pub seal: SealKey,
    /// Digests of bearer tokens and bodies.
    pub digest: DigestKey,
    /// The chain of the log book.
    pub audit: DigestKey,
    /// Authenticates list cursors.
    pub cursor: DigestKey,
    /// Stable ids of accounts that the environment defines. Never replaced: account ids hang on it.
    pub id: DigestKey,
}

impl Keyring {
    /// New random keys for a new store.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self {
            seal: SealKey::generate(entropy)?,
            digest: DigestKey::generate(entropy)?,
            audit: DigestKey::generate(entropy)?,
            cursor: DigestKey::generate(entropy)?,
            id: DigestKey::generate(entropy)?,
        })
    }

    /// Wraps the keys for one store: `check (8) ‖ the keys, sealed`.
    ///
    /// Both the check value and the wrapping key are HKDF of the master key and the store id. The check value tells a
    /// wrong master key from damage, and nothing about the keys.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn wrap(&self, master: &MasterKey, store: StoreId, entropy: &dyn Entropy) -> Result<Vec<u8>, EntropyError> {
        let Self {
            seal,
            digest,
            audit,
            cursor,
            id,
        } = self;
        let keys: [&[u8; 32]; KEYS] = [
            seal.as_bytes(),
            digest.as_bytes(),
            audit.as_bytes(),
            cursor.as_bytes(),
            id.as_bytes(),
        ];
        let mut plaintext = Zeroizing::new(Vec::with_capacity(KEYS * 32));
        for key in keys {
            plaintext.extend_from_slice(key);
        }
        let mut wrapped = master.check(store).to_vec();
        wrapped.append(&mut master.wrapping_key(store).seal(&place(store), &plaintext, entropy)?);
        Ok(wrapped)
    }

    /// Unwraps what [`Keyring::wrap`] made for the same store with the first candidate that fits: the current master
    /// key comes first, then the previous one. Also gives that candidate's index, so that the caller can re-wrap.
    ///
    /// # Errors
    /// [`KeyringError::WrongMasterKey`] if no candidate fits, [`KeyringError::Damaged`] if one fits but the wrapped
    /// keys were changed.
    pub fn unwrap(wrapped: &[u8], candidates: &[MasterKey], store: StoreId) -> Result<(Self, usize), KeyringError> {
        let (check, sealed) = wrapped.split_first_chunk::<CHECK>().ok_or(KeyringError::Damaged)?;
        let (index, master) = candidates
            .iter()
            .enumerate()
            .find(|(_, candidate)| candidate.check(store) == *check)
            .ok_or(KeyringError::WrongMasterKey)?;
        let plaintext = master
            .wrapping_key(store)
            .open(&place(store), sealed)
            .map_err(|_| KeyringError::Damaged)?;
        let keyring = Self::from_plaintext(&plaintext).ok_or(KeyringError::Damaged)?;
        Ok((keyring, index))
    }

    /// The keys from their concatenation; `None` if it is not exactly as long as they are.
    fn from_plaintext(plaintext: &[u8]) -> Option<Self> {
        let (keys, []) = plaintext.as_chunks::<32>() else {
            return None;
        };
        let keys: &[[u8; 32]; KEYS] = keys.try_into().ok()?;
        let [seal, digest, audit, cursor, id] = keys.map(Zeroizing::new);
        Some(Self {
            seal: SealKey::from_bytes(seal),
            digest: DigestKey::from_bytes(digest),
            audit: DigestKey::from_bytes(audit),
            cursor: DigestKey::from_bytes(cursor),
            id: DigestKey::from_bytes(id),
        })
    }
}

/// Wrapped keys that do not unwrap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The store was wrapped under another master key.
    #[error("this store was made with another master key")]
    WrongMasterKey,
    /// The master key is right, but the wrapped keys were changed or cut.
    #[error("the store's wrapped keys are damaged: restore a backup")]
    Damaged,
}

/// Where the wrapped keys are kept.
const fn place(store: StoreId) -> Place<'static> {
    Place {
        store,
        table: "keyring",
        record: b"",
        field: "keys",
        version: 1,
        context: &[],
    }
}

/// How many keys a keyring holds.
const KEYS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::OsEntropy;

    const STORE: StoreId = StoreId::from_bytes([1; 16]);

    fn master(byte: u8) -> MasterKey {
        let text = data_encoding::BASE64.encode(&[byte; 32]);
        MasterKey::from_base64(&text.into()).unwrap()
    }

    /// A fingerprint of every key of a keyring.
    fn prints(keyring: &Keyring) -> Vec<[u8; 32]> {
        let digests = [&keyring.digest, &keyring.audit, &keyring.cursor, &keyring.id];
        std::iter::once(*keyring.seal.as_bytes())
            .chain(digests.map(|key| *key.as_bytes()))
            .collect()
    }

    #[test]
    fn a_keyring_unwraps_under_its_master_key_current_or_previous() {
        let keyring = Keyring::generate(&OsEntropy).unwrap();
        let wrapped = keyring.wrap(&master(1), STORE, &OsEntropy).unwrap();

        let (current, index) = Keyring::unwrap(&wrapped, &[master(1)], STORE).unwrap();
        assert_eq!((prints(&current), index), (prints(&keyring), 0));

        let (previous, index) = Keyring::unwrap(&wrapped, &[master(2), master(1)], STORE).unwrap();
        assert_eq!((prints(&previous), index), (prints(&keyring), 1));
    }

    #[test]
    fn all_keys_of_a_keyring_differ() {
        let keyring = Keyring::generate(&OsEntropy).unwrap();
        let distinct: std::collections::BTreeSet<_> = prints(&keyring).into_iter().collect();
        assert_eq!(distinct.len(), KEYS);
    }

    #[test]
    fn a_wrong_master_key_and_another_store_are_told_from_damage() {
        let wrapped = Keyring::generate(&OsEntropy)
            .unwrap()
            .wrap(&master(1), STORE, &OsEntropy)
            .unwrap();
        let unwrap =
            |wrapped: &[u8], candidates: &[MasterKey], store| Keyring::unwrap(wrapped, candidates, store).err();

        assert_eq!(
            unwrap(&wrapped, &[master(2)], STORE),
            Some(KeyringError::WrongMasterKey)
        );
        assert_eq!(unwrap(&wrapped, &[], STORE), Some(KeyringError::WrongMasterKey));
        let other = StoreId::from_bytes([2; 16]);
        assert_eq!(
            unwrap(&wrapped, &[master(1)], other),
            Some(KeyringError::WrongMasterKey)
        );

        for cut in [0, CHECK - 1, CHECK, wrapped.len() - 1] {
            assert_eq!(
                unwrap(&wrapped[..cut], &[master(1)], STORE),
                Some(KeyringError::Damaged),
                "{cut}"
            );
        }
        for at in CHECK..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[at] ^= 1;
            assert_eq!(
                unwrap(&flipped, &[master(1)], STORE),
                Some(KeyringError::Damaged),
                "{at}"
            );
        }
    }

    #[test]
    fn a_keyring_cannot_be_printed() {
        let keyring = Keyring::generate(&OsEntropy).unwrap();
        assert!(!format!("{keyring:?}").contains(|c: char| c.is_ascii_digit()));
    }
}
