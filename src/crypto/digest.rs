//! Keyed digests: they name a secret or a body without letting anyone guess it.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::entropy::{Entropy, EntropyError, random};
use crate::model::id::AccountId;

/// A digest of 32 bytes, shown and parsed as 64 lower-case hex digits.
///
/// `==` leaks by its time where two digests part. That is harmless for a table's key; where the other side must not
/// learn a digest by guessing, use [`Digest::ct_eq`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From its bytes, as they stand in a table.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for a table's key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are equal, in a time that does not depend on where they differ.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits")]
pub struct ParseDigestError;

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| ParseDigestError)?;
        bytes.try_into().map(Self).map_err(|_| ParseDigestError)
    }
}

/// A key for digests. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct DigestKey {
    bytes: Zeroizing<[u8; 32]>,
    /// HMAC with the key already absorbed: cloning it saves two of the four compressions of a short digest.
    keyed: Hmac<Sha256>,
}

impl DigestKey {
    /// From 32 random bytes, as the keyring unwrapped them.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let keyed = hmac_sha256(bytes.as_slice());
        Self { bytes, keyed }
    }

    /// A new random key.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        random(entropy).map(Zeroizing::new).map(Self::from_bytes)
    }

    /// The digest of `parts` for one purpose: HMAC-SHA256 over `domain` and each part, every one behind its length.
    ///
    /// The lengths keep `["ab", "c"]` and `["a", "bc"]` apart, the domain keeps two purposes of one key apart.
    #[must_use]
    pub fn of(&self, domain: &'static str, parts: &[&[u8]]) -> Digest {
        let mut mac = self.keyed.clone();
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            mac.update(&length_prefix(part));
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }

    /// The id of the account that a credential opens at an upstream: the same after a restart, so that its standing and
    /// its tasks are found again, and no help in guessing the credential. Of Volcengine's pairs the access key counts.
    #[must_use]
    pub fn account(&self, upstream: &str, credential: &str) -> AccountId {
        let digest = self.of("account", &[upstream.as_bytes(), credential.as_bytes()]);
        let first = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        AccountId::from_bits(u64::from_be_bytes(first))
    }

    /// The key itself, for wrapping it.
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(…)")
    }
}

/// The bare SHA-256 of `bytes`, as signatures need it. To store a digest of a body, use [`DigestKey::of`]: a bare hash
/// lets a reader of the store test guesses of a prompt.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA256 with `key` absorbed.
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(super) fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// The length of `part` as it stands before it in everything this module and [`super::seal`] authenticate.
pub(super) fn length_prefix(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> DigestKey {
        DigestKey::from_bytes(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_digest_is_hmac_sha256_over_length_prefixed_parts() {
        // Computed with Python's hmac and hashlib.
        let expected = "3cae71fe482a7687e52a2c6a19b7d3ed38ce42cc3a01b7edfff3478560e2aad7";
        assert_eq!(key(7).of("body", &[b"ab", b"c"]).to_string(), expected);
    }

    #[test]
    fn parts_domains_and_keys_are_never_confused() {
        let digests = [
            key(7).of("body", &[b"ab", b"c"]),
            key(7).of("body", &[b"a", b"bc"]),
            key(7).of("body", &[b"abc"]),
            key(7).of("body", &[b"abc", b""]),
            key(7).of("bodya", &[b"bc"]),
            key(8).of("body", &[b"abc"]),
        ];
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
    }

    #[test]
    fn an_account_is_named_by_the_first_eight_bytes_of_its_digest() {
        let digest = key(7).of("account", &[b"openai", b"sk-1"]).to_string();
        assert_eq!(
            key(7).account("openai", "sk-1").to_string(),
            format!("acc_{}", &digest[..16])
        );
        assert_ne!(key(7).account("openai", "sk-1"), key(7).account("megallm", "sk-1"));
    }

    #[test]
    fn a_digest_reads_back_what_it_shows_and_refuses_other_spellings() {
        let digest = key(1).of("token", &[b"x"]);
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text[1..].parse::<Digest>().is_err());
        assert!("".parse::<Digest>().is_err());
    }

    #[test]
    fn the_constant_time_comparison_agrees_with_equality() {
        let digest = key(1).of("token", &[b"x"]);
        assert!(digest.ct_eq(&key(1).of("token", &[b"x"])));
        assert!(!digest.ct_eq(&key(1).of("token", &[b"y"])));
    }

    #[test]
    fn a_digest_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", key(1)), "DigestKey(…)");
    }
}
