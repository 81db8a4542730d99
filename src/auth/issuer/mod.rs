//! Issuing, changing, rotating and revoking client keys.

mod change;
mod commit;
mod fresh;
mod import;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

pub use change::{Issued, KeyChange, KeySpec, Rotation};
pub use import::Imported;

use self::commit::{Action, Put};
use self::fresh::Fresh;
use super::authority::Actor;
use super::directory::Directory;
use super::entry::Entry;
use super::error::KeyError;
use crate::crypto::entropy::Entropy;
use crate::model::clock::Clock;
use crate::model::id::KeyId;
use crate::model::key::{ApiKey, Standing};
use crate::store::Store;

/// Changes client keys: one commit with the rows and the log book's entries, then the directory.
///
/// Changes take turns. Each is decided on what the one before left, as the process that holds the store is the only one
/// that writes to it.
///
/// # Cancel safety
/// Of every change: dropped while it waits for its turn, nothing is done; later, it is done all the same, and the
/// directory shows it.
pub struct Issuer {
    store: Store,
    directory: Arc<Directory>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
}

impl Issuer {
    /// Over a store and the directory that was loaded from it. A change runs on `tasks`, so that it is not torn apart
    /// when its caller gives up; wait for them before the store is closed.
    #[must_use]
    pub fn new(
        store: Store,
        directory: Arc<Directory>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            store,
            directory,
            entropy,
            clock,
            tasks,
        }
    }

    /// Issues a key, which is its own owner.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is issued then.
    pub async fn create(&self, spec: KeySpec, by: &Actor) -> Result<Issued, KeyError> {
        let turn = self.directory.turn().await;
        let now = self.clock.wall();
        let Fresh { id, access_key, secret } = Fresh::draw(&self.directory, self.entropy.as_ref())?;
        let key = ApiKey {
            id,
            owner: id.as_owner(),
            access_key,
            description: spec.description,
            created_at: now,
            updated_at: now,
            expires_at: spec.expires_at,
            standing: Standing::Active,
            rotation_of: None,
            scopes: spec.scopes,
            schemes: spec.schemes,
            models: spec.models,
            limits: spec.limits,
        };
        change::check(&key)?;
        change::check_expiry(key.expires_at, now)?;
        by.authority.covers(&key, &self.directory, now)?;
        let issued = Issued { key, secret };
        let put = Put::new(self.entry_of(&issued), Action::Create);
        self.commit(turn, by, vec![put]).await?;
        Ok(issued)
    }

    /// Changes what is given and keeps the rest. A change that changes nothing is not recorded.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is changed then.
    pub async fn update(&self, id: KeyId, change: KeyChange, by: &Actor) -> Result<ApiKey, KeyError> {
        let turn = self.directory.turn().await;
        let now = self.clock.wall();
        let entry = self.in_use(id)?;
        if let Some(expires_at) = change.expires_at {
            change::check_expiry(expires_at, now)?;
        }
        let mut key = change.of(&entry.key);
        change::check(&key)?;
        // Both: a key that may do more than the actor is not the actor's to change.
        by.authority.covers(&entry.key, &self.directory, now)?;
        by.authority.covers(&key, &self.directory, now)?;
        if key == entry.key {
            return Ok(key);
        }
        key.updated_at = now;
        let put = Put::new(entry.with(key.clone()), Action::Update);
        self.commit(turn, by, vec![put]).await?;
        Ok(key)
    }

    /// Issues a key in place of another one, which works on for the grace at most, never longer than it would have.
    ///
    /// The new key has the owner, scopes, schemes, models and limits of the old one and, unless they are given, its
    /// description and expiry.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is changed then.
    pub async fn rotate(&self, id: KeyId, rotation: Rotation, by: &Actor) -> Result<Issued, KeyError> {
        let turn = self.directory.turn().await;
        let now = self.clock.wall();
        let entry = self.in_use(id)?;
        let old = &entry.key;
        let fresh = Fresh::draw(&self.directory, self.entropy.as_ref())?;
        let key = ApiKey {
            id: fresh.id,
            access_key: fresh.access_key,
            description: rotation.description.unwrap_or_else(|| old.description.clone()),
            created_at: now,
            updated_at: now,
            expires_at: rotation.expires_at.or(old.expires_at),
            rotation_of: Some(id),
            ..old.clone()
        };
        change::check(&key)?;
        change::check_expiry(key.expires_at, now)?;
        by.authority.covers(&key, &self.directory, now)?;
        let mut retired = old.clone();
        retired.updated_at = now;
        if rotation.grace == Duration::ZERO {
            retired.standing = Standing::Revoked(now);
        } else {
            let end = now.plus(rotation.grace);
            retired.expires_at = Some(old.expires_at.map_or(end, |sooner| sooner.min(end)));
        }
        let issued = Issued {
            key,
            secret: fresh.secret,
        };
        let puts = vec![
            Put::new(entry.with(retired), Action::Rotate),
            Put::new(self.entry_of(&issued), Action::Create),
        ];
        self.commit(turn, by, puts).await?;
        Ok(issued)
    }

    /// Withdraws a key for good, from the next request on. Of a key that is withdrawn already, nothing changes.
    ///
    /// Any administrator may revoke any key: it takes away and gives nothing.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], or [`KeyError::Store`].
    pub async fn revoke(&self, id: KeyId, by: &Actor) -> Result<ApiKey, KeyError> {
        let turn = self.directory.turn().await;
        let entry = self.directory.entry(id).ok_or(KeyError::NotFound { id })?;
        let mut key = entry.key.clone();
        if key.revoked_at().is_some() {
            return Ok(key);
        }
        let now = self.clock.wall();
        key.standing = Standing::Revoked(now);
        key.updated_at = now;
        let put = Put::new(entry.with(key.clone()), Action::Revoke);
        self.commit(turn, by, vec![put]).await?;
        Ok(key)
    }

    /// A key that is not revoked.
    fn in_use(&self, id: KeyId) -> Result<Arc<Entry>, KeyError> {
        let entry = self.directory.entry(id).ok_or(KeyError::NotFound { id })?;
        match entry.key.standing {
            Standing::Active => Ok(entry),
            Standing::Revoked(_) => Err(KeyError::Revoked { id }),
        }
    }

    fn entry_of(&self, issued: &Issued) -> Entry {
        Entry::new(issued.key.clone(), issued.secret.clone(), self.store.keyring())
    }
}
