//! The data keys as values: made, replaced, wrapped by the master key and unwrapped.

use zeroize::Zeroizing;

use super::master::{CHECK, MasterKey};
use super::ring::Versions;
use crate::crypto::digest::DigestKey;
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::crypto::seal::{Place, SealKey, StoreId};

/// All data keys of one store at one moment, as they are wrapped in one row of it.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Seals secrets.
    pub(super) seal: Versions<SealKey>,
    /// Digests of bearer tokens, idempotency keys and bodies.
    pub(super) digest: Versions<DigestKey>,
    /// The chain of the log book, one for each of its stretches.
    pub(super) audit: Versions<DigestKey>,
    /// Authenticates list cursors.
    pub(super) cursor: Versions<DigestKey>,
    /// Names accounts, and whatever must keep its name. Never replaced.
    pub(super) id: DigestKey,
}

impl Keys {
    /// New random keys for a new store.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self {
            seal: Versions::only(SealKey::generate(entropy)?),
            digest: Versions::only(DigestKey::generate(entropy)?),
            audit: Versions::only(DigestKey::generate(entropy)?),
            cursor: Versions::only(DigestKey::generate(entropy)?),
            id: DigestKey::generate(entropy)?,
        })
    }

    /// These with a new random key beside each that may be replaced.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn renewed(&self, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self {
            seal: self.seal.and(SealKey::generate(entropy)?),
            digest: self.digest.and(DigestKey::generate(entropy)?),
            audit: self.audit.and(DigestKey::generate(entropy)?),
            cursor: self.cursor.and(DigestKey::generate(entropy)?),
            id: self.id.clone(),
        })
    }

    /// These without the keys that were replaced. Those of the log book stay: its old entries verify under no other.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self {
            seal: self.seal.settled(),
            digest: self.digest.settled(),
            audit: self.audit.clone(),
            cursor: self.cursor.settled(),
            id: self.id.clone(),
        }
    }

    /// The keys of the log book.
    #[must_use]
    pub const fn audit(&self) -> &Versions<DigestKey> {
        &self.audit
    }

    /// Wraps the keys for one store: `check (8) ‖ the keys, sealed`.
    ///
    /// Both the check value and the wrapping key are HKDF of the master key and the store id. The check value tells a
    /// wrong master key from damage, and nothing about the keys. What is sealed is the number of keys of each kind (four
    /// bytes each, big-endian) before the keys themselves, `id` first.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn wrap(&self, master: &MasterKey, store: StoreId, entropy: &dyn Entropy) -> Result<Vec<u8>, EntropyError> {
        let kinds = [
            self.seal.iter().map(|key| key.as_bytes()).collect::<Vec<_>>(),
            self.digest.iter().map(|key| key.as_bytes()).collect(),
            self.audit.iter().map(|key| key.as_bytes()).collect(),
            self.cursor.iter().map(|key| key.as_bytes()).collect(),
        ];
        let keys: usize = 1 + kinds.iter().map(Vec::len).sum::<usize>();
        // All of its room at once: a buffer that grows leaves copies of keys behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(COUNTS + keys * KEY));
        for kind in &kinds {
            let count = u32::try_from(kind.len()).unwrap_or(u32::MAX);
            plaintext.extend_from_slice(&count.to_be_bytes());
        }
        for key in std::iter::once(self.id.as_bytes()).chain(kinds.into_iter().flatten()) {
            plaintext.extend_from_slice(key);
        }
        let mut wrapped = master.check(store).to_vec();
        wrapped.append(&mut master.wrapping_key(store).seal(&place(store), &plaintext, entropy)?);
        Ok(wrapped)
    }

    /// Unwraps what [`Keys::wrap`] made for the same store with the first candidate that fits: the current master key
    /// comes first, then the previous one. Also gives that candidate's index, so that the caller can re-wrap.
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
        let keys = Self::from_first_layout(&plaintext).or_else(|| Self::from_plaintext(&plaintext));
        Ok((keys.ok_or(KeyringError::Damaged)?, index))
    }

    /// From the layout of stores whose keys were never replaced by a version that could: five keys and nothing else. It
    /// cannot be mistaken for the other, whose length leaves another remainder.
    fn from_first_layout(plaintext: &[u8]) -> Option<Self> {
        let keys: &[u8; 5 * KEY] = plaintext.try_into().ok()?;
        let (keys, _) = keys.as_chunks::<KEY>();
        let keys: &[[u8; KEY]; 5] = keys.try_into().ok()?;
        let [seal, digest, audit, cursor, id] = keys.map(Zeroizing::new);
        Some(Self {
            seal: Versions::only(SealKey::from_bytes(seal)),
            digest: Versions::only(DigestKey::from_bytes(digest)),
            audit: Versions::only(DigestKey::from_bytes(audit)),
            cursor: Versions::only(DigestKey::from_bytes(cursor)),
            id: DigestKey::from_bytes(id),
        })
    }

    fn from_plaintext(plaintext: &[u8]) -> Option<Self> {
        let (counts, keys) = plaintext.split_first_chunk::<COUNTS>()?;
        let (counts, _) = counts.as_chunks::<4>();
        let (keys, []) = keys.as_chunks::<KEY>() else {
            return None;
        };
        let mut keys = keys.iter().map(|key| Zeroizing::new(*key));
        let id = DigestKey::from_bytes(keys.next()?);
        let mut counts = counts.iter().map(|count| u32::from_be_bytes(*count) as usize);
        let seal = keys.by_ref().take(counts.next()?).map(SealKey::from_bytes);
        let seal = Versions::from_newest(seal)?;
        let mut digests = || Versions::from_newest(keys.by_ref().take(counts.next()?).map(DigestKey::from_bytes));
        let (digest, audit, cursor) = (digests()?, digests()?, digests()?);
        keys.next().is_none().then_some(Self {
            seal,
            digest,
            audit,
            cursor,
            id,
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
    Place::of_row(store, "keyring", b"", "keys")
}

/// Bytes of a key.
const KEY: usize = 32;

/// Bytes of the numbers of keys of the four kinds that may be replaced.
const COUNTS: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::crypto::entropy::OsEntropy;

    const STORE: StoreId = StoreId::from_bytes([1; 16]);

    fn master(byte: u8) -> MasterKey {
        let text = data_encoding::BASE64.encode(&[byte; 32]);
        MasterKey::from_base64(&text.into()).unwrap()
    }

    /// Every key of a store, each kind by itself, the newest first.
    fn prints(keys: &Keys) -> Vec<Vec<[u8; 32]>> {
        let digests = |keys: &Versions<DigestKey>| keys.iter().map(|key| *key.as_bytes()).collect();
        vec![
            keys.seal.iter().map(|key| *key.as_bytes()).collect(),
            digests(&keys.digest),
            digests(&keys.audit),
            digests(&keys.cursor),
            vec![*keys.id.as_bytes()],
        ]
    }

    #[test]
    fn keys_unwrap_under_their_master_key_current_or_previous() {
        let keys = Keys::generate(&OsEntropy).unwrap();
        let wrapped = keys.wrap(&master(1), STORE, &OsEntropy).unwrap();

        let (current, index) = Keys::unwrap(&wrapped, &[master(1)], STORE).unwrap();
        assert_eq!((prints(&current), index), (prints(&keys), 0));

        let (previous, index) = Keys::unwrap(&wrapped, &[master(2), master(1)], STORE).unwrap();
        assert_eq!((prints(&previous), index), (prints(&keys), 1));
    }

    #[test]
    fn keys_that_were_replaced_are_wrapped_beside_the_newest_in_their_order() {
        let first = Keys::generate(&OsEntropy).unwrap();
        let third = first.renewed(&OsEntropy).unwrap().renewed(&OsEntropy).unwrap();
        let wrapped = third.wrap(&master(1), STORE, &OsEntropy).unwrap();

        let (unwrapped, _) = Keys::unwrap(&wrapped, &[master(1)], STORE).unwrap();

        assert_eq!(prints(&unwrapped), prints(&third));
        assert_eq!(prints(&unwrapped)[0].len(), 3);
        assert_eq!(prints(&unwrapped)[0][2], prints(&first)[0][0]);
        assert_eq!(prints(&unwrapped)[4], prints(&first)[4], "the id key is never replaced");
    }

    #[test]
    fn settling_leaves_the_newest_of_each_and_every_key_of_the_log_book() {
        let renewed = Keys::generate(&OsEntropy).unwrap().renewed(&OsEntropy).unwrap();
        let counts: Vec<usize> = prints(&renewed.settled()).iter().map(Vec::len).collect();
        assert_eq!(counts, [1, 1, 2, 1, 1]);
    }

    #[test]
    fn the_layout_of_older_stores_unwraps() {
        let mut plaintext = Vec::new();
        for byte in 1..=5_u8 {
            plaintext.extend_from_slice(&[byte; 32]);
        }
        let mut wrapped = master(1).check(STORE).to_vec();
        let sealed = master(1)
            .wrapping_key(STORE)
            .seal(&place(STORE), &plaintext, &OsEntropy);
        wrapped.append(&mut sealed.unwrap());

        let (keys, _) = Keys::unwrap(&wrapped, &[master(1)], STORE).unwrap();

        let expected: Vec<_> = (1..=5).map(|byte| vec![[byte; 32]]).collect();
        assert_eq!(prints(&keys), expected);
    }

    #[test]
    fn numbers_that_do_not_fit_the_keys_are_damage() {
        let keys = Keys::generate(&OsEntropy).unwrap();
        let layout = |counts: [u32; 4], keys: usize| {
            let mut plaintext: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
            plaintext.extend(std::iter::repeat_n(7, keys * KEY));
            Keys::from_plaintext(&plaintext).is_some()
        };
        assert!(layout([1, 1, 1, 1], 5));
        assert!(!layout([1, 1, 1, 1], 4), "too few");
        assert!(!layout([1, 1, 1, 1], 6), "too many");
        assert!(!layout([0, 1, 1, 1], 4), "none of a kind");
        assert!(!layout([u32::MAX; 4], 5));
        assert_eq!(prints(&keys).concat().len(), 5);
    }

    #[test]
    fn all_keys_differ() {
        let keys = Keys::generate(&OsEntropy).unwrap().renewed(&OsEntropy).unwrap();
        let distinct: BTreeSet<_> = prints(&keys).concat().into_iter().collect();
        assert_eq!(distinct.len(), 9);
    }

    #[test]
    fn a_wrong_master_key_and_another_store_are_told_from_damage() {
        let wrapped = Keys::generate(&OsEntropy)
            .unwrap()
            .wrap(&master(1), STORE, &OsEntropy)
            .unwrap();
        let unwrap = |wrapped: &[u8], candidates: &[MasterKey], store| Keys::unwrap(wrapped, candidates, store).err();

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
    fn keys_cannot_be_printed() {
        let keys = Keys::generate(&OsEntropy).unwrap();
        assert!(!format!("{keys:?}").contains(|c: char| c.is_ascii_digit()));
    }
}
