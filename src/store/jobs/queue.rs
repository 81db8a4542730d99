//! How each queue stands.

use redb::ReadableTable;

use super::super::codec;
use super::super::error::StoreError;
use super::super::schema::Rows;
use super::super::tables::Tables;
use crate::model::job::QueueName;
use crate::model::job::queue::{QueueMode, QueueRow};

const TABLE: &str = "queues.v1";

/// How a queue stands; one that nothing was ever put into is open and empty.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, queue: &QueueName) -> Result<QueueRow, StoreError> {
    let row = rows
        .queues()?
        .get(queue.as_str())?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()?;
    Ok(row.unwrap_or_default())
}

/// Every queue that something was ever put into, or that was paused.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<(QueueName, QueueRow)>, StoreError> {
    rows.queues()?
        .iter()?
        .map(|row| {
            let (key, value) = row?;
            let name = key.value().parse().map_err(|error| StoreError::corrupt(TABLE, error))?;
            Ok((name, codec::decode(TABLE, value.value())?))
        })
        .collect()
}

impl Tables<'_> {
    /// Changes what is done with a queue's items. Returns how it stands then.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn set_queue_mode(&mut self, queue: &QueueName, mode: QueueMode) -> Result<QueueRow, StoreError> {
        let mut row = get(self.view(), queue)?;
        row.mode = mode;
        self.put_queue(queue, &row)?;
        Ok(row)
    }

    pub(super) fn put_queue(&mut self, queue: &QueueName, row: &QueueRow) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, row)?;
        self.opened().queues()?.insert(queue.as_str(), value.as_slice())?;
        Ok(())
    }
}
