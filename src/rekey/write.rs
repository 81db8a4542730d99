//! The commits of a replacement.

use std::sync::Arc;

use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::{Keyring, Keys};
use crate::crypto::seal::StoreId;
use crate::model::record::{AdminAction, Event};
use crate::store::error::StoreError;
use crate::store::rekeying::{self, Rekeying, Stage};
use crate::store::sealed::{Batch, Resealer};
use crate::store::{Change, Tables};

/// Keys in the place of those that there are, and the entry of the log book that tells of it.
#[derive(Clone)]
pub(super) struct Note {
    pub(super) keys: Arc<Keys>,
    /// The keys, wrapped.
    pub(super) wrapped: Vec<u8>,
    pub(super) action: AdminAction,
}

impl Note {
    fn write(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_keys(Arc::clone(&self.keys), &self.wrapped)?;
        tables.append(Event::Admin(self.action.clone())).map(drop)
    }
}

/// The same keys under another master key.
pub(super) struct Rewrap(pub(super) Note);

impl Change for Rewrap {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        self.0.write(tables)
    }
}

/// New keys beside the old ones, or the new ones alone at the end.
pub(super) struct Replace {
    pub(super) note: Note,
    pub(super) rekeying: Rekeying,
}

impl Change for Replace {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        self.note.write(tables)?;
        tables.put_rekeying(&self.rekeying)
    }
}

/// How far it has come, and nothing else.
pub(super) struct Advance(pub(super) Rekeying);

impl Change for Advance {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_rekeying(&self.0)
    }
}

/// Some rows of the walk, sealed anew, and where it goes on.
pub(super) struct Walk {
    pub(super) store: StoreId,
    pub(super) keyring: Arc<Keyring>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) batch: Batch,
}

impl Change for Walk {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let Some(mut rekeying) = rekeying::get(tables.view())? else {
            return Ok(());
        };
        let Stage::Walking(from) = &rekeying.stage else {
            return Ok(());
        };
        let resealer = Resealer {
            keyring: &self.keyring,
            store: self.store,
            entropy: self.entropy.as_ref(),
        };
        let (tally, next) = tables.reseal(from, self.batch, &resealer)?;
        rekeying.walked(tally, next);
        tables.put_rekeying(&rekeying)
    }
}
