//! Idempotency keys in use and the replies kept for them.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use super::{codec, meta};
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::outcome::Outcome;

const TABLE: &str = "idempotency.v1";

/// The table of kept replies, whose name is part of what they are sealed to.
pub const REPLIES: &str = "replies.v1";

/// The field that a reply is sealed as.
pub const REPLY: &str = "reply";

/// One idempotency key in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// Digest of operation and body: the same key with another one is a conflict.
    pub fingerprint: Digest,
    /// The intent it is used for.
    pub intent: u64,
    /// What is known of it.
    pub fate: Fate,
    /// When it may be used again.
    pub expires_at: Timestamp,
}

/// What a repeat of the key can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// The call is on its way; of an older boot, nobody knows.
    Open,
    /// It ended, and its reply is kept.
    Kept(Outcome),
    /// It ended, but its reply was too large to keep, or was never seen.
    NotKept(Outcome),
    /// Nobody knows how it ended.
    Unknown,
}

/// The use of a key, if it is in use.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, key: &Digest) -> Result<Option<KeyUse>, StoreError> {
    rows.idempotency()?
        .get(key.as_bytes())?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()
}

/// A kept reply, sealed.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn reply(rows: &mut impl Rows, intent: u64) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(rows.replies()?.get(intent)?.map(|row| row.value().to_vec()))
}

/// Bytes that all kept replies take.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn reply_bytes(rows: &mut impl Rows) -> Result<u64, StoreError> {
    Ok(meta::get(rows, meta::REPLY_BYTES)?.unwrap_or(0))
}

/// When the key in use expires that expires last.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub(super) fn last_expiry(rows: &mut impl Rows) -> Result<Option<Timestamp>, StoreError> {
    let last = rows.idempotency_expiry()?.last()?.map(|(key, _)| key.value());
    let micros = last.and_then(|key| key.first_chunk().copied()).map(i64::from_be_bytes);
    Ok(micros.map(Timestamp::from_micros))
}

/// The use of a key that is stored under one of these digests, if it is in use.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn find(rows: &mut impl Rows, keys: &[Digest]) -> Result<Option<(Digest, KeyUse)>, StoreError> {
    for key in keys {
        if let Some(usage) = get(rows, key)? {
            return Ok(Some((*key, usage)));
        }
    }
    Ok(None)
}

fn expiry_key(expires_at: Timestamp, key: &Digest) -> [u8; 40] {
    let mut bytes = [0; 40];
    let (time, digest) = bytes.split_at_mut(8);
    time.copy_from_slice(&expires_at.as_micros().max(0).to_be_bytes());
    digest.copy_from_slice(key.as_bytes());
    bytes
}

impl Tables<'_> {
    /// Marks a key as used, or changes what is known of its use.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be written.
    pub fn put_key_use(&mut self, key: &Digest, usage: &KeyUse) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, usage)?;
        self.opened().idempotency()?.insert(key.as_bytes(), value.as_slice())?;
        self.opened()
            .idempotency_expiry()?
            .insert(&expiry_key(usage.expires_at, key), [].as_slice())?;
        Ok(())
    }

    /// Frees a key, and forgets the reply kept for it.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be written.
    pub fn free_key(&mut self, key: &Digest) -> Result<(), StoreError> {
        let Some(usage) = get(self.view(), key)? else {
            return Ok(());
        };
        self.opened().idempotency()?.remove(key.as_bytes())?;
        self.opened()
            .idempotency_expiry()?
            .remove(&expiry_key(usage.expires_at, key))?;
        self.drop_reply(usage.intent)
    }

    /// Keeps a sealed reply.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be written.
    pub fn put_reply(&mut self, intent: u64, sealed: &[u8]) -> Result<(), StoreError> {
        self.drop_reply(intent)?;
        self.opened().replies()?.insert(intent, sealed)?;
        let total = reply_bytes(self.view())? + sealed.len() as u64;
        self.put_meta(meta::REPLY_BYTES, &total)
    }

    fn drop_reply(&mut self, intent: u64) -> Result<(), StoreError> {
        let dropped = self
            .opened()
            .replies()?
            .remove(intent)?
            .map(|row| row.value().len() as u64);
        match dropped {
            Some(bytes) => {
                let total = reply_bytes(self.view())?.saturating_sub(bytes);
                self.put_meta(meta::REPLY_BYTES, &total)
            }
            None => Ok(()),
        }
    }

    /// Frees up to `limit` keys that expired before `now`. A key whose call is still open is left alone.
    ///
    /// Returns how many it looked at.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn expire_keys(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let end = expiry_key(now, &Digest::from_bytes([0; 32]));
        let mut due = Vec::new();
        for row in self.opened().idempotency_expiry()?.range(..end)?.take(limit) {
            due.push(row?.0.value());
        }
        for expiry in &due {
            let digest = expiry
                .last_chunk::<32>()
                .map_or(Digest::from_bytes([0; 32]), |bytes| Digest::from_bytes(*bytes));
            self.opened().idempotency_expiry()?.remove(expiry)?;
            match get(self.view(), &digest)? {
                Some(usage) if usage.expires_at < now && usage.fate != Fate::Open => self.free_key(&digest)?,
                _ => {}
            }
        }
        Ok(due.len())
    }
}
