//! The chain that makes the log book tamper-evident.
//!
//! Each entry's digest is an HMAC-SHA256, under a key sealed in the store, over its predecessor's digest, its own sequence
//! number and its bytes. The head {sequence, digest} is rewritten, with a MAC of its own, in every commit that adds to it;
//! pruning moves the anchor, which is the same for the end that entries are removed from.
//!
//! When the key is replaced a new stretch begins behind the head of that moment. That head is kept as a turn, with a MAC
//! of the new key: whoever learns an old key later can still not rewrite what it vouched for.

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
    /// The last entry of a stretch.
    Turn,
}

/// Which key each stretch of the chain is made with.
#[derive(Clone, Debug)]
pub struct Stretches {
    first: Arc<DigestKey>,
    /// The last entry before each later stretch, and its key.
    later: Vec<(Link, Arc<DigestKey>)>,
}

/// The chain as the writer carries it: its keys and its head.
#[derive(Clone)]
pub struct Chain {
    stretches: Arc<Stretches>,
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

impl Stretches {
    /// One stretch, whose key was never replaced.
    #[must_use]
    pub const fn one(key: Arc<DigestKey>) -> Self {
        Self {
            first: key,
            later: Vec::new(),
        }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        1 + self.later.len()
    }

    /// The entries at which the key was replaced, in their order.
    pub(super) fn turns(&self) -> impl DoubleEndedIterator<Item = Link> {
        self.later.iter().map(|(turn, _)| *turn)
    }

    /// Adds a stretch behind `turn`, if the MAC under its key holds and it lies behind the one before.
    pub(super) fn add(&mut self, turn: &Sealed, key: Arc<DigestKey>) -> Option<()> {
        let rises = self.turns().next_back().is_none_or(|last| last.seq < turn.link.seq);
        let holds = mac(&key, End::Turn, &turn.link).ct_eq(&turn.mac);
        (rises && holds).then(|| self.later.push((turn.link, key)))
    }

    /// The key of the entry with this number.
    fn key_of(&self, seq: u64) -> &DigestKey {
        let stretch = self.later.iter().rev().find(|(turn, _)| turn.seq < seq);
        stretch.map_or(&self.first, |(_, key)| key)
    }

    /// A link with the MAC of its own stretch; of a turn, that of the stretch behind it.
    pub(super) fn seal(&self, end: End, link: Link) -> Sealed {
        let mac = mac(self.key_for(end, &link), end, &link);
        Sealed { link, mac }
    }

    /// The link, if its MAC holds.
    pub(super) fn open(&self, end: End, sealed: &Sealed) -> Option<Link> {
        let key = self.key_for(end, &sealed.link);
        mac(key, end, &sealed.link).ct_eq(&sealed.mac).then_some(sealed.link)
    }

    fn key_for(&self, end: End, link: &Link) -> &DigestKey {
        match end {
            End::Head | End::Anchor => self.key_of(link.seq),
            End::Turn => self.key_of(link.seq + 1),
        }
    }
}

impl Chain {
    /// A chain that goes on after `head`, whose stored entries take `bytes`.
    #[must_use]
    pub const fn new(stretches: Arc<Stretches>, head: Link, bytes: u64) -> Self {
        Self { stretches, head, bytes }
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

    /// Its keys.
    pub(super) fn stretches(&self) -> &Stretches {
        &self.stretches
    }

    /// What comes behind the head is made with another key.
    pub(super) fn turn(&mut self, key: Arc<DigestKey>) {
        Arc::make_mut(&mut self.stretches).later.push((self.head, key));
    }

    /// Adds an entry's canonical bytes and becomes its link.
    pub fn extend(&mut self, canonical: &[u8], at: Timestamp) -> Link {
        let seq = self.head.seq + 1;
        let digest = self.stretches.key_of(seq).of(
            "audit entry",
            &[self.head.digest.as_bytes(), &seq.to_be_bytes(), canonical],
        );
        self.head = Link { seq, digest, at };
        self.head
    }
}

fn mac(key: &DigestKey, end: End, link: &Link) -> Digest {
    let domain = match end {
        End::Head => "audit head",
        End::Anchor => "audit anchor",
        End::Turn => "audit turn",
    };
    let at = link.at.as_micros().to_be_bytes();
    key.of(domain, &[&link.seq.to_be_bytes(), link.digest.as_bytes(), &at])
}
