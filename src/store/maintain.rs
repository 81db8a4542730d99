//! Keeping the store within its bounds, a little at a time: no change holds the writer for more than some milliseconds.

use std::time::Duration;

use super::error::StoreError;
use super::tables::Tables;
use super::{Store, audit, exports, tasks, usage, writer::Change};
use crate::model::clock::Timestamp;
use crate::model::day::Day;

/// What is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries of the log book.
    pub audit: Duration,
    /// Bytes of the log book: above, the oldest go first, whatever their age.
    pub audit_bytes: u64,
    /// Rows of submits and their tasks.
    pub tasks: Duration,
    /// Whether entries wait until they are exported.
    pub exports: Exports,
}

/// Whether somebody takes the days of the log book elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exports {
    /// Nobody does.
    None,
    /// Each day once it has ended. What is old is kept until then; a log book that is too large cannot wait.
    Daily,
}

/// Where the sweep of submits goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep {
    after: [u8; 16],
}

impl Store {
    /// Frees what has expired at `now`. It runs until nothing more is due, in small changes.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    ///
    /// # Cancel safety
    /// Dropping the future stops between two changes.
    pub async fn retain(
        &self,
        retention: Retention,
        upstream: &'static str,
        now: Timestamp,
        sweep: &mut Sweep,
    ) -> Result<(), StoreError> {
        while self.change(ExpireKeys { now }).await? == STEP {}
        while self.change(PruneAudit { retention, now }).await? >= STEP as u64 {}
        self.change(ForgetUsage { now }).await?;
        loop {
            let after = sweep.after;
            let swept = self
                .change(SweepSubmits {
                    upstream,
                    before: now.minus(retention.tasks),
                    after,
                })
                .await?;
            let Some(last) = swept else {
                *sweep = Sweep::default();
                return Ok(());
            };
            sweep.after = last;
        }
    }
}

struct ExpireKeys {
    now: Timestamp,
}

impl Change for ExpireKeys {
    type Done = usize;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<usize, StoreError> {
        tables.expire_keys(self.now, STEP)
    }
}

struct PruneAudit {
    retention: Retention,
    now: Timestamp,
}

impl Change for PruneAudit {
    type Done = u64;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        let end = self.now.minus(self.retention.audit);
        let bytes = audit::bytes(tables.view())?;
        // The note of this pruning needs room too, or the next minute would find the book too large because of it.
        let mut over = match bytes.saturating_sub(self.retention.audit_bytes) {
            0 => 0,
            over => over + NOTE,
        };
        let first_open = tasks::open_intents(tables.view(), 0, 1)?
            .first()
            .map_or(u64::MAX, |(seq, _)| *seq);
        let exported = match self.retention.exports {
            Exports::None => u64::MAX,
            Exports::Daily => exports::progress(tables.view())?.map_or(0, exports::Progress::through),
        };
        let mut lost = None;
        let pruned = tables.prune_audit(STEP, |seq, entry, bytes| {
            let due = over > 0 || (entry.at < end && seq <= exported);
            over = over.saturating_sub(bytes);
            let goes = due && seq < first_open;
            if goes && seq > exported {
                lost = Some(seq);
            }
            goes
        })?;
        if let Some(through) = lost {
            tracing::warn!(
                through,
                "AUDIT_MAX_BYTES: entries of the log book were removed before they were exported"
            );
        }
        Ok(pruned)
    }
}

struct ForgetUsage {
    now: Timestamp,
}

impl Change for ForgetUsage {
    type Done = ();

    /// What is due is a day's rows at most, once a day.
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let end = Day::of(self.now).minus(USAGE_DAYS);
        if usage::first_day(tables.view())?.is_none_or(|first| first >= end) {
            return Ok(());
        }
        tables.forget_usage(end)?;
        tables.forget_spending(end)
    }
}

struct SweepSubmits {
    upstream: &'static str,
    before: Timestamp,
    after: [u8; 16],
}

impl Change for SweepSubmits {
    type Done = Option<[u8; 16]>;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Option<[u8; 16]>, StoreError> {
        let (old, last) = tasks::submits_before(tables.view(), self.after, self.before, STEP)?;
        for at in old {
            tables.forget_submit(self.upstream, at)?;
        }
        Ok(last)
    }
}

/// Rows that one change looks at.
const STEP: usize = 500;

/// The most bytes that the note of a pruning takes.
const NOTE: u64 = 128;

/// How many days of usage are kept: two years, so that each can be held against the one before.
const USAGE_DAYS: u32 = 2 * 366;
