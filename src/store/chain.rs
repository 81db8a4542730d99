//! The chain that makes the log book tamper-evident.
//!
//! Each entry's digest is an HMAC-SHA256, under a key sealed in the store, over its predecessor's digest, its own sequence
//! number and its bytes. The head {sequence, digest} is rewritten, with a MAC of its own, in every commit that adds to it;
//! pruning moves the anchor, which is the same for the end that entries are removed from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::crypto::digest::{Digest, DigestKey};
use crate::model::clock::Timestamp;

/// One end of the chain: the head (the last entry) or the anchor (the last pruned one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The entry's sequence number; 0 before the first.
    pub seq: u64,
    /// Its digest; all zero before the first.
    pub digest: Digest,
    /// When it was written.
    pub at: Timestamp,
}

/// A link as it is stored, with its own MAC.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Sealed {
    link: Link,
    mac: Digest,
}

impl Sealed {
    /// The link, without a look at its MAC.
    pub(super) const fn link(&self) -> Link {
        self.link
    }
}

/// Which end a link is, so that one cannot be passed off as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Head,
    Anchor,
}

/// The chain as the writer carries it: its key and its head.
#[derive(Clone)]
pub struct Chain {
    key: Arc<DigestKey>,
    head: Link,
    bytes: u64,
}

impl Link {
    /// The end of an empty chain.
    pub const START: Self = Self {
        seq: 0,
        digest: Digest::from_bytes([0; 32]),
        at: Timestamp::EPOCH,
    };
}

impl Chain {
    /// A chain that goes on after `head`, whose stored entries take `bytes`.
    #[must_use]
    pub const fn new(key: Arc<DigestKey>, head: Link, bytes: u64) -> Self {
        Self { key, head, bytes }
    }

    /// What its stored entries take, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Entries were stored.
    pub(super) fn grow(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Entries were removed.
    pub(super) fn shrink(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The last entry.
    #[must_use]
    pub const fn head(&self) -> Link {
        self.head
    }

    /// The key it is made with.
    pub(super) fn key(&self) -> Arc<DigestKey> {
        Arc::clone(&self.key)
    }

    /// Adds an entry's canonical bytes and becomes its link.
    pub fn extend(&mut self, canonical: &[u8], at: Timestamp) -> Link {
        let seq = self.head.seq + 1;
        let digest = self.key.of(
            "audit entry",
            &[self.head.digest.as_bytes(), &seq.to_be_bytes(), canonical],
        );
        self.head = Link { seq, digest, at };
        self.head
    }

    pub(super) fn seal(&self, end: End, link: Link) -> Sealed {
        Sealed {
            link,
            mac: self.mac(end, &link),
        }
    }

    /// The link, if its MAC holds.
    pub(super) fn open(&self, end: End, sealed: &Sealed) -> Option<Link> {
        self.mac(end, &sealed.link).ct_eq(&sealed.mac).then_some(sealed.link)
    }

    fn mac(&self, end: End, link: &Link) -> Digest {
        let domain = match end {
            End::Head => "audit head",
            End::Anchor => "audit anchor",
        };
        let at = link.at.as_micros().to_be_bytes();
        self.key
            .of(domain, &[&link.seq.to_be_bytes(), link.digest.as_bytes(), &at])
    }
}
