//! What happened to jobs, kept as long as they are.

use std::ops::Bound;

use redb::ReadableTable;

use super::super::codec;
use super::super::error::StoreError;
use super::super::schema::Rows;
use super::super::tables::Tables;
use super::index::numbered_key;
use crate::model::id::JobId;
use crate::model::job::event::JobEvent;

const TABLE: &str = "job_events.v1";

/// Up to `limit` events of a job behind a sequence number, in their order.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn after(rows: &mut impl Rows, id: JobId, seq: u64, limit: usize) -> Result<Vec<(u64, JobEvent)>, StoreError> {
    let range = (
        Bound::Excluded(numbered_key(id, seq)),
        Bound::Included(numbered_key(id, u64::MAX)),
    );
    rows.job_events()?
        .range::<[u8; 24]>(range)?
        .take(limit)
        .map(|row| {
            let (key, value) = row?;
            let seq = u64::from_be_bytes(key.value().last_chunk().copied().unwrap_or_default());
            Ok((seq, codec::decode(TABLE, value.value())?))
        })
        .collect()
}

impl Tables<'_> {
    pub(super) fn put_event(&mut self, id: JobId, seq: u64, event: &JobEvent) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, event)?;
        self.opened()
            .job_events()?
            .insert(numbered_key(id, seq), value.as_slice())?;
        Ok(())
    }
}
