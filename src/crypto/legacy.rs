//! jimeng-relay's sealed client secrets, read when its keys are imported.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::crypto::keyring::MasterKey;
use crate::model::secret::Secret;

/// Opens a secret that jimeng-relay sealed: `v1:` and base64 of `nonce (12) ‖ ciphertext ‖ tag (16)`, AES-256-GCM
/// without associated data under the raw bytes of `API_KEY_ENCRYPTION_KEY` (its `secretcrypto/cipher.go`).
///
/// # Errors
/// [`LegacyError`], which never holds a part of the secret.
pub fn open_v1(master: &MasterKey, ciphertext: &str) -> Result<Secret, LegacyError> {
    let encoded = ciphertext.trim().strip_prefix("v1:").ok_or(LegacyError::NotV1)?;
    let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| LegacyError::NotBase64)?;
    let (nonce, rest) = bytes.split_first_chunk::<12>().ok_or(LegacyError::TooShort)?;
    let (sealed, tag) = rest.split_last_chunk::<16>().ok_or(LegacyError::TooShort)?;
    let mut plaintext = Zeroizing::new(sealed.to_vec());
    Aes256Gcm::new(master.as_bytes().into())
        .decrypt_inout_detached(
            &Nonce::from(*nonce),
            &[],
            plaintext.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| LegacyError::DoesNotOpen)?;
    let text = std::str::from_utf8(&plaintext).map_err(|_| LegacyError::NotText)?;
    Ok(Secret::new(text.to_owned()))
}

/// A stored secret that cannot be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    /// It does not begin with `v1:`.
    #[error("the stored secret does not begin with v1:")]
    NotV1,
    /// What follows `v1:` is not base64.
    #[error("the stored secret is not base64")]
    NotBase64,
    /// It cannot hold a nonce and a tag.
    #[error("the stored secret is too short")]
    TooShort,
    /// It was sealed under another key, or changed.
    #[error("the stored secret does not open under this API_KEY_ENCRYPTION_KEY")]
    DoesNotOpen,
    /// It opens, but is not UTF-8.
    #[error("the stored secret is not text")]
    NotText,
}

/// One secret as jimeng-relay stores it, for tests of the import. Made with Python's `cryptography`.
#[cfg(test)]
pub(crate) mod sample {
    /// The value of `API_KEY_ENCRYPTION_KEY`.
    pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    /// What stands in the column `secret_key_ciphertext`.
    pub(crate) const CIPHERTEXT: &str =
        "v1:ZGVmZ2hpamtsbW5vO3CBBxuKMvtYBTeBsA4GkCytdnv5H4cH0abUMYGRlnyh33cQ78YY73hPLRS6Ksm7i3Xx";
    /// What it opens to.
    pub(crate) const SECRET: &str = "sk_abcdefghijklmnopqrstuvwxyz234567";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(text: &str) -> MasterKey {
        MasterKey::from_base64(&Secret::new(text.to_owned())).unwrap()
    }

    #[test]
    fn a_secret_that_jimeng_relay_sealed_opens() {
        let secret = open_v1(&master(sample::KEY), sample::CIPHERTEXT).unwrap();
        assert_eq!(secret.expose(), sample::SECRET);
    }

    #[test]
    fn another_key_or_a_changed_byte_does_not_open() {
        let other = master("AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(open_v1(&other, sample::CIPHERTEXT), Err(LegacyError::DoesNotOpen));
        let changed = sample::CIPHERTEXT.replace("ZGVm", "ZGVn");
        assert_eq!(open_v1(&master(sample::KEY), &changed), Err(LegacyError::DoesNotOpen));
    }

    #[test]
    fn every_other_form_is_refused_by_name() {
        let cases = [
            ("", LegacyError::NotV1),
            ("v2:AAAA", LegacyError::NotV1),
            ("v1:***", LegacyError::NotBase64),
            ("v1:", LegacyError::TooShort),
            ("v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", LegacyError::TooShort),
        ];
        for (ciphertext, error) in cases {
            assert_eq!(open_v1(&master(sample::KEY), ciphertext), Err(error), "{ciphertext}");
        }
    }
}
