//! Replacing keys: the master key in one commit, the data keys in many small ones.
//!
//! [`Rekey::replace`] commits new data keys, sealed beside the old ones in one row; from then on everything new is made
//! with them, and what is there is found under both. A walk over every row that holds a secret seals it anew, some rows
//! at a time, its position in the same commits, so that it goes on where a process ended. The old keys go when nothing
//! is sealed under them and no idempotency key can be asked for any more that was stored under them.

mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use self::write::{Advance, Note, Replace, Rewrap, Walk};
use crate::auth::Directory;
use crate::crypto::entropy::{Entropy, EntropyError};
use crate::crypto::keyring::{Keys, MasterKey};
use crate::model::clock::{Clock, GuardedClock, Timestamp};
use crate::model::record::AdminAction;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rekeying::{self, Rekeying, Stage};
use crate::store::sealed::{self, Batch};

/// Replaces keys.
pub struct Rekey {
    store: Store,
    directory: Arc<Directory>,
    master: Arc<MasterKey>,
    is_previous: AtomicBool,
    clock: GuardedClock,
    entropy: Arc<dyn Entropy>,
    ttl: Duration,
    /// One change of the keys at a time: each begins with what the one before left.
    turn: Mutex<()>,
    wake: Notify,
    started: AtomicBool,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What keys are replaced with.
pub struct Parts {
    /// Where the keys are, and what they have sealed.
    pub store: Store,
    /// The client keys, whose digests are made anew.
    pub directory: Arc<Directory>,
    /// The present master key.
    pub master: Arc<MasterKey>,
    /// What wraps the data keys at the start.
    pub wrapped: Wrapped,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// How long an idempotency key is used.
    pub ttl: Duration,
    /// Where the background work runs.
    pub tasks: TaskTracker,
    /// Ends it.
    pub stop: CancellationToken,
}

/// What wraps the data keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapped {
    /// The present master key.
    Current,
    /// The one before the last change.
    Previous,
}

impl Wrapped {
    /// By the place of the master key that opened the store, as [`Opened::master_key`](crate::store::Opened) tells it.
    #[must_use]
    pub const fn by(place: usize) -> Self {
        match place {
            0 => Self::Current,
            _ => Self::Previous,
        }
    }
}

/// How the keys stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What wraps the data keys.
    pub wrapped: Wrapped,
    /// The last replacement of the data keys, if there ever was one.
    pub rekeying: Option<Rekeying>,
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another step, at once.
    Step,
    /// Another step at a moment.
    At(Timestamp),
    /// Nothing, until the data keys are replaced again.
    Rest,
}

