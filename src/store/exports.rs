//! The days of the log book: which entries each has, and how far they are exported.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::audit::{self, Order};
use super::error::StoreError;
use super::meta;
use super::schema::Rows;
use super::tables::Tables;
use super::writer::Change;
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::day::Day;

/// Entries of the log book that follow each other without a gap; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The sequence number of the first.
    pub first: u64,
    /// The sequence number of the last.
    pub last: u64,
    /// The chain's digest of the entry before the first; all zero before entry 1.
    pub before: Digest,
    /// The chain's digest of the last.
    pub digest: Digest,
    /// When the last was written.
    pub at: Timestamp,
}

/// How far the log book is exported. A day is begun before its files are written, so that a day that is done again after
/// a crash has the same entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The files of this day are being written.
    Begun {
        /// The day.
        day: Day,
        /// Its first entry.
        first: u64,
        /// Its last entry.
        last: u64,
    },
    /// This day is exported, and with it everything before.
    Done {
        /// The day.
        day: Day,
        /// The last entry that is exported.
        last: u64,
    },
}

impl Progress {
    /// The last entry that is exported for certain.
    #[must_use]
    pub const fn through(self) -> u64 {
        match self {
            Self::Begun { first, .. } => first.saturating_sub(1),
            Self::Done { last, .. } => last,
        }
    }
}

/// Notes how far the log book is exported.
pub struct NoteProgress(pub Progress);

impl Change for NoteProgress {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_meta(meta::EXPORT, &self.0)
    }
}

/// How far the log book is exported, if an export ever began.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn progress(rows: &mut impl Rows) -> Result<Option<Progress>, StoreError> {
    meta::get(rows, meta::EXPORT)
}

/// The oldest entry that is kept, or one past the head where none is.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn first_kept(rows: &mut impl Rows) -> Result<u64, StoreError> {
    let first = rows.audit()?.first()?.map(|(seq, _)| seq.value());
    match first {
        Some(seq) => Ok(seq),
        None => Ok(audit::head(rows)?.seq + 1),
    }
}

/// What is kept of a day: every entry of it, none twice over all days, none left out between two.
///
/// The boundaries are found by bisection, as entries stand in the order of their moments. Where the wall clock was set
/// back, some lie in the day that their neighbours are of.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn day(rows: &mut impl Rows, day: Day) -> Result<Option<Span>, StoreError> {
    let first = first_since(rows, day.begins_at())?;
    let end = first_since(rows, day.ends_at())?;
    span(rows, first, end.saturating_sub(1))
}

/// The first kept entry that was written at `moment` or later, by bisection as in [`day`]; one past the head where there
/// is none.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn first_since(rows: &mut impl Rows, moment: Timestamp) -> Result<u64, StoreError> {
    let from = first_kept(rows)?;
    boundary(rows, from, moment)
}

/// The entries from `from` on that were written before `end`.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn until(rows: &mut impl Rows, from: u64, end: Timestamp) -> Result<Option<Span>, StoreError> {
    let from = from.max(first_kept(rows)?);
    let end = boundary(rows, from, end)?;
    span(rows, from, end.saturating_sub(1))
}

/// When an entry was written, if it is still there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn moment(rows: &mut impl Rows, seq: u64) -> Result<Option<Timestamp>, StoreError> {
    Ok(audit::get(rows, seq)?.map(|logged| logged.entry.at))
}

/// The entries `first` to `last`; `None` where that is none, or one of the ends is no longer kept.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn span(rows: &mut impl Rows, first: u64, last: u64) -> Result<Option<Span>, StoreError> {
    if first > last {
        return Ok(None);
    }
    let before = match first.checked_sub(1) {
        Some(0) => Some(Digest::from_bytes([0; 32])),
        Some(before) => audit::digest_at(rows, before)?,
        None => None,
    };
    let (Some(before), Some(ended)) = (before, audit::get(rows, last)?) else {
        return Ok(None);
    };
    Ok(Some(Span {
        first,
        last,
        before,
        digest: ended.digest,
        at: ended.entry.at,
    }))
}

/// The first entry at or after `from` that was written at `moment` or later; one past the head where there is none.
fn boundary(rows: &mut impl Rows, from: u64, moment: Timestamp) -> Result<u64, StoreError> {
    let (mut low, mut high) = (from, audit::head(rows)?.seq + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let page = audit::page(rows, middle, Order::Rising, 1)?;
        match page.first() {
            Some(logged) if logged.entry.at < moment => low = logged.seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
