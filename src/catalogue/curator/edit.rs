//! One step of a change: the row that is written, and what shows it afterwards.

use crate::catalogue::sources::Sources;
use crate::catalogue::standings::Standings;
use crate::model::account::{Account, Standing};
use crate::model::catalogue::Model;
use crate::model::id::AccountId;
use crate::model::record::{AdminAction, Event};
use crate::model::upstream::UpstreamName;
use crate::store::accounts::AccountRow;
use crate::store::error::StoreError;
use crate::store::upstreams::UpstreamRow;
use crate::store::{Change, Tables};

/// One step of a change.
#[derive(Clone)]
pub(super) enum Edit {
    PutUpstream(UpstreamRow),
    RemoveUpstream(UpstreamName),
    PutAccount {
        row: AccountRow,
        account: Account,
    },
    RemoveAccount(AccountId),
    Decide(AccountId, Standing),
    PutModel(Model),
    RemoveModel(String),
    /// Nothing is stored; that it happened is.
    Nothing,
}

impl Edit {
    fn write(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        match self {
            Self::PutUpstream(row) => tables.put_upstream(row),
            Self::RemoveUpstream(name) => tables.remove_upstream(name),
            Self::PutAccount { row, .. } => tables.put_account(row),
            Self::RemoveAccount(id) => tables.remove_account(*id),
            Self::Decide(id, standing) => tables.put_standing(*id, standing),
            Self::PutModel(model) => tables.put_model(model),
            Self::RemoveModel(name) => tables.remove_model(name),
            Self::Nothing => Ok(()),
        }
    }

    /// Shows what was committed.
    pub(super) fn show(self, sources: &mut Sources, standings: &Standings) {
        let stored = &mut sources.stored;
        match self {
            Self::PutUpstream(row) => drop(stored.upstreams.insert(row.name.clone(), row)),
            Self::RemoveUpstream(name) => drop(stored.upstreams.remove(&name)),
            Self::PutAccount { row, account } => drop(stored.accounts.insert(row.position, account)),
            Self::RemoveAccount(id) => {
                stored.remove_account(id);
                standings.forget(id);
            }
            Self::Decide(id, standing) => standings.decided(id, standing),
            Self::PutModel(model) => drop(stored.models.insert(model.name.clone(), model)),
            Self::RemoveModel(name) => drop(stored.models.remove(&name)),
            Self::Nothing => {}
        }
    }
}

/// The steps of one change, each with its entry of the log book. What it did is its steps.
pub(super) struct Edits(pub(super) Vec<(Edit, AdminAction)>);

impl Change for Edits {
    type Done = Vec<Edit>;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Vec<Edit>, StoreError> {
        let mut done = Vec::with_capacity(self.0.len());
        for (edit, action) in &self.0 {
            edit.write(tables)?;
            tables.append(Event::Admin(action.clone()))?;
            done.push(edit.clone());
        }
        Ok(done)
    }
}
