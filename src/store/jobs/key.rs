//! Idempotency keys with which jobs were submitted. One lives as long as its job is kept, and is free when it has expired.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::super::codec;
use super::super::error::StoreError;
use super::super::schema::Rows;
use super::super::tables::Tables;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;

const TABLE: &str = "job_keys.v1";

/// One key in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobKey {
    /// Keyed digest of what was submitted: the same key with something else is a conflict.
    pub fingerprint: [u8; 32],
    /// The job.
    pub job: JobId,
    /// When it may be used again.
    pub expires_at: Timestamp,
}

/// The use of a key, if it is in use.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, key: &[u8; 32]) -> Result<Option<JobKey>, StoreError> {
    rows.job_keys()?
        .get(key)?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()
}

/// When the key expires that expires last. It reads every row.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub(in crate::store) fn last_expiry(rows: &mut impl Rows) -> Result<Option<Timestamp>, StoreError> {
    let mut last = None;
    for row in rows.job_keys()?.iter()? {
        let usage: JobKey = codec::decode(TABLE, row?.1.value())?;
        last = last.max(Some(usage.expires_at));
    }
    Ok(last)
}

impl Tables<'_> {
    /// Marks a key as used.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_job_key(&mut self, key: &[u8; 32], usage: &JobKey) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, usage)?;
        self.opened().job_keys()?.insert(key, value.as_slice())?;
        Ok(())
    }
}
