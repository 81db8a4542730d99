//! Refusals, counted together: one record per reason and minute, outside the intents' queue.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::clock::Timestamp;
use crate::model::record::{Event, Refusal, Refusals};
use crate::store::error::StoreError;
use crate::store::{Change, Store, Tables, Urgency};

/// The counts of the minute that runs.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<Refusal, (u64, Timestamp)>>,
}

impl Tally {
    /// Counts one refusal.
    pub fn add(&self, reason: Refusal, now: Timestamp) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(reason).or_insert((0, now)).0 += 1;
    }

    /// Writes what was counted, if anything was, and begins anew.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails; the counts are then lost.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let refusals = counts
            .into_iter()
            .map(|(reason, (count, since))| Refusals { reason, count, since })
            .collect();
        store.change(Append { refusals }).await
    }
}

struct Append {
    refusals: Vec<Refusals>,
}

impl Change for Append {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        for refusals in &self.refusals {
            tables.append(Event::Refusals(refusals.clone()))?;
        }
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}
