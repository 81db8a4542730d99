//! Keys of one purpose: the newest, and those that it replaced while something of theirs is left.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::crypto::seal::{Place, SealError, SealKey};

/// The keys of one purpose. Clones share them: whoever holds one sees a replacement with its next use.
pub struct Ring<K>(Arc<ArcSwap<Versions<K>>>);

/// The keys of one purpose at one moment, the newest first. There is always one.
pub struct Versions<K> {
    newest: Arc<K>,
    older: Vec<Arc<K>>,
}

/// What re-sealing found of a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is sealed under the newest key already.
    Current,
    /// It was sealed under an older key; this is it under the newest.
    Anew(Vec<u8>),
}

impl<K> Ring<K> {
    /// A ring of these keys.
    #[must_use]
    pub fn new(versions: Versions<K>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(versions)))
    }

    /// The key that everything new is made with.
    #[must_use]
    pub fn newest(&self) -> Arc<K> {
        Arc::clone(&self.0.load().newest)
    }

    /// All keys, as they are now.
    #[must_use]
    pub fn versions(&self) -> Arc<Versions<K>> {
        self.0.load_full()
    }

    /// Whether these are still the keys.
    #[must_use]
    pub fn is_at(&self, versions: &Arc<Versions<K>>) -> bool {
        Arc::ptr_eq(&self.0.load(), versions)
    }

    /// Puts these keys in the place of what there is, for every clone.
    pub(super) fn install(&self, versions: Versions<K>) {
        self.0.store(Arc::new(versions));
    }
}

impl<K> Versions<K> {
    /// One key, which has replaced no other.
    #[must_use]
    pub fn only(newest: K) -> Self {
        Self {
            newest: Arc::new(newest),
            older: Vec::new(),
        }
    }

    /// These and a newer one.
    pub(super) fn and(&self, newest: K) -> Self {
        Self {
            newest: Arc::new(newest),
            older: self.iter().map(Arc::clone).collect(),
        }
    }

    /// The newest alone.
    pub(super) fn settled(&self) -> Self {
        Self {
            newest: Arc::clone(&self.newest),
            older: Vec::new(),
        }
    }

    /// From keys that stand newest first; `None` where there is none.
    pub(super) fn from_newest(keys: impl IntoIterator<Item = K>) -> Option<Self> {
        let mut keys = keys.into_iter().map(Arc::new);
        Some(Self {
            newest: keys.next()?,
            older: keys.collect(),
        })
    }

    /// Every key, the newest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<K>> + Clone {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// The newest.
    #[must_use]
    pub const fn newest(&self) -> &Arc<K> {
        &self.newest
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        1 + self.older.len()
    }

    /// Whether an older key is still of use.
    #[must_use]
    pub const fn is_changing(&self) -> bool {
        !self.older.is_empty()
    }
}

impl Ring<SealKey> {
    /// Seals under the newest key. As [`SealKey::seal`].
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, EntropyError> {
        self.newest().seal(place, plaintext, entropy)
    }

    /// Opens what any of the keys sealed for this place. A sealed secret does not name its key: each is tried, and a
    /// wrong one fails by the tag.
    ///
    /// # Errors
    /// [`SealError`] for what none of them sealed here.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let versions = self.versions();
        versions
            .iter()
            .find_map(|key| key.open(place, sealed).ok())
            .ok_or(SealError)
    }

    /// Opens a secret, and seals it anew where it is not under the newest key.
    ///
    /// # Errors
    /// [`RenewError::Seal`] for what no key opens here, [`RenewError::Entropy`] as [`Entropy::fill`].
    pub fn renew(&self, place: &Place<'_>, sealed: &[u8], entropy: &dyn Entropy) -> Result<Renewal, RenewError> {
        let versions = self.versions();
        if versions.newest.open(place, sealed).is_ok() {
            return Ok(Renewal::Current);
        }
        let older = versions.older.iter();
        let plaintext = older.clone().find_map(|key| key.open(place, sealed).ok());
        let plaintext = plaintext.ok_or(SealError)?;
        Ok(Renewal::Anew(versions.newest.seal(place, &plaintext, entropy)?))
    }
}

impl Ring<DigestKey> {
    /// The digest of `parts` under the newest key. As [`DigestKey::of`].
    #[must_use]
    pub fn of(&self, domain: &'static str, parts: &[&[u8]]) -> Digest {
        self.0.load().newest.of(domain, parts)
    }
}

/// A secret that could not be sealed anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// It does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No randomness for its salt.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl<K> Clone for Ring<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Clone for Versions<K> {
    fn clone(&self) -> Self {
        Self {
            newest: Arc::clone(&self.newest),
            older: self.older.clone(),
        }
    }
}

impl<K> fmt::Debug for Ring<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring(…)")
    }
}

impl<K> fmt::Debug for Versions<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Versions(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::OsEntropy;
    use crate::crypto::seal::StoreId;

    fn seal_key(byte: u8) -> SealKey {
        SealKey::from_bytes(Zeroizing::new([byte; 32]))
    }

    fn place() -> Place<'static> {
        Place::of_row(StoreId::from_bytes([1; 16]), "replies", b"7", "reply")
    }

    #[test]
    fn what_an_older_key_sealed_opens_as_long_as_the_key_is_kept() {
        let ring = Ring::new(Versions::only(seal_key(1)));
        let sealed = ring.seal(&place(), b"reply", &OsEntropy).unwrap();
        let shared = ring.clone();

        ring.install(ring.versions().and(seal_key(2)));
        assert_eq!(shared.open(&place(), &sealed).unwrap().as_slice(), b"reply");

        ring.install(ring.versions().settled());
        assert_eq!(shared.open(&place(), &sealed), Err(SealError));
    }

    #[test]
    fn renewing_moves_a_secret_to_the_newest_key_once() {
        let ring = Ring::new(Versions::only(seal_key(1)));
        let sealed = ring.seal(&place(), b"reply", &OsEntropy).unwrap();
        ring.install(ring.versions().and(seal_key(2)));

        let Renewal::Anew(anew) = ring.renew(&place(), &sealed, &OsEntropy).unwrap() else {
            panic!("it was under the older key")
        };

        assert_eq!(ring.renew(&place(), &anew, &OsEntropy), Ok(Renewal::Current));
        ring.install(ring.versions().settled());
        assert_eq!(ring.open(&place(), &anew).unwrap().as_slice(), b"reply");
        let lost = ring.renew(&place(), &sealed, &OsEntropy);
        assert_eq!(lost, Err(RenewError::Seal(SealError)));
    }

    #[test]
    fn a_snapshot_knows_whether_it_is_still_current() {
        let ring = Ring::new(Versions::only(seal_key(1)));
        let before = ring.versions();
        assert!(ring.is_at(&before) && !before.is_changing());

        ring.install(before.and(seal_key(2)));

        assert!(!ring.is_at(&before));
        assert_eq!(ring.versions().count(), 2);
        assert!(ring.versions().is_changing());
    }
}
