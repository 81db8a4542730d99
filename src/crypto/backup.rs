//! What authenticates a backup: whoever lacks the master key can neither make one nor change one.

use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::{StoreId, derive};

/// The key that authenticates the backups of one store: HKDF of the master key and the store's id.
#[derive(Clone, Debug)]
pub struct BackupKey {
    frames: DigestKey,
    check: [u8; 8],
}

impl BackupKey {
    /// Of one store under one master key.
    #[must_use]
    pub fn new(master: &MasterKey, store: StoreId) -> Self {
        let salt = store.as_bytes();
        Self {
            frames: DigestKey::from_bytes(derive(master.as_bytes(), salt, "tollgate backup")),
            check: *derive(master.as_bytes(), salt, "tollgate backup check"),
        }
    }

    /// Tells this key from others, and nothing about it: with it a wrong master key is told from damage.
    #[must_use]
    pub const fn check(&self) -> [u8; 8] {
        self.check
    }

    /// The tag of one frame of one backup: no frame can be changed, moved, or put into another backup.
    #[must_use]
    pub fn tag(&self, backup: &[u8; 16], number: u64, kind: u8, payload: &[u8]) -> Digest {
        self.frames
            .of("backup frame", &[backup, &number.to_be_bytes(), &[kind], payload])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8, store: u8) -> BackupKey {
        let text = data_encoding::BASE64.encode(&[byte; 32]);
        let master = MasterKey::from_base64(&text.into()).unwrap();
        BackupKey::new(&master, StoreId::from_bytes([store; 16]))
    }

    #[test]
    fn every_part_of_a_frame_counts() {
        let tags = [
            key(1, 1).tag(&[0; 16], 1, 2, b"rows"),
            key(2, 1).tag(&[0; 16], 1, 2, b"rows"),
            key(1, 2).tag(&[0; 16], 1, 2, b"rows"),
            key(1, 1).tag(&[1; 16], 1, 2, b"rows"),
            key(1, 1).tag(&[0; 16], 2, 2, b"rows"),
            key(1, 1).tag(&[0; 16], 1, 3, b"rows"),
            key(1, 1).tag(&[0; 16], 1, 2, b"row"),
        ];
        let distinct: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
        assert_ne!(key(1, 1).check(), key(2, 1).check());
        assert_ne!(key(1, 1).check(), key(1, 2).check());
    }
}