/// Why keys were not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Rekey {
    /// Over a store. Nothing is done in the background before [`Rekey::start`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            directory,
            master,
            wrapped,
            clock,
            entropy,
            ttl,
            tasks,
            stop,
        } = parts;
        Self {
            store,
            directory,
            master,
            is_previous: AtomicBool::new(wrapped == Wrapped::Previous),
            clock: GuardedClock::new(clock),
            entropy,
            ttl,
            turn: Mutex::default(),
            wake: Notify::new(),
            started: AtomicBool::new(false),
            tasks,
            stop,
        }
    }

    /// How the keys stand.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails, or has failed: whoever waits for the end of a replacement waits in vain then.
    pub async fn state(&self) -> Result<State, StoreError> {
        if self.store.failed().is_cancelled() {
            return Err(StoreError::Io(
                "a write failed, and nothing more is written by this process".to_owned(),
            ));
        }
        let rekeying = self.store.read_aside(rekeying::get).await?;
        let wrapped = Wrapped::by(self.is_previous.load(Ordering::Acquire).into());
        Ok(State { wrapped, rekeying })
    }

    /// Wraps the data keys with the present master key, in one commit with its entry of the log book. If they are already,
    /// nothing is done.
    ///
    /// # Errors
    /// [`RekeyError`]; the previous master key then still wraps them.
    ///
    /// # Cancel safety
    /// Dropped, it may be done all the same; [`Rekey::state`] may then name the previous master key until the next start.
    pub async fn rewrap(&self, action: AdminAction) -> Result<State, RekeyError> {
        let turn = self.turn.lock().await;
        if self.is_previous.load(Ordering::Acquire) {
            let note = self.note(self.store.keyring().keys(), action)?;
            self.store.change(Rewrap(note)).await?;
            self.is_previous.store(false, Ordering::Release);
            tracing::info!("the data keys are wrapped with the present master key");
        }
        drop(turn);
        Ok(self.state().await?)
    }

    /// Brings new data keys, wrapped with the present master key, in one commit with its entry of the log book; then the
    /// background work begins. If the store is still walked for the last replacement, that goes on, and nothing else is
    /// done.
    ///
    /// # Errors
    /// [`RekeyError`]; the keys are then what they were.
    ///
    /// # Cancel safety
    /// As [`Rekey::rewrap`].
    pub async fn replace(self: &Arc<Self>, action: AdminAction) -> Result<State, RekeyError> {
        self.begin(action).await?;
        Arc::clone(self).start();
        self.wake.notify_one();
        Ok(self.state().await?)
    }

    /// The first commit of a replacement.
    async fn begin(&self, action: AdminAction) -> Result<(), RekeyError> {
        let _turn = self.turn.lock().await;
        let (rekeying, rows) = self
            .store
            .read_aside(|rows| Ok((rekeying::get(rows)?, sealed::rows(rows)?)))
            .await?;
        if let Some(mut rekeying) = rekeying
            && matches!(rekeying.stage, Stage::Walking(_) | Stage::Sealed)
        {
            if rekeying.is_stuck() {
                rekeying.walk_again();
                rekeying.pass = 1;
                self.store.change(Advance(rekeying)).await?;
            }
            return Ok(());
        }
        let keys = self.store.keyring().keys().renewed(self.entropy.as_ref())?;
        let note = self.note(keys, action)?;
        let rekeying = Rekeying::begin(self.clock.latest(), rows);
        self.store.change(Replace { note, rekeying }).await?;
        self.is_previous.store(false, Ordering::Release);
        tracing::info!(
            rows,
            "the data keys were replaced: what the old ones sealed is sealed anew"
        );
        Ok(())
    }

    fn note(&self, keys: Keys, action: AdminAction) -> Result<Note, EntropyError> {
        let wrapped = keys.wrap(&self.master, self.store.id(), self.entropy.as_ref())?;
        Ok(Note {
            keys: Arc::new(keys),
            wrapped,
            action,
        })
    }

    /// Does a little of what is to be done, and says when there is more.
    ///
    /// # Errors
    /// [`RekeyError`]; the same is then tried again by the next step.
    ///
    /// # Cancel safety
    /// Dropping the future stops between two commits.
    pub async fn step(&self, batch: Batch) -> Result<Next, RekeyError> {
        let _turn = self.turn.lock().await;
        let Some(mut rekeying) = self.store.read_aside(rekeying::get).await? else {
            return Ok(Next::Rest);
        };
        match rekeying.stage {
            Stage::Walking(_) if rekeying.is_stuck() => {
                tracing::error!(
                    walks = Rekeying::MOST_PASSES,
                    "rows under the old data keys are found again and again: the store is damaged; run `tollgate check`"
                );
                Ok(Next::Rest)
            }
            Stage::Walking(_) => {
                let walk = Walk {
                    store: self.store.id(),
                    keyring: Arc::clone(self.store.keyring()),
                    entropy: Arc::clone(&self.entropy),
                    batch,
                };
                self.store.change(walk).await?;
                Ok(Next::Step)
            }
            Stage::Sealed => self.settle(rekeying).await,
            Stage::Waiting => {
                if let Some(until) = rekeying.needed_until.filter(|until| *until > self.clock.earliest()) {
                    return Ok(Next::At(until));
                }
                // What was written since was looked at by nobody.
                rekeying.walk_again();
                self.store.change(Advance(rekeying)).await?;
                Ok(Next::Step)
            }
            Stage::Done(_) => Ok(Next::Rest),
        }
    }

    /// Nothing is sealed under the old keys. They go, or wait for their digests to expire.
    async fn settle(&self, mut rekeying: Rekeying) -> Result<Next, RekeyError> {
        self.directory.renew_digests(self.store.keyring()).await;
        let until = if let Some(until) = rekeying.needed_until {
            until
        } else {
            let last = self.store.read_aside(rekeying::last_expiry).await?;
            // A call that was on its way when the keys came wrote its key a little later.
            let latest = self.clock.latest().plus(self.ttl).plus(MARGIN);
            last.map_or(latest, |last| last.max(latest))
        };
        if until > self.clock.earliest() {
            rekeying.needed_until = Some(until);
            rekeying.stage = Stage::Waiting;
            self.store.change(Advance(rekeying)).await?;
            tracing::info!(until = %until, "everything is sealed under the new data keys; the old ones are kept for digests");
            return Ok(Next::At(until));
        }
        rekeying.stage = Stage::Done(self.clock.latest());
        let keys = self.store.keyring().keys().settled();
        let note = self.note(keys, finished(&self.store))?;
        self.store.change(Replace { note, rekeying }).await?;
        self.is_previous.store(false, Ordering::Release);
        tracing::info!("the old data keys are gone");
        Ok(Next::Rest)
    }

    /// Does in the background whatever is to be done, until the process ends. More than one call does no more.
    pub fn start(self: Arc<Self>) {
        if !self.started.swap(true, Ordering::AcqRel) {
            let (tasks, stop) = (self.tasks.clone(), self.stop.clone());
            let work = async move { stop.run_until_cancelled(self.work()).await };
            tasks.spawn(work.instrument(tracing::info_span!("rekey")));
        }
    }

    async fn work(&self) {
        loop {
            let pause = match self.step(BATCH).await {
                Ok(Next::Step) => continue,
                Ok(Next::At(moment)) => moment.since(self.clock.earliest()).min(LONGEST_PAUSE),
                Ok(Next::Rest) => LONGEST_PAUSE,
                Err(error) if self.store.failed().is_cancelled() => {
                    tracing::error!(error = %error, "replacing the data keys stops here, and goes on after the next start");
                    return;
                }
                Err(error) => {
                    tracing::error!(error = %error, "replacing the data keys failed and is tried again");
                    RETRY
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }
}

/// What the log book says when the old keys go: nobody asked for it at that moment.
fn finished(store: &Store) -> AdminAction {
    AdminAction {
        actor: "tollgate".to_owned(),
        action: "rekey.finished".to_owned(),
        target: store.id().to_string(),
        request: None,
    }
}

/// What one commit looks at: a millisecond or two of the writer's time.
const BATCH: Batch = Batch {
    rows: 256,
    bytes: 512 * 1024,
};

/// What a digest under an old key may come late by.
const MARGIN: Duration = Duration::from_mins(1);

/// The wall clock may jump: it is asked this often.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Before what failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
