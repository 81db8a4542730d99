//! Sealing secrets at rest: AES-256-GCM, bound to the place where they are kept.

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::digest::length_prefix;
use crate::crypto::entropy::{Entropy, EntropyError, random};

/// The key that seals secrets in one store. Wiped when dropped, never printed.
///
/// A sealed secret is `salt (16) ‖ ciphertext ‖ tag (16)`. Each is sealed under its own subkey,
/// HKDF-SHA256(key, salt), because random 96-bit nonces under one key run out at 2^32 messages. A subkey seals once, so
/// its nonce can be zero; two salts meet only after about 2^64 messages.
#[derive(Clone)]
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// From 32 random bytes, as the keyring unwrapped or derived them.
    #[must_use]
    pub const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// A new random key.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        random(entropy).map(Zeroizing::new).map(Self)
    }

    /// Seals `plaintext` for `place`; the result is [`OVERHEAD`] bytes longer.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    ///
    /// # Panics
    /// On a plaintext of 64 GiB or more, the limit of AES-GCM. What is sealed are keys and bounded replies.
    #[expect(
        clippy::expect_used,
        reason = "fails only from 64 GiB on, far above every body that is accepted"
    )]
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, EntropyError> {
        let salt: [u8; SALT] = random(entropy)?;
        let mut ciphertext = plaintext.to_vec();
        let tag = self
            .cipher(&salt)
            .encrypt_inout_detached(
                &Nonce::default(),
                &place.associated_data(),
                ciphertext.as_mut_slice().into(),
            )
            .expect("a plaintext under 64 GiB");
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
        sealed.extend_from_slice(&salt);
        sealed.append(&mut ciphertext);
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`SealKey::seal`] made for the same place.
    ///
    /// # Errors
    /// [`SealError`] for another key, another place, or a changed or shortened `sealed`.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (salt, rest) = sealed.split_first_chunk::<SALT>().ok_or(SealError)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(SealError)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        self.cipher(salt)
            .decrypt_inout_detached(
                &Nonce::default(),
                &place.associated_data(),
                plaintext.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| SealError)?;
        Ok(plaintext)
    }

    /// The key itself, for wrapping it.
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self, salt: &[u8; SALT]) -> Aes256Gcm {
        let subkey: Zeroizing<[u8; 32]> = derive(&self.0, salt, "tollgate record subkey");
        Aes256Gcm::new((&*subkey).into())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Where a sealed secret is kept. What is sealed for one place opens at no other, so rows cannot be swapped or copied
/// from another store.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The store.
    pub store: StoreId,
    /// The table's name.
    pub table: &'a str,
    /// The record's key in the table.
    pub record: &'a [u8],
    /// The field of the record.
    pub field: &'a str,
    /// The version of the record's format.
    pub version: u8,
    /// What else must not be changed behind the secret's back, e.g. a client key's scopes, status and expiry.
    pub context: &'a [&'a [u8]],
}

impl<'a> Place<'a> {
    /// The place of a field that only its row guards.
    #[must_use]
    pub const fn of_row(store: StoreId, table: &'a str, record: &'a [u8], field: &'a str) -> Self {
        Self {
            store,
            table,
            record,
            field,
            version: 1,
            context: &[],
        }
    }

    /// All parts, each behind its length, so that no two places have the same associated data.
    fn associated_data(&self) -> Vec<u8> {
        let fixed = [
            &self.store.0,
            self.table.as_bytes(),
            self.record,
            self.field.as_bytes(),
            &[self.version],
        ];
        let mut data = Vec::new();
        for part in fixed.iter().chain(self.context) {
            data.extend_from_slice(&length_prefix(part));
            data.extend_from_slice(part);
        }
        data
    }
}

/// The random name of a store, made when it is created. Shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// From its bytes, as they stand in the store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new random name.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        random(entropy).map(Self)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sealed bytes that do not open. Which of the causes it was cannot be told, by design of the cipher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: it was changed, moved, or sealed under another key")]
pub struct SealError;

