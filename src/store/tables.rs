//! What an apply may do: the tables of one write transaction, and the chain that goes on in it.

use std::sync::Arc;

use redb::WriteTransaction;

use super::chain::{Chain, End, Link, Sealed};
use super::error::StoreError;
use super::schema::{Opened, Rows};
use super::{audit, codec, meta};
use crate::crypto::digest::DigestKey;
use crate::crypto::keyring::{Keys, Versions};
use crate::model::clock::Timestamp;
use crate::model::record::{Entry, Event};

/// The tables of one write transaction.
pub struct Tables<'txn> {
    opened: Opened<'txn>,
    chain: Chain,
    /// The sequence number of the head before this transaction.
    before: u64,
    now: Timestamp,
    change: Change,
    keys: Option<Arc<Keys>>,
}

/// What holds once a transaction is committed.
pub(super) struct Finished {
    pub(super) chain: Chain,
    /// The data keys, where they were replaced.
    pub(super) keys: Option<Arc<Keys>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Some,
}

impl<'txn> Tables<'txn> {
    pub(super) fn new(txn: &'txn WriteTransaction, chain: Chain, now: Timestamp) -> Self {
        let before = chain.head().seq;
        Self {
            opened: Opened::new(txn),
            chain,
            before,
            now,
            change: Change::None,
            keys: None,
        }
    }

    /// The moment of this batch by the wall clock.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Reading: for plans, and within an apply where a change depends on what stands there.
    pub fn view(&mut self) -> &mut impl Rows {
        &mut self.opened
    }

    /// Writing, for the methods that each table's file adds.
    pub(super) fn opened(&mut self) -> &mut Opened<'txn> {
        self.change = Change::Some;
        &mut self.opened
    }

    /// Appends an entry to the log book and returns its sequence number.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn append(&mut self, event: Event) -> Result<u64, StoreError> {
        let now = self.now;
        let canonical = codec::encode(audit::TABLE, &Entry { at: now, event })?;
        let link = self.chain.extend(&canonical, now);
        let mut value = Vec::with_capacity(32 + canonical.len());
        value.extend_from_slice(link.digest.as_bytes());
        value.extend_from_slice(&canonical);
        self.opened().audit()?.insert(link.seq, value.as_slice())?;
        self.chain.grow(value.len() as u64);
        Ok(link.seq)
    }

    /// Makes a removed entry the anchor that the rest of the chain hangs on. `bytes` went with it and those before.
    pub(super) fn anchor(&mut self, through: Link, bytes: u64) -> Result<(), StoreError> {
        self.chain.shrink(bytes);
        let sealed = self.chain.stretches().seal(End::Anchor, through);
        self.put_meta(meta::ANCHOR, &sealed)
    }

    /// Replaces the data keys, as they are wrapped here. They hold from the commit on; a new key of the log book holds
    /// for the entries behind this commit's last.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_keys(&mut self, keys: Arc<Keys>, wrapped: &[u8]) -> Result<(), StoreError> {
        self.put_meta(meta::KEYRING, &wrapped)?;
        self.keys = Some(keys);
        Ok(())
    }

    /// Writes the head, and says what holds once this transaction is committed; `None` if nothing changed.
    pub(super) fn finish(mut self) -> Result<Option<Finished>, StoreError> {
        if self.change == Change::None {
            return Ok(None);
        }
        let head = self.chain.head();
        if head.seq != self.before {
            let sealed = self.chain.stretches().seal(End::Head, head);
            self.put_meta(meta::HEAD, &sealed)?;
            let bytes = self.chain.bytes();
            self.put_meta(meta::AUDIT_BYTES, &bytes)?;
        }
        if let Some(keys) = self.keys.clone() {
            self.turn(keys.audit())?;
        }
        Ok(Some(Finished {
            chain: self.chain,
            keys: self.keys,
        }))
    }

    /// Begins a new stretch of the chain, if there is a key for it.
    fn turn(&mut self, keys: &Versions<DigestKey>) -> Result<(), StoreError> {
        if keys.count() == self.chain.stretches().count() {
            return Ok(());
        }
        self.chain.turn(Arc::clone(keys.newest()));
        let stretches = self.chain.stretches();
        let turns: Vec<Sealed> = stretches.turns().map(|turn| stretches.seal(End::Turn, turn)).collect();
        self.put_meta(meta::TURNS, &turns)
    }
}
