//! Jobs and their items, and the indexes by which they are found.
//!
//! An index row follows from the row it leads to, and is only ever changed together with it, by [`Edit`]. What may be
//! taken, what is due, how many stand how: all of it is looked up, never counted.

mod edit;
pub mod event;
mod forget;
pub mod index;
pub mod item;
pub mod key;
pub mod log;
pub mod queue;

use redb::ReadableTable;

pub use self::edit::{Closed, Edit, Ended, NewItem};

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use crate::model::id::JobId;
use crate::model::job::Job;

/// The table's name, which is part of what a job's private part is sealed to.
pub const TABLE: &str = "jobs.v1";

/// The field of a row that is sealed.
pub const SEALED: &str = "private";

/// One job, if it is there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, id: JobId) -> Result<Option<Job>, StoreError> {
    rows.jobs()?
        .get(id.bits().to_be_bytes())?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()
}

/// Up to `limit` jobs, newest first, those before `before` only.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn latest(rows: &mut impl Rows, before: JobId, limit: usize) -> Result<Vec<(JobId, Job)>, StoreError> {
    rows.jobs()?
        .range(..before.bits().to_be_bytes())?
        .rev()
        .take(limit)
        .map(|row| {
            let (key, value) = row?;
            let id = JobId::from_bits(u128::from_be_bytes(key.value()));
            Ok((id, codec::decode(TABLE, value.value())?))
        })
        .collect()
}
