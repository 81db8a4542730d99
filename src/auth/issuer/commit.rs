//! One change of client keys: rows and entries in one commit, then the directory.

use std::sync::Arc;

use super::Issuer;
use crate::auth::authority::Actor;
use crate::auth::directory::Turn;
use crate::auth::entry::Entry;
use crate::auth::error::KeyError;
use crate::model::record::{AdminAction, Event};
use crate::store::error::StoreError;
use crate::store::keys::KeyRow;
use crate::store::{Change, Tables};

/// What is done to a key, by its name in the log book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Update,
    Rotate,
    Revoke,
    Import,
}

impl Action {
    const fn label(self) -> &'static str {
        match self {
            Self::Create => "key.create",
            Self::Update => "key.update",
            Self::Rotate => "key.rotate",
            Self::Revoke => "key.revoke",
            Self::Import => "key.import",
        }
    }
}

/// One key to be put, and why.
pub(super) struct Put {
    entry: Entry,
    action: Action,
}

impl Put {
    pub(super) fn new(entry: Entry, action: Action) -> Self {
        Self { entry, action }
    }
}

/// The rows of one change, each with its entry of the log book.
struct PutKeys {
    rows: Vec<(KeyRow, AdminAction)>,
}

impl Change for PutKeys {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        for (row, action) in &self.rows {
            tables.put_client_key(row)?;
            tables.append(Event::Admin(action.clone()))?;
        }
        Ok(())
    }
}

impl Issuer {
    /// Commits and publishes, whether or not the caller still waits: a revocation must not stay unseen because the
    /// request that carried it was cut off.
    pub(super) async fn commit(&self, turn: Turn, by: &Actor, puts: Vec<Put>) -> Result<(), KeyError> {
        let mut rows = Vec::with_capacity(puts.len());
        for Put { entry, action } in &puts {
            let action = AdminAction {
                actor: by.name.clone(),
                action: action.label().to_owned(),
                target: entry.key.id.to_string(),
                request: by.request,
            };
            rows.push((entry.seal(&self.store, self.entropy.as_ref())?, action));
        }
        let store = self.store.clone();
        let directory = Arc::clone(&self.directory);
        let task = self.tasks.spawn(async move {
            store.change(PutKeys { rows }).await?;
            directory.publish(turn, puts.into_iter().map(|put| put.entry).collect());
            Ok::<_, StoreError>(())
        });
        Ok(task.await.unwrap_or(Err(StoreError::Panicked))?)
    }
}
