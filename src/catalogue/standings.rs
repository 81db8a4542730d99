//! How accounts stand: what survives a restart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::model::account::{AccountState, Standing};
use crate::model::id::AccountId;
use crate::store::error::StoreError;
use crate::store::{Change, Store, Tables, Urgency, accounts};

/// How every account stands of which something is known.
///
/// The pool tells what it saw with [`Standings::persist`]; a person's decisions come through the
/// [`Curator`](super::Curator), are committed first, and are then told to the pool.
pub struct Standings {
    store: Store,
    known: Mutex<HashMap<AccountId, Standing>>,
    follower: OnceLock<Follower>,
}

type Follower = Box<dyn Fn(AccountId, Standing) + Send + Sync>;

impl Standings {
    /// Reads what the store knows. Blocks on the disk: for the start.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let known = store.read(accounts::standings)?.into_iter().collect();
        Ok(Self {
            store: store.clone(),
            known: Mutex::new(known),
            follower: OnceLock::new(),
        })
    }

    /// How an account stands; `None` where nothing is known of it, so that it may be used.
    #[must_use]
    pub fn of(&self, id: AccountId) -> Option<Standing> {
        self.lock().get(&id).copied()
    }

    /// Notes how an account was seen to stand. It does not wait: the row rides with the next commit.
    ///
    /// What a person took out stays out.
    pub fn persist(&self, id: AccountId, standing: Standing) {
        let mut known = self.lock();
        if known.get(&id).is_some_and(|known| known.state == AccountState::OUT) {
            return;
        }
        known.insert(id, standing);
        // Under the lock, so that rows are written in the order in which they were seen.
        drop(self.store.follow_up(Observed { id, standing }));
    }

    /// Has `follower` told of every decision of a person, after its commit and before its answer. Only the first one
    /// follows: there is one pool.
    pub fn follow(&self, follower: impl Fn(AccountId, Standing) + Send + Sync + 'static) {
        drop(self.follower.set(Box::new(follower)));
    }

    /// Shows a decision that was committed.
    pub(super) fn decided(&self, id: AccountId, standing: Standing) {
        self.lock().insert(id, standing);
        self.remind(id, standing);
    }

    /// Tells the pool what a person has decided, though nothing that is written down changes for it: it may have seen
    /// something since that is not, such as failures.
    pub(super) fn remind(&self, id: AccountId, standing: Standing) {
        if let Some(follower) = self.follower.get() {
            follower(id, standing);
        }
    }

    /// Forgets an account that was removed.
    pub(super) fn forget(&self, id: AccountId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Standing>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the pool saw an account stand.
struct Observed {
    id: AccountId,
    standing: Standing,
}

impl Change for Observed {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.observe_standing(self.id, &self.standing)
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}
