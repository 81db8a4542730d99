//! The key that the operator holds.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::crypto::entropy::{Entropy, EntropyError, random};
use crate::crypto::seal::{SealKey, StoreId, derive};
use crate::model::secret::Secret;

/// The operator's key: it wraps the keyring and never touches data. Wiped when dropped, never printed.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// From base64 of exactly 32 bytes, the form of jimeng-relay's `API_KEY_ENCRYPTION_KEY`. Surrounding white space is
    /// ignored.
    ///
    /// # Errors
    /// [`MasterKeyError`], which says what was found instead, never its content.
    pub fn from_base64(text: &Secret) -> Result<Self, MasterKeyError> {
        let text = text.expose().trim();
        let bytes = BASE64
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| MasterKeyError::NotBase64 {
                characters: text.chars().count(),
            })?;
        let key: &[u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| MasterKeyError::WrongLength { bytes: bytes.len() })?;
        Ok(Self(Zeroizing::new(*key)))
    }

    /// From a pass-phrase and the store's random salt, stretched with Argon2id.
    ///
    /// This blocks for some tens of milliseconds and takes 19 MiB of memory: start-up only, or a blocking thread.
    ///
    /// # Errors
    /// [`MasterKeyError::ShortPassphrase`], or [`MasterKeyError::Memory`] if the memory cannot be had.
    pub fn from_passphrase(passphrase: &Secret, salt: &[u8; 16]) -> Result<Self, MasterKeyError> {
        let characters = passphrase.expose().chars().count();
        if characters < MIN_PASSPHRASE {
            return Err(MasterKeyError::ShortPassphrase { characters });
        }
        let mut key = Zeroizing::new([0; 32]);
        Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, Some(key.len()))
            .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
            .and_then(|argon2| argon2.hash_password_into(passphrase.expose().as_bytes(), salt, key.as_mut_slice()))
            .map_err(|_| MasterKeyError::Memory)?;
        Ok(Self(key))
    }

    /// A new random master key as base64, what `tollgate keygen` prints.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate_base64(entropy: &dyn Entropy) -> Result<Secret, EntropyError> {
        let key: Zeroizing<[u8; 32]> = random(entropy).map(Zeroizing::new)?;
        Ok(Secret::new(BASE64.encode(key.as_slice())))
    }

    /// The raw key, which is how jimeng-relay used it.
    pub(in crate::crypto) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that wraps one store's keyring.
    pub(super) fn wrapping_key(&self, store: StoreId) -> SealKey {
        SealKey::from_bytes(derive(&self.0, store.as_bytes(), "tollgate keyring"))
    }

    /// Tells this master key from others for one store, and nothing about the keys derived from it.
    pub(super) fn check(&self, store: StoreId) -> [u8; CHECK] {
        *derive(&self.0, store.as_bytes(), "tollgate keyring check")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A text that cannot be the master key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// The text is not base64.
    #[error(
        "expected base64 of exactly 32 bytes, found {characters} characters that are not base64; run `tollgate keygen`"
    )]
    NotBase64 {
        /// How many characters were given.
        characters: usize,
    },
    /// The text is base64, but not of 32 bytes.
    #[error("expected base64 of exactly 32 bytes, found base64 of {bytes} bytes; run `tollgate keygen`")]
    WrongLength {
        /// How many bytes the text stands for.
        bytes: usize,
    },
    /// The pass-phrase is easy to guess by its length alone.
    #[error("expected a pass-phrase of at least {MIN_PASSPHRASE} characters, found {characters}")]
    ShortPassphrase {
        /// How many characters were given.
        characters: usize,
    },
    /// Argon2id could not get its memory.
    #[error("stretching the pass-phrase needs {ARGON2_MEMORY_KIB} KiB of memory, which could not be had")]
    Memory,
}

/// The fewest characters of a pass-phrase.
pub const MIN_PASSPHRASE: usize = 12;

/// Argon2id's memory. This, [`ARGON2_PASSES`] and [`ARGON2_LANES`] are what the OWASP Password Storage Cheat Sheet asks
/// for at least. Changing any of them changes every key made from a pass-phrase.
const ARGON2_MEMORY_KIB: u32 = 19_456;
/// Argon2id's passes over its memory.
const ARGON2_PASSES: u32 = 2;
/// Argon2id's lanes.
const ARGON2_LANES: u32 = 1;

/// Bytes of the check value.
pub(super) const CHECK: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::OsEntropy;

    fn text(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_generated_master_key_is_accepted() {
        let generated = MasterKey::generate_base64(&OsEntropy).unwrap();
        assert_eq!(generated.expose().len(), 44);
        let padded_with_space = text(&format!(" {}\n", generated.expose()));
        assert_eq!(
            MasterKey::from_base64(&generated).unwrap().as_bytes(),
            MasterKey::from_base64(&padded_with_space).unwrap().as_bytes()
        );
    }

    #[test]
    fn a_bad_master_key_is_refused_with_what_was_found_and_the_fix() {
        let cases = [
            ("", "found base64 of 0 bytes"),
            ("c2hvcnQ=", "found base64 of 5 bytes"),
            ("not base64!", "found 11 characters that are not base64"),
            (
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "found base64 of 48 bytes",
            ),
        ];
        for (given, found) in cases {
            let message = MasterKey::from_base64(&text(given)).unwrap_err().to_string();
            assert!(
                message.contains(found) && message.contains("tollgate keygen"),
                "{given}: {message}"
            );
        }
    }

    #[test]
    fn a_pass_phrase_is_stretched_with_argon2id() {
        // Computed with Python's cryptography: 19456 KiB, 2 passes, 1 lane.
        let expected = "702774d9b388a202c44c6f8acd04689ff2d1576559af2628c299ebfc48df4e3f";
        let key = MasterKey::from_passphrase(&text("correct horse battery staple"), &[9; 16]).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(key.as_bytes()), expected);
    }

    #[test]
    fn a_short_pass_phrase_is_refused() {
        let error = MasterKey::from_passphrase(&text("hunter2"), &[9; 16]).unwrap_err();
        assert_eq!(error, MasterKeyError::ShortPassphrase { characters: 7 });
    }

    #[test]
    fn a_master_key_cannot_be_printed() {
        let key = MasterKey::from_base64(&MasterKey::generate_base64(&OsEntropy).unwrap()).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }
}
