//! The record: what is written before a paid call is sent, and after.
//!
//! [`Recorder::claim`] answers repeats of an idempotency key, [`Recorder::open`] commits the intent and gives a
//! [`Pending`], and [`Pending::settle`] commits what came of it. A pending record that is dropped settles itself, by
//! whether a byte had left.

mod bill;
mod claim;
pub mod error;
mod fingerprint;
mod intent;
mod note;
mod observation;
mod pending;
pub mod recovery;
pub mod refusals;
pub mod renewal;
mod reply;
mod resolution;
mod settlement;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

pub use self::intent::RunningSlot;
pub use self::pending::{Ending, Pending, Recorded, Seat, Sent, Wait};
pub use self::resolution::{Resolve, ResolveError, Verdict};
pub use self::settlement::UNKNOWN_HOLDS;

use self::claim::{Claims, Entered, Guard, Shared};
use self::error::{RecordError, Shortage};
use self::fingerprint::{Fingerprint, in_use, named};
use self::intent::{Keyed, Open, Refused};
use self::observation::{Lapse, Observe};
use self::pending::Written;
use crate::crypto::digest::Digest;
use crate::crypto::entropy::Entropy;
use crate::model::call::{Call, IdempotencyKey};
use crate::model::clock::{Clock, GuardedClock};
use crate::model::day::Day;
use crate::model::id::{AccountId, OwnerId};
use crate::model::money::Quote;
use crate::model::record::{Intent, Refusal, Reservation};
use crate::model::reply::Reply;
use crate::model::task::{SubmitRef, TaskState};
use crate::store::Store;
use crate::store::error::{StoreError, WriteError};
use crate::store::idempotency::{self, Fate, KeyUse};
use crate::telemetry::metrics::{self, KeyPresented};

/// Keeps the record of every paid call.
pub struct Recorder {
    store: Store,
    clock: Arc<dyn Clock>,
    expiry: Arc<GuardedClock>,
    entropy: Arc<dyn Entropy>,
    claims: Arc<Claims>,
    tally: refusals::Tally,
    ttl: Duration,
    upstream: &'static str,
    short_of_room: AtomicBool,
}

/// What a claim gives.
#[derive(Debug)]
pub enum Claim {
    /// The call has no idempotency key, or is the first with it.
    First(Option<Claimed>),
    /// An earlier call with the key had this reply.
    Repeat {
        /// The reply, as it was given then.
        reply: Arc<Reply>,
        /// The intent it belongs to.
        intent: u64,
    },
}

/// The hold on an idempotency key. Dropped before anything was sent, it leaves the key to one of those that wait.
#[derive(Debug)]
pub struct Claimed {
    guard: Arc<Guard>,
    fingerprint: Fingerprint,
}

