//! The log book's rows: written by `Tables::append`, read by page, verified from anchor to head, pruned from the old end.

use std::sync::Arc;

use redb::ReadableTable;

use super::chain::{Chain, End, Link, Sealed, Stretches};
use super::codec;
use super::error::StoreError;
use super::meta;
use super::schema::Rows;
use super::tables::Tables;
use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::keyring::Ring;
use crate::model::record::{Entry, Event, Pruned};

pub(super) const TABLE: &str = "audit.v1";

/// One entry with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its sequence number, without gaps.
    pub seq: u64,
    /// Its digest in the chain.
    pub digest: Digest,
    /// What it tells.
    pub entry: Entry,
}

/// Bytes that all entries take.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn bytes(rows: &mut impl Rows) -> Result<u64, StoreError> {
    Ok(meta::get(rows, meta::AUDIT_BYTES)?.unwrap_or(0))
}

/// Which way a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Rising,
    /// Newest first.
    Falling,
}

/// What verifying the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry from anchor to head hangs on the one before.
    Intact {
        /// The first entry that is still there, or one past the head.
        first: u64,
        /// The head.
        head: Link,
    },
    /// The chain is broken.
    Broken {
        /// The first entry that does not hang on the one before.
        at: u64,
        /// What is wrong there.
        why: &'static str,
    },
}

fn split(seq: u64, value: &[u8]) -> Result<(Digest, &[u8]), StoreError> {
    let (digest, canonical) = value
        .split_first_chunk::<32>()
        .ok_or_else(|| StoreError::corrupt(TABLE, format!("entry {seq} is cut short")))?;
    Ok((Digest::from_bytes(*digest), canonical))
}

/// Up to `limit` entries from `from` on, in the order asked for. `from` itself is included.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn page(rows: &mut impl Rows, from: u64, order: Order, limit: usize) -> Result<Vec<Logged>, StoreError> {
    let table = rows.audit()?;
    let decode =
        |row: Result<(redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, &'static [u8]>), redb::StorageError>| {
            let (seq, value) = row?;
            let (digest, canonical) = split(seq.value(), value.value())?;
            Ok(Logged {
                seq: seq.value(),
                digest,
                entry: codec::decode(TABLE, canonical)?,
            })
        };
    match order {
        Order::Rising => table.range(from..)?.take(limit).map(decode).collect(),
        Order::Falling => table.range(..=from)?.rev().take(limit).map(decode).collect(),
    }
}

/// One entry, if it is still there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, seq: u64) -> Result<Option<Logged>, StoreError> {
    Ok(page(rows, seq, Order::Rising, 1)?
        .into_iter()
        .find(|logged| logged.seq == seq))
}

/// The digest of an entry: of one that is kept, or of the last that was pruned.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn digest_at(rows: &mut impl Rows, seq: u64) -> Result<Option<Digest>, StoreError> {
    if let Some(value) = rows.audit()?.get(seq)? {
        return split(seq, value.value()).map(|(digest, _)| Some(digest));
    }
    let anchor = meta::get::<Sealed>(rows, meta::ANCHOR)?.map(|sealed| sealed.link());
    Ok(anchor.filter(|anchor| anchor.seq == seq).map(|anchor| anchor.digest))
}

/// The head as it stands, without a look at its MAC.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn head(rows: &mut impl Rows) -> Result<Link, StoreError> {
    Ok(meta::get::<Sealed>(rows, meta::HEAD)?.map_or(Link::START, |sealed| sealed.link()))
}

/// The stretches of the chain and the turns between them, if the turns' MACs hold.
///
/// A key is on the disk a moment before it is in the ring, and nothing is made with it before: a last turn without a key
/// has nothing behind it yet.
pub(super) fn stretches(rows: &mut impl Rows, ring: &Ring<DigestKey>) -> Result<Option<Stretches>, StoreError> {
    let turns: Vec<Sealed> = meta::get(rows, meta::TURNS)?.unwrap_or_default();
    let versions = ring.versions();
    let mut keys = versions.iter().rev().map(Arc::clone);
    let Some(first) = keys.next() else { return Ok(None) };
    let mut stretches = Stretches::one(first);
    for (turn, key) in turns.iter().zip(keys) {
        if stretches.add(turn, key).is_none() {
            return Ok(None);
        }
    }
    Ok(Some(stretches))
}

/// What the chain is made of, if the MACs of its turns and ends hold.
pub(super) struct Ends {
    pub(super) stretches: Stretches,
    pub(super) head: Link,
    pub(super) anchor: Link,
}

/// The head and the anchor, if their MACs hold.
pub(super) fn ends(rows: &mut impl Rows, ring: &Ring<DigestKey>) -> Result<Option<Ends>, StoreError> {
    let Some(stretches) = stretches(rows, ring)? else {
        return Ok(None);
    };
    let mut end = |name, end| -> Result<Option<Link>, StoreError> {
        Ok(match meta::get::<Sealed>(rows, name)? {
            Some(sealed) => stretches.open(end, &sealed),
            None => Some(Link::START),
        })
    };
    let anchor = end(meta::ANCHOR, End::Anchor)?;
    let head = end(meta::HEAD, End::Head)?;
    Ok(anchor.zip(head).map(|(anchor, head)| Ends {
        stretches,
        head,
        anchor,
    }))
}

