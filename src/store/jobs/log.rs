//! Log lines of jobs, kept as long as they are. Lines of a job are numbered from 1 without a hole.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::super::codec;
use super::super::error::StoreError;
use super::super::schema::Rows;
use super::super::tables::Tables;
use super::index::numbered_key;
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::log::{LogHead, LogLevel};

/// The table's name, which is part of what lines are sealed to.
pub const TABLE: &str = "job_logs.v1";

/// The field of a row that is sealed.
pub const SEALED: &str = "text";

/// A line as it is stored. Its head stands first, so that a search need not read the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// What searches look at.
    pub head: LogHead,
    /// The rest, sealed.
    pub sealed: Vec<u8>,
}

/// Which lines of a job are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this level only.
    pub level: Option<LogLevel>,
    /// Of this category only.
    pub category: Option<String>,
}

/// Some lines of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their numbers and rows, in the order in which they came.
    pub lines: Vec<(u64, LogRow)>,
    /// How many are wanted in all.
    pub total: u64,
}

/// What a job's lines come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there are.
    pub total: u64,
    /// How many of each level, in the order of [`LogLevel::ALL`].
    pub levels: [u64; LogLevel::ALL.len()],
    /// How many of each category.
    pub categories: BTreeMap<String, u64>,
    /// The earliest moment of one.
    pub first_at: Option<Timestamp>,
    /// The latest.
    pub last_at: Option<Timestamp>,
    /// The sum of their durations, in milliseconds.
    pub duration_ms: u64,
}

/// A line's key, which is part of what it is sealed to.
#[must_use]
pub fn place(id: JobId, number: u64) -> [u8; 24] {
    numbered_key(id, number)
}

/// Up to `limit` of the lines that are wanted, behind the first `offset` of them.
///
/// Without a wish it reads no more than that; with one it looks at the head of every line of the job.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn search(
    rows: &mut impl Rows,
    id: JobId,
    wanted: &Wanted,
    offset: u64,
    limit: usize,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    if wanted.is_every() {
        found.total = last(rows, id)?;
        let range = lines(id, offset);
        for row in rows.job_logs()?.range::<[u8; 24]>(range)?.take(limit) {
            let (key, value) = row?;
            let row = codec::decode(TABLE, value.value())?;
            found.lines.push((number(&key.value()), row));
        }
        return Ok(found);
    }
    for row in rows.job_logs()?.range::<[u8; 24]>(lines(id, 0))? {
        let (key, value) = row?;
        if !wanted.wants(&codec::decode(TABLE, value.value())?) {
            continue;
        }
        if found.total >= offset && found.lines.len() < limit {
            let row = codec::decode(TABLE, value.value())?;
            found.lines.push((number(&key.value()), row));
        }
        found.total += 1;
    }
    Ok(found)
}

/// What the lines of a job come to. It looks at the head of each.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn summary(rows: &mut impl Rows, id: JobId) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    for row in rows.job_logs()?.range::<[u8; 24]>(lines(id, 0))? {
        summary.add(codec::decode(TABLE, row?.1.value())?);
    }
    Ok(summary)
}

/// The number of a job's last line; 0 before the first, and for a job that is not there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn last(rows: &mut impl Rows, id: JobId) -> Result<u64, StoreError> {
    Ok(super::get(rows, id)?.map_or(0, |job| job.last_log))
}

impl Wanted {
    const fn is_every(&self) -> bool {
        self.level.is_none() && self.category.is_none()
    }

    fn wants(&self, head: &LogHead) -> bool {
        self.level.is_none_or(|level| head.level == level)
            && self.category.as_ref().is_none_or(|category| head.category == *category)
    }
}

impl Summary {
    fn add(&mut self, head: LogHead) {
        self.total += 1;
        if let Some(count) = self.levels.get_mut(head.level as usize) {
            *count += 1;
        }
        *self.categories.entry(head.category).or_default() += 1;
        self.first_at = Some(self.first_at.map_or(head.at, |first| first.min(head.at)));
        self.last_at = Some(self.last_at.map_or(head.at, |last| last.max(head.at)));
        self.duration_ms = self.duration_ms.saturating_add(head.duration_ms.unwrap_or(0));
    }
}

impl Tables<'_> {
    /// Adds lines to a job, the first of them with this number. Returns whether the job is still there.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be written, or when that is not the next number: lines are sealed to theirs.
    pub fn add_lines(&mut self, id: JobId, first: u64, rows: &[LogRow]) -> Result<bool, StoreError> {
        let Some(mut job) = super::get(self.view(), id)? else {
            return Ok(false);
        };
        if job.last_log + 1 != first {
            return Err(StoreError::corrupt(TABLE, format!("line {first} is not the next one")));
        }
        for row in rows {
            job.last_log += 1;
            let value = codec::encode(TABLE, row)?;
            self.opened()
                .job_logs()?
                .insert(numbered_key(id, job.last_log), value.as_slice())?;
        }
        let value = codec::encode(super::TABLE, &job)?;
        self.opened()
            .jobs()?
            .insert(id.bits().to_be_bytes(), value.as_slice())?;
        Ok(true)
    }
}

/// Where the lines of a job behind a number lie.
fn lines(id: JobId, behind: u64) -> (Bound<[u8; 24]>, Bound<[u8; 24]>) {
    let first = Bound::Excluded(numbered_key(id, behind));
    (first, Bound::Included(numbered_key(id, u64::MAX)))
}

fn number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.last_chunk().copied().unwrap_or_default())
}