/// `N` bytes, at most 32, for one purpose: HKDF-SHA256 of `key`.
#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
pub(super) fn derive<const N: usize>(key: &[u8; 32], salt: &[u8], purpose: &str) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 32, "one block of HKDF is all that is ever needed") };
    let mut derived = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(purpose.as_bytes(), derived.as_mut_slice())
        .expect("32 of 8160 bytes");
    derived
}

/// How many bytes longer a sealed secret is: its salt and its tag.
pub const OVERHEAD: usize = SALT + TAG;

const SALT: usize = 16;
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::entropy::OsEntropy;

    fn key() -> SealKey {
        SealKey::from_bytes(Zeroizing::new([3; 32]))
    }

    fn place() -> Place<'static> {
        Place {
            store: StoreId::from_bytes([1; 16]),
            table: "keys",
            record: b"r1",
            field: "secret",
            version: 1,
            context: &[b"relay", b"active"],
        }
    }

    /// Gives 0, 1, 2, …
    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            buffer.iter_mut().zip(0..).for_each(|(byte, count)| *byte = count);
            Ok(())
        }
    }

    #[test]
    fn the_format_is_pinned() {
        // Computed with Python's cryptography: HKDF-SHA256, then AES-256-GCM with a zero nonce.
        let expected = "000102030405060708090a0b0c0d0e0f2fc6dda582cc8498c94bd8e04da94e208b7658410246a24693";
        let sealed = key().seal(&place(), b"sk_secret", &Counting).unwrap();
        assert_eq!(HEXLOWER.encode(&sealed), expected);
        assert_eq!(key().open(&place(), &sealed).unwrap().as_slice(), b"sk_secret");
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let first = key().seal(&place(), b"sk_secret", &OsEntropy).unwrap();
        let second = key().seal(&place(), b"sk_secret", &OsEntropy).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn a_secret_opens_only_at_its_place() {
        let sealed = key().seal(&place(), b"sk_secret", &Counting).unwrap();
        let elsewhere = [
            Place {
                store: StoreId::from_bytes([2; 16]),
                ..place()
            },
            Place {
                table: "accounts",
                ..place()
            },
            Place {
                record: b"r2",
                ..place()
            },
            Place {
                field: "token",
                ..place()
            },
            Place { version: 2, ..place() },
            Place {
                context: &[b"relay"],
                ..place()
            },
            Place {
                context: &[b"relaya", b"ctive"],
                ..place()
            },
            Place {
                table: "keysr1",
                record: b"",
                ..place()
            },
        ];
        for other in elsewhere {
            assert_eq!(key().open(&other, &sealed), Err(SealError), "{other:?}");
        }
        assert_eq!(
            SealKey::from_bytes(Zeroizing::new([4; 32])).open(&place(), &sealed),
            Err(SealError)
        );
    }

    #[test]
    fn a_failing_random_source_seals_nothing() {
        struct Broken;
        impl Entropy for Broken {
            fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
                Err(EntropyError)
            }
        }
        assert_eq!(key().seal(&place(), b"x", &Broken), Err(EntropyError));
    }

    #[test]
    fn a_seal_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", key()), "SealKey(…)");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(plaintext: Vec<u8>) {
            let sealed = key().seal(&place(), &plaintext, &OsEntropy).unwrap();
            prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
            let opened = key().open(&place(), &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        }

        #[test]
        fn any_flipped_bit_and_any_cut_is_noticed(plaintext: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
            let sealed = key().seal(&place(), &plaintext, &OsEntropy).unwrap();
            let at = at.index(sealed.len());
            let mut flipped = sealed.clone();
            flipped[at] ^= 1_u8 << bit;
            prop_assert_eq!(key().open(&place(), &flipped), Err(SealError));
            prop_assert_eq!(key().open(&place(), &sealed[..at]), Err(SealError));
        }

        #[test]
        fn noise_never_opens(noise: Vec<u8>) {
            prop_assert_eq!(key().open(&place(), &noise), Err(SealError));
        }
    }
}
