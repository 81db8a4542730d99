//! Idempotency in memory: of calls with one key, one goes on and the others wait for what it learns.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::crypto::digest::Digest;
use crate::model::reply::Reply;

/// What a key's first call learned, for those that wait.
#[derive(Clone, Debug)]
pub(super) enum Shared {
    /// A reply, which every waiter gets too.
    Reply {
        /// The reply.
        reply: Arc<Reply>,
        /// The intent it belongs to.
        intent: u64,
    },
    /// It ended well, and its reply cannot be given again: it was a stream.
    NotKept {
        /// The intent it belongs to.
        intent: u64,
    },
    /// Nobody knows how it ended.
    Unknown {
        /// The intent it belongs to.
        intent: u64,
    },
    /// It was never sent: one of the waiters takes over.
    Unsent,
}

/// The keys that are in flight.
#[derive(Debug, Default)]
pub(super) struct Claims {
    flights: Mutex<HashMap<Digest, Flight>>,
}

#[derive(Debug)]
struct Flight {
    fingerprint: Digest,
    told: watch::Receiver<Option<Shared>>,
    waiting: usize,
}

/// What entering with a key gives.
pub(super) enum Entered {
    /// It is ours.
    First(Guard),
    /// Another call has it: wait for what it learns.
    Behind(Waiter),
    /// Another call has it, with another body.
    Conflict,
    /// Another call has it, and as many wait as may.
    Crowded,
}

/// The hold on a key. When it is dropped, those that wait are told what it learned, or else [`Shared::Unsent`].
///
/// The writer holds it too, as long as it has an intent or a settlement: whoever comes next looks the key up, and must
/// find its fate on the disk.
#[derive(Debug)]
pub(super) struct Guard {
    claims: Arc<Claims>,
    key: Digest,
    tell: watch::Sender<Option<Shared>>,
    learned: OnceLock<Shared>,
}

/// A place behind a key's first call.
pub(super) struct Waiter {
    claims: Arc<Claims>,
    key: Digest,
    told: watch::Receiver<Option<Shared>>,
}

impl Claims {
    pub(super) fn enter(self: &Arc<Self>, key: Digest, fingerprint: Digest) -> Entered {
        match self.lock().entry(key) {
            Entry::Vacant(vacant) => {
                let (tell, told) = watch::channel(None);
                vacant.insert(Flight {
                    fingerprint,
                    told,
                    waiting: 0,
                });
                Entered::First(Guard {
                    claims: Arc::clone(self),
                    key,
                    tell,
                    learned: OnceLock::new(),
                })
            }
            Entry::Occupied(mut occupied) => {
                let flight = occupied.get_mut();
                if flight.fingerprint != fingerprint {
                    return Entered::Conflict;
                }
                if flight.waiting >= MOST_WAITING {
                    return Entered::Crowded;
                }
                flight.waiting += 1;
                Entered::Behind(Waiter {
                    claims: Arc::clone(self),
                    key,
                    told: flight.told.clone(),
                })
            }
        }
    }

    /// How many wait behind a key's first call, over all keys.
    pub(super) fn waiting(&self) -> usize {
        self.lock().values().map(|flight| flight.waiting).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// What those that wait will be told. Only the first word counts.
    pub(super) fn learn(&self, shared: Shared) {
        self.learned.get_or_init(|| shared);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The key is free before the waiters hear of it, so that one of them can take over.
        self.claims.lock().remove(&self.key);
        let learned = self.learned.take().unwrap_or(Shared::Unsent);
        self.tell.send_replace(Some(learned));
    }
}

impl Waiter {
    /// Waits for what the first call learns. Cancel-safe.
    pub(super) async fn hear(mut self) -> Shared {
        match self.told.wait_for(Option::is_some).await {
            Ok(told) => told.clone().unwrap_or(Shared::Unsent),
            Err(_) => Shared::Unsent,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(flight) = self.claims.lock().get_mut(&self.key)
            && flight.told.same_channel(&self.told)
        {
            flight.waiting = flight.waiting.saturating_sub(1);
        }
    }
}

/// More duplicates than this are told to come back later.
const MOST_WAITING: usize = 16;

#[cfg(test)]
mod tests;
