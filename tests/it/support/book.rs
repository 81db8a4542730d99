//! What a store remembers of the calls it was told of, once its chain has been checked.

use std::sync::Arc;

use tollgate::model::outcome::Outcome;
use tollgate::model::record::{Entry, Event, Intent};
use tollgate::store::audit::{self, Order, Verdict, Walk};
use tollgate::store::{Reader, Store};

/// The log book of one store, whole and verified.
pub(crate) struct Book {
    store: Store,
    entries: Vec<(u64, Entry)>,
}

impl Book {
    /// Reads and verifies it.
    pub(crate) fn of(store: &Store) -> Self {
        let key = Arc::new(store.keyring().audit.clone());
        let verdict = store
            .read(|rows: &mut Reader| match Walk::begin(rows, &key)? {
                Err(broken) => Ok(broken),
                Ok(mut walk) => Ok(walk.step(rows, usize::MAX)?.unwrap()),
            })
            .unwrap();
        assert!(matches!(verdict, Verdict::Intact { .. }), "{verdict:?}");
        let entries = store
            .read(|rows: &mut Reader| audit::page(rows, 0, Order::Rising, usize::MAX))
            .unwrap();
        Self {
            store: store.clone(),
            entries: entries.into_iter().map(|logged| (logged.seq, logged.entry)).collect(),
        }
    }

    /// The intents of calls with this body, each with the outcome it was settled or resolved with last.
    pub(crate) fn calls(&self, body: &str) -> Vec<(u64, Option<Outcome>)> {
        let digest = *self.store.keyring().digest.of("body", &[body.as_bytes()]).as_bytes();
        self.intents()
            .filter(|(_, intent)| intent.body_digest == digest)
            .map(|(seq, _)| (seq, self.outcome(seq)))
            .collect()
    }

    /// How a call ended, as far as the book knows.
    pub(crate) fn outcome(&self, intent: u64) -> Option<Outcome> {
        self.entries.iter().rev().find_map(|(_, entry)| match &entry.event {
            Event::Settlement(settled) if settled.intent == intent => Some(settled.outcome),
            Event::Resolved(resolved) if resolved.intent == intent => Some(resolved.outcome),
            _ => None,
        })
    }

    /// How often a call was settled: never more than once.
    pub(crate) fn settlements(&self, intent: u64) -> usize {
        let settles = |event: &Event| matches!(event, Event::Settlement(settled) if settled.intent == intent);
        self.entries.iter().filter(|(_, entry)| settles(&entry.event)).count()
    }

    /// Every intent with its number.
    pub(crate) fn intents(&self) -> impl Iterator<Item = (u64, &Intent)> {
        self.entries.iter().filter_map(|(seq, entry)| match &entry.event {
            Event::Intent(intent) => Some((*seq, intent.as_ref())),
            _ => None,
        })
    }
}
