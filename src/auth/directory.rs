//! All client keys in memory, as of the last commit that changed one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::AuthError;
use super::entry::Entry;
use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::keyring::{Keyring, Ring};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::id::{KeyId, OwnerId};
use crate::model::key::{ApiKey, KeyStatus, Scope};
use crate::store::error::StoreError;
use crate::store::keys::bearer;
use crate::store::{Store, keys};

/// All client keys. Readers never wait; a change replaces the whole picture.
pub struct Directory {
    snapshot: ArcSwap<Snapshot>,
    turn: Arc<Mutex<()>>,
}

/// The right to change keys. One change is decided, committed and published before the next one is decided, so that
/// what is published is never older than what was.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedMutexGuard<()>);

/// One picture of all keys, by each name that a key is found by.
struct Snapshot {
    ids: BTreeMap<KeyId, Arc<Entry>>,
    access_keys: HashMap<String, Arc<Entry>>,
    bearers: HashMap<Digest, Arc<Entry>>,
    /// The keys of each rotation family, newest first.
    families: HashMap<OwnerId, Vec<Arc<Entry>>>,
}

impl Directory {
    /// Reads all keys and opens their secrets. Blocks on the disk: for the start.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read, or was changed outside Tollgate: then nothing may be let in.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = store.read(keys::all)?;
        let entries: Result<Vec<_>, _> = rows.into_iter().map(|row| Entry::open(row, store)).collect();
        let ids = entries?.into_iter().map(|entry| (entry.key.id, Arc::new(entry)));
        Ok(Self {
            snapshot: ArcSwap::from_pointee(Snapshot::of(ids.collect())),
            turn: Arc::default(),
        })
    }

    /// Every key, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<ApiKey> {
        let snapshot = self.snapshot.load();
        let mut keys: Vec<_> = snapshot.ids.values().map(|entry| entry.key.clone()).collect();
        keys.sort_unstable_by_key(|key| Reverse((key.created_at, key.id)));
        keys
    }

    /// One key.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<ApiKey> {
        self.entry(id).map(|entry| entry.key.clone())
    }

    /// The caller that an owner is at `now`, by its newest key that is in use and good for `scope`: for work that was
    /// accepted from it before.
    ///
    /// # Errors
    /// [`AuthError`] by its newest key, when none is.
    pub fn caller_of(&self, owner: OwnerId, scope: Scope, now: Timestamp) -> Result<Caller, AuthError> {
        let snapshot = self.snapshot.load();
        let family = snapshot.families.get(&owner).map(Vec::as_slice).unwrap_or_default();
        let mut why = AuthError::UnknownKey;
        for (place, entry) in family.iter().enumerate() {
            let lapsed = match entry.key.status(now) {
                KeyStatus::Active if entry.key.scopes.has(scope) => return Ok(entry.caller()),
                KeyStatus::Active => AuthError::ScopeDenied { scope },
                KeyStatus::Revoked => AuthError::Revoked,
                KeyStatus::Expired => AuthError::Expired,
            };
            if place == 0 {
                why = lapsed;
            }
        }
        Err(why)
    }

    /// How many keys have which status at `now`.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> [(KeyStatus, usize); KeyStatus::ALL.len()] {
        let snapshot = self.snapshot.load();
        KeyStatus::ALL.map(|status| {
            let number = snapshot.ids.values().filter(|entry| entry.key.status(now) == status);
            (status, number.count())
        })
    }

    pub(super) fn entry(&self, id: KeyId) -> Option<Arc<Entry>> {
        self.snapshot.load().ids.get(&id).cloned()
    }

    pub(super) fn by_access_key(&self, access_key: &str) -> Option<Arc<Entry>> {
        self.snapshot.load().access_keys.get(access_key).cloned()
    }

    /// The key whose secret this is. It is looked for by its digest under each digest key of the ring, as entries may
    /// have been made under an older one. A digest is keyed, so a look-up tells nothing by its time that could be used to
    /// guess a token.
    pub(super) fn by_bearer(&self, token: &[u8], ring: &Ring<DigestKey>) -> Option<Arc<Entry>> {
        // One picture for all of them, taken first: its digests are of keys that the ring holds.
        let snapshot = self.snapshot.load();
        ring.versions().iter().find_map(|key| {
            let digest = bearer(key, token);
            let entry = snapshot.bearers.get(&digest);
            entry.filter(|entry| entry.bearer.ct_eq(&digest)).cloned()
        })
    }

    /// Has every key be found by its digest under the newest digest key.
    ///
    /// # Cancel safety
    /// Dropped while it waits for its turn, nothing is changed.
    pub async fn renew_digests(&self, keyring: &Keyring) {
        let turn = self.turn().await;
        let snapshot = self.snapshot.load_full();
        let renewed = snapshot.ids.values();
        let renewed = renewed.map(|entry| Entry::new(entry.key.clone(), entry.secret.clone(), keyring));
        self.publish(turn, renewed.collect());
    }

    /// Waits for the right to change keys. Cancel-safe.
    pub(super) async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.turn).lock_owned().await)
    }

    /// Shows what was committed, and ends the turn.
    pub(super) fn publish(&self, turn: Turn, entries: Vec<Entry>) {
        let mut ids = self.snapshot.load().ids.clone();
        ids.extend(entries.into_iter().map(|entry| (entry.key.id, Arc::new(entry))));
        self.snapshot.store(Arc::new(Snapshot::of(ids)));
        drop(turn);
    }
}

impl Snapshot {
    fn of(ids: BTreeMap<KeyId, Arc<Entry>>) -> Self {
        let entries = || ids.values().map(Arc::clone);
        let mut families: HashMap<_, Vec<_>> = HashMap::new();
        for entry in entries() {
            families.entry(entry.key.owner).or_default().push(entry);
        }
        for family in families.values_mut() {
            family.sort_unstable_by_key(|entry| Reverse((entry.key.created_at, entry.key.id)));
        }
        Self {
            families,
            access_keys: entries().map(|entry| (entry.key.access_key.clone(), entry)).collect(),
            bearers: entries().map(|entry| (entry.bearer, entry)).collect(),
            ids,
        }
    }
}