/// Whether the last entry is the one the head names. Costs one look-up, so it is done at every start.
pub(super) fn head_matches(rows: &mut impl Rows, head: Link, anchor: Link) -> Result<bool, StoreError> {
    let last = match rows.audit()?.last()? {
        Some((seq, value)) => (seq.value(), split(seq.value(), value.value())?.0),
        None => (anchor.seq, anchor.digest),
    };
    Ok(last == (head.seq, head.digest))
}

/// Walks the chain one step at a time, so that a long book is verified in short reads.
#[derive(Clone)]
pub struct Walk {
    ring: Ring<DigestKey>,
    chain: Chain,
    head: Link,
    first: u64,
}

impl Walk {
    /// Begins at the anchor.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read. A head or anchor whose MAC does not hold is a verdict.
    pub fn begin(rows: &mut impl Rows, ring: &Ring<DigestKey>) -> Result<Result<Self, Verdict>, StoreError> {
        let Some(Ends {
            stretches,
            head,
            anchor,
        }) = ends(rows, ring)?
        else {
            return Ok(Err(Verdict::Broken {
                at: 0,
                why: "the head or the anchor does not carry our MAC",
            }));
        };
        Ok(Ok(Self {
            ring: ring.clone(),
            chain: Chain::new(Arc::new(stretches), anchor, 0),
            head,
            first: anchor.seq + 1,
        }))
    }

    /// How far it has come, and where it will end.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        (self.chain.head().seq, self.head.seq)
    }

    /// Checks up to `limit` more entries.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read.
    pub fn step(&mut self, rows: &mut impl Rows, limit: usize) -> Result<Option<Verdict>, StoreError> {
        let start = self.chain.head().seq + 1;
        let mut seen = 0;
        for row in rows.audit()?.range(start..=self.head.seq.max(start))?.take(limit) {
            let (seq, value) = row?;
            let seq = seq.value();
            if seq > self.head.seq {
                break;
            }
            let expected = self.chain.head().seq + 1;
            if seq != expected {
                return Ok(Some(Verdict::Broken {
                    at: expected,
                    why: "the entry is missing",
                }));
            }
            let Ok((digest, canonical)) = split(seq, value.value()) else {
                return Ok(Some(Verdict::Broken {
                    at: seq,
                    why: "the entry is cut short",
                }));
            };
            let link = self.chain.extend(canonical, self.head.at);
            if !link.digest.ct_eq(&digest) {
                return Ok(Some(Verdict::Broken {
                    at: seq,
                    why: "the entry does not hang on the one before it",
                }));
            }
            let turns = &mut self.chain.stretches().turns();
            if turns.any(|turn| turn.seq == seq && turn.digest != digest) {
                return Ok(Some(Verdict::Broken {
                    at: seq,
                    why: "the entry is not the one at which the key was replaced",
                }));
            }
            seen += 1;
        }
        let reached = self.chain.head();
        if seen == limit && reached.seq < self.head.seq {
            return Ok(None);
        }
        Ok(Some(self.conclude(rows)?))
    }

    fn conclude(&self, rows: &mut impl Rows) -> Result<Verdict, StoreError> {
        let reached = self.chain.head();
        if reached.seq != self.head.seq {
            return Ok(Verdict::Broken {
                at: reached.seq + 1,
                why: "the entry is missing",
            });
        }
        if reached.digest != self.head.digest {
            return Ok(Verdict::Broken {
                at: reached.seq,
                why: "the last entry is not the one the head names",
            });
        }
        // Entries past the head are only those written since this walk began.
        let newer = rows
            .audit()?
            .range(self.head.seq + 1..)?
            .next()
            .transpose()?
            .map(|(seq, _)| seq.value());
        let Some(Ends { head: now, .. }) = ends(rows, &self.ring)? else {
            return Ok(Verdict::Broken {
                at: self.head.seq,
                why: "the head or the anchor does not carry our MAC",
            });
        };
        match newer {
            Some(seq) if now.seq < seq => Ok(Verdict::Broken {
                at: seq,
                why: "the entry lies beyond the head",
            }),
            _ => Ok(Verdict::Intact {
                first: self.first,
                head: self.head,
            }),
        }
    }
}

impl Tables<'_> {
    /// Removes up to `limit` of the oldest entries that `may_go` lets go by number, content and size, and records that
    /// they went.
    ///
    /// It stops at the first entry that must stay, so the book never has a hole. Returns how many went.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn prune_audit(
        &mut self,
        limit: usize,
        mut may_go: impl FnMut(u64, &Entry, u64) -> bool,
    ) -> Result<u64, StoreError> {
        let mut last = None;
        let mut count = 0;
        let mut bytes = 0;
        for row in self.opened().audit()?.range::<u64>(..)?.take(limit) {
            let (seq, value) = row?;
            let (digest, canonical) = split(seq.value(), value.value())?;
            let entry: Entry = codec::decode(TABLE, canonical)?;
            let size = value.value().len() as u64;
            if !may_go(seq.value(), &entry, size) {
                break;
            }
            count += 1;
            bytes += size;
            last = Some(Link {
                seq: seq.value(),
                digest,
                at: entry.at,
            });
        }
        let Some(last) = last else { return Ok(0) };
        self.opened().audit()?.retain_in(..=last.seq, |_, _| false)?;
        self.forget_doubts(last.seq)?;
        self.anchor(last, bytes)?;
        self.append(Event::Pruned(Pruned {
            through: last.seq,
            digest: *last.digest.as_bytes(),
            count,
        }))?;
        Ok(count)
    }
}
