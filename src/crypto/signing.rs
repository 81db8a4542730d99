//! Signatures that anybody can check: Ed25519 (RFC 8032) over the checkpoints of the log book.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::digest::DigestKey;
use super::seal::derive;

/// What a store signs its checkpoints with. Wiped when dropped, never printed.
pub struct CheckpointKey(SigningKey);

impl CheckpointKey {
    /// The key of a store: HKDF-SHA256 of its `id` key, which is never replaced, so that what was signed once can be
    /// checked with the same public key for as long as the store lives.
    #[must_use]
    pub fn derive(id: &DigestKey) -> Self {
        Self(SigningKey::from_bytes(&derive(
            id.as_bytes(),
            &[],
            "tollgate checkpoint",
        )))
    }

    /// What others check its signatures with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message`: the same message always gets the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message))
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckpointKey(…)")
    }
}

/// The public half of a [`CheckpointKey`], shown and parsed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Whether `signature` is one of this key over `message`, by the strict rules that leave no second reading.
    #[must_use]
    pub fn accepts(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(message, &signature.0).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits, as `tollgate audit checkpoint --public-key` prints them")]
pub struct ParsePublicKeyError;

impl FromStr for PublicKey {
    type Err = ParsePublicKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| ParsePublicKeyError)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| ParsePublicKeyError)?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| ParsePublicKeyError)
    }
}

/// A signature, shown and parsed as 128 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(ed25519_dalek::Signature);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0.to_bytes()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 128 lower-case hexadecimal digits")]
pub struct ParseSignatureError;

impl FromStr for Signature {
    type Err = ParseSignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| ParseSignatureError)?;
        let bytes: [u8; 64] = bytes.try_into().map_err(|_| ParseSignatureError)?;
        Ok(Self(ed25519_dalek::Signature::from_bytes(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn key(byte: u8) -> CheckpointKey {
        CheckpointKey::derive(&DigestKey::from_bytes(Zeroizing::new([byte; 32])))
    }

    #[test]
    fn the_key_is_hkdf_of_the_id_key() {
        // Computed with Python's hmac (HKDF-SHA256 without a salt) and OpenSSL.
        assert_eq!(key(7).public().to_string(), PUBLIC_OF_SEVEN);
        assert_ne!(key(8).public(), key(7).public());
    }

    #[test]
    fn a_signature_is_of_one_key_over_one_message() {
        let signature = key(7).sign(b"message");
        assert_eq!(key(7).sign(b"message"), signature);
        assert!(key(7).public().accepts(b"message", &signature));
        assert!(!key(7).public().accepts(b"messagf", &signature));
        assert!(!key(8).public().accepts(b"message", &signature));
    }

    #[test]
    fn public_keys_and_signatures_read_back_what_they_show_and_nothing_else() {
        let (public, signature) = (key(7).public(), key(7).sign(b"message"));
        assert_eq!(public.to_string().parse(), Ok(public));
        assert_eq!(signature.to_string().parse(), Ok(signature));
        assert!(public.to_string().to_uppercase().parse::<PublicKey>().is_err());
        // No point of the curve has this coordinate.
        assert!(format!("02{}", "0".repeat(62)).parse::<PublicKey>().is_err());
        assert!("".parse::<PublicKey>().is_err());
        assert!(public.to_string().parse::<Signature>().is_err());
    }

    #[test]
    fn a_checkpoint_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", key(7)), "CheckpointKey(…)");
    }

    const PUBLIC_OF_SEVEN: &str = "16434178f587cb242c3b4fdd2fdfed65e00ab95aeda7a14537e795cbd117516b";
}
