//! Taking over the keys of the relay that Tollgate replaces.

use std::collections::{HashMap, HashSet};

use super::Issuer;
use super::commit::{Action, Put};
use crate::auth::authority::Actor;
use crate::auth::entry::Entry;
use crate::auth::error::KeyError;
use crate::model::id::{KeyId, OwnerId};
use crate::model::key::{ApiKey, Limits, Scheme, Schemes, Scope, Scopes};
use crate::model::legacy::LegacyKey;

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Keys that were added.
    pub added: usize,
    /// Keys that were there already, by id or access key.
    pub skipped: usize,
}

impl Issuer {
    /// Adds keys with all that their holders and operators know of them, in one commit. They may relay, and only sign,
    /// as they did before. Importing the same keys again adds nothing.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is added then.
    pub async fn import(&self, keys: Vec<LegacyKey>, by: &Actor) -> Result<Imported, KeyError> {
        let turn = self.directory.turn().await;
        let now = self.clock.wall();
        let families = Families::of(&keys);
        let mut access_keys = HashSet::new();
        let mut ids = HashSet::new();
        let mut imported = Imported::default();
        let mut puts = Vec::new();
        for legacy in keys {
            let is_new = self.directory.entry(legacy.id).is_none()
                && self.directory.by_access_key(&legacy.access_key).is_none()
                && !ids.contains(&legacy.id)
                && access_keys.insert(legacy.access_key.clone());
            if !is_new {
                imported.skipped += 1;
                continue;
            }
            ids.insert(legacy.id);
            let root = families.root(legacy.id);
            let owner = self
                .directory
                .entry(root)
                .map_or(root.as_owner(), |entry| entry.key.owner);
            let secret = legacy.secret.clone();
            let key = api_key(legacy, owner);
            by.authority.covers(&key, &self.directory, now)?;
            puts.push(Put::new(Entry::new(key, secret, self.store.keyring()), Action::Import));
            imported.added += 1;
        }
        if !puts.is_empty() {
            self.commit(turn, by, puts).await?;
        }
        Ok(imported)
    }
}

fn api_key(legacy: LegacyKey, owner: OwnerId) -> ApiKey {
    ApiKey {
        id: legacy.id,
        owner,
        access_key: legacy.access_key,
        description: legacy.description,
        created_at: legacy.created_at,
        updated_at: legacy.updated_at,
        expires_at: legacy.expires_at,
        standing: legacy.standing,
        rotation_of: legacy.rotation_of,
        scopes: Scopes::of([Scope::Relay]),
        schemes: Schemes::of([Scheme::Signed]),
        models: None,
        limits: Limits::default(),
    }
}

/// Which key replaced which.
struct Families {
    replaced: HashMap<KeyId, KeyId>,
}

impl Families {
    fn of(keys: &[LegacyKey]) -> Self {
        let replaced = keys.iter().filter_map(|key| Some((key.id, key.rotation_of?)));
        Self {
            replaced: replaced.collect(),
        }
    }

    /// The first of a key's family, even if its row is gone. Links that run in a circle, which no rotation makes, leave
    /// a key on its own.
    fn root(&self, id: KeyId) -> KeyId {
        let mut root = id;
        for _ in 0..=self.replaced.len() {
            match self.replaced.get(&root) {
                Some(older) => root = *older,
                None => return root,
            }
        }
        id
    }
}
