//! How far the replacement of the data keys has come: one row, written in the commits that it tells of.

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::meta;
use super::schema::Rows;
use super::sealed::{Position, Tally};
use super::tables::Tables;
use crate::model::clock::Timestamp;

/// The replacement of the data keys, from the commit that brought the new ones on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeying {
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Where it is.
    pub stage: Stage,
    /// How often the store was walked, this time included.
    pub pass: u32,
    /// How many rows this walk will look at, as counted at its beginning.
    pub rows: u64,
    /// What this walk has come to.
    pub tally: Tally,
    /// How many rows all walks have sealed anew.
    pub renewed: u64,
    /// Until when digests under the old keys may be asked for, once that is known.
    pub needed_until: Option<Timestamp>,
}

/// Where the replacement of the data keys is. Stored: variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The store is walked, and what lies behind this is still to be looked at.
    Walking(Position),
    /// A walk found nothing any more that an old key had sealed.
    Sealed,
    /// The old keys are kept for digests that may still be asked for.
    Waiting,
    /// The old keys are gone.
    Done(Timestamp),
}

impl Rekeying {
    /// One that begins now.
    #[must_use]
    pub fn begin(now: Timestamp, rows: u64) -> Self {
        Self {
            begun_at: now,
            stage: Stage::Walking(Position::START),
            pass: 1,
            rows,
            tally: Tally::default(),
            renewed: 0,
            needed_until: None,
        }
    }

    /// The most walks of one replacement. The second finds what was on its way when the keys came, and others hardly
    /// anything; a file whose pages are damaged may hide forever what was written into it.
    pub const MOST_PASSES: u32 = 16;

    /// Whether so many walks have found something to do that the file must be damaged: nothing more is done.
    #[must_use]
    pub const fn is_stuck(&self) -> bool {
        matches!(self.stage, Stage::Walking(_)) && self.pass > Self::MOST_PASSES
    }

    /// The store is walked once more.
    pub fn walk_again(&mut self) {
        self.stage = Stage::Walking(Position::START);
        self.pass = self.pass.saturating_add(1);
        self.rows = self.tally.seen;
        self.tally = Tally::default();
    }

    /// Takes in some steps of the walk. One that found something to do is followed by another, which finds what was sealed
    /// under an old key and written behind the walk's back.
    pub fn walked(&mut self, tally: Tally, next: Option<Position>) {
        self.tally.seen += tally.seen;
        self.tally.renewed += tally.renewed;
        self.tally.unreadable += tally.unreadable;
        self.renewed += tally.renewed;
        match next {
            Some(position) => self.stage = Stage::Walking(position),
            None if self.tally.renewed > 0 => self.walk_again(),
            None => self.stage = Stage::Sealed,
        }
    }
}

/// The last replacement of the data keys, if there ever was one.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows) -> Result<Option<Rekeying>, StoreError> {
    meta::get(rows, meta::REKEYING)
}

/// The latest moment at which an idempotency key expires that is in use, of calls or of jobs.
///
/// It reads one row for calls, and every row that a job's key has.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn last_expiry(rows: &mut impl Rows) -> Result<Option<Timestamp>, StoreError> {
    let calls = super::idempotency::last_expiry(rows)?;
    let jobs = super::jobs::key::last_expiry(rows)?;
    Ok(calls.max(jobs))
}

impl Tables<'_> {
    /// Notes how far it has come.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_rekeying(&mut self, rekeying: &Rekeying) -> Result<(), StoreError> {
        self.put_meta(meta::REKEYING, rekeying)
    }
}