impl Recorder {
    /// A recorder for calls to `upstream`, whose idempotency keys are used for `ttl`.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        expiry: Arc<GuardedClock>,
        entropy: Arc<dyn Entropy>,
        ttl: Duration,
        upstream: &'static str,
    ) -> Self {
        Self {
            store,
            clock,
            expiry,
            entropy,
            claims: Arc::default(),
            tally: refusals::Tally::default(),
            ttl,
            upstream,
            short_of_room: AtomicBool::new(false),
        }
    }

    /// Says whether the disk has room for new intents. While it has none, [`Recorder::open`] refuses.
    pub fn set_room(&self, has_room: bool) {
        self.short_of_room.store(!has_room, Ordering::Relaxed);
    }

    /// Whether the disk has room for new intents.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.short_of_room.load(Ordering::Relaxed)
    }

    /// Counts a refusal for the record of this minute.
    pub fn refuse(&self, reason: Refusal) {
        self.tally.add(reason, self.clock.wall());
    }

    /// Writes the refusals that were counted since the last time.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub async fn flush_refusals(&self) -> Result<(), StoreError> {
        self.tally.flush(&self.store).await
    }

    /// Claims a call's idempotency key, or finds what an earlier call with it learned. Waits for one in flight, at most
    /// until `deadline`.
    ///
    /// # Errors
    /// [`RecordError`], by what is known of the key.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the wait; no key stays claimed.
    pub async fn claim(&self, call: &Call, deadline: Instant) -> Result<Claim, RecordError> {
        let Some(presented) = &call.idempotency else {
            return Ok(Claim::First(None));
        };
        let keyring = self.store.keyring();
        // In memory a key has one name, whatever digest key is the newest when a repeat comes.
        let key = named(&keyring.id, call.caller.owner, presented);
        let fingerprint = Fingerprint::of(call, &keyring.digest.newest());
        loop {
            match self.claims.enter(key, fingerprint.digest) {
                Entered::First(guard) => return self.look_up(guard, call, presented, fingerprint).await,
                // The two may have been made under different keys.
                Entered::Conflict if keyring.digest.versions().is_changing() => return Err(RecordError::InFlight),
                Entered::Conflict => {
                    metrics::idempotency(KeyPresented::Conflict);
                    return Err(RecordError::Conflict);
                }
                Entered::Crowded => return Err(RecordError::InFlight),
                Entered::Behind(waiter) => {
                    let shared = timeout_at(deadline, waiter.hear())
                        .await
                        .map_err(|_| RecordError::InFlight)?;
                    match shared {
                        Shared::Unsent => {}
                        Shared::Reply { reply, intent } => {
                            metrics::idempotency(KeyPresented::Joined);
                            return Ok(Claim::Repeat { reply, intent });
                        }
                        Shared::NotKept { intent } => return Err(RecordError::ReplayUnavailable { intent }),
                        Shared::Unknown { intent } => {
                            metrics::idempotency(KeyPresented::Unknown);
                            return Err(RecordError::OutcomeUnknown { intent });
                        }
                    }
                }
            }
        }
    }

    /// What an owner's idempotency key may be stored as, under each digest key that is looked up, the newest first.
    #[must_use]
    pub fn key_digests(&self, owner: OwnerId, key: &IdempotencyKey) -> Vec<Digest> {
        let versions = self.store.keyring().digest.versions();
        versions.iter().map(|under| named(under, owner, key)).collect()
    }

    /// How long an idempotency key is used.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How many calls wait behind the first one with their idempotency key, at this moment.
    #[must_use]
    pub fn repeats_waiting(&self) -> usize {
        self.claims.waiting()
    }

    /// What the store knows of a key that nobody in this process holds.
    async fn look_up(
        &self,
        guard: Guard,
        call: &Call,
        presented: &IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Result<Claim, RecordError> {
        // As they are now that nobody else uses the key: its last use may have been under a key that is newer than this
        // call.
        let versions = self.store.keyring().digest.versions();
        let owner = call.caller.owner;
        let names: Vec<_> = versions.iter().map(|under| named(under, owner, presented)).collect();
        let now = self.expiry.earliest();
        let (usage, sealed) = self
            .store
            .read_aside(move |rows| {
                let usage = in_use(rows, &names, now)?;
                let sealed = match &usage {
                    Some((
                        _,
                        KeyUse {
                            fate: Fate::Kept(_),
                            intent,
                            ..
                        },
                    )) => idempotency::reply(rows, *intent)?,
                    _ => None,
                };
                Ok((usage, sealed))
            })
            .await
            .map_err(RecordError::Unavailable)?;
        let Some((version, usage)) = usage else {
            metrics::idempotency(KeyPresented::First);
            let guard = Arc::new(guard);
            return Ok(Claim::First(Some(Claimed { guard, fingerprint })));
        };
        let under = versions.iter().nth(version).unwrap_or(versions.newest());
        if usage.fingerprint != fingerprint.under(under, call).digest {
            metrics::idempotency(KeyPresented::Conflict);
            return Err(RecordError::Conflict);
        }
        let intent = usage.intent;
        match (usage.fate, sealed) {
            (Fate::Kept(_), Some(sealed)) => {
                metrics::idempotency(KeyPresented::Replayed);
                let reply = Arc::new(self.unseal(intent, &sealed).map_err(RecordError::Unavailable)?);
                Ok(Claim::Repeat { reply, intent })
            }
            (Fate::Kept(_) | Fate::NotKept(_), _) => Err(RecordError::ReplayUnavailable { intent }),
            (Fate::Open | Fate::Unknown, _) => {
                metrics::idempotency(KeyPresented::Unknown);
                Err(RecordError::OutcomeUnknown { intent })
            }
        }
    }

    /// Commits the intent of a call, with everything that belongs to it. Nothing may be sent before it returns.
    ///
    /// # Errors
    /// [`RecordError`]; nothing may then be sent at all. An intent that is committed later all the same is settled as
    /// not sent by the writer.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves no open intent.
    pub async fn open<S: Seat>(
        self: &Arc<Self>,
        call: &Call,
        account: AccountId,
        slot: RunningSlot,
        claimed: Option<Claimed>,
        quote: Quote,
        mut seat: S,
    ) -> Result<Pending<S>, RecordError> {
        if self.short_of_room.load(Ordering::Relaxed) {
            return Err(RecordError::Full(Shortage::Disk));
        }
        let keyed = claimed.as_ref().zip(call.idempotency.as_ref());
        let keyed = keyed.map(|(claimed, presented)| {
            // The newest of now: it may have been replaced while the call waited for its turn.
            let under = self.store.keyring().digest.newest();
            Keyed {
                key: named(&under, call.caller.owner, presented),
                fingerprint: claimed.fingerprint.under(&under, call).digest,
                expires_at: self.expiry.latest().plus(self.ttl),
            }
        });
        let intent = Box::new(self.intent(call, account, keyed.as_ref().map(|keyed| keyed.key), &quote));
        let open = Open {
            boot: self.store.boot(),
            upstream: self.upstream,
            intent: intent.clone(),
            keyed,
            claim: claimed.as_ref().map(|claimed| Arc::clone(&claimed.guard)),
            slot,
            now: self.expiry.earliest(),
            budget: call.caller.limits.budget,
        };
        let opened_at = self.clock.monotonic();
        let seq = match timeout(PATIENCE, self.store.write(open)).await {
            Ok(Ok(seq)) => seq,
            Ok(Err(WriteError::Refused(Refused::OverBudget(over)))) => {
                let resets_in = over.resets_at.since(self.clock.wall());
                return Err(RecordError::OverBudget { over, resets_in });
            }
            Ok(Err(WriteError::Refused(Refused::KeyInUse { intent }))) => {
                return Err(RecordError::OutcomeUnknown { intent });
            }
            Ok(Err(WriteError::Refused(Refused::RepliesFull))) => return Err(RecordError::Full(Shortage::Replies)),
            Ok(Err(WriteError::Store(error))) => return Err(RecordError::Unavailable(error)),
            Err(_) => return Err(RecordError::TooSlow),
        };
        seat.opened(seq);
        let written = Written { seq, intent, quote };
        Ok(Pending::new(Arc::clone(self), written, opened_at, claimed, seat))
    }

    fn intent(&self, call: &Call, account: AccountId, idempotency: Option<Digest>, quote: &Quote) -> Intent {
        Intent {
            request: call.request,
            client_request: call.client_request.clone(),
            key: call.caller.key(),
            owner: call.caller.owner,
            operation: call.operation,
            account,
            model: call.model.clone(),
            body_digest: *self.store.keyring().digest.of("body", &[&call.body]).as_bytes(),
            body_bytes: call.body.len() as u64,
            idempotency: idempotency.map(|key| *key.as_bytes()),
            headers: call.headers.clone(),
            peer: call.peer.map(|peer| peer.to_string()),
            reservation: Reservation::Held(quote.hold(Day::of(self.clock.wall()))),
        }
    }

    /// Records that a task was seen in a state, if that is news, and frees its running slot if it has finished.
    pub fn observe(&self, at: SubmitRef, account: AccountId, task_id: &str, state: TaskState, code: Option<i64>) {
        let observe = Observe {
            at,
            account,
            task_id: task_id.to_owned(),
            state,
            code,
        };
        drop(self.store.follow_up(observe));
    }

    /// Frees the running slot of a submit whose outcome stayed unknown for [`UNKNOWN_HOLDS`].
    pub fn lapse(&self, account: AccountId, intent: u64) {
        drop(self.store.follow_up(Lapse { account, intent }));
    }

    /// Decides the fate of an unknown outcome, as a person says. Returns the account it was meant for.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(&self, resolve: Resolve) -> Result<AccountId, ResolveError> {
        self.store
            .write(resolution::Apply::new(resolve, self))
            .await
            .map_err(|error| match error {
                WriteError::Refused(refusal) => refusal,
                WriteError::Store(error) => ResolveError::Store(error),
            })
    }

    /// The store it writes to.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }
}

/// How long an intent may take to be recorded before its call is refused.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
