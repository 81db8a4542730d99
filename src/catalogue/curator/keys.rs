//! The key file, read again.

use super::{By, Curator, Edit, Turn};
use crate::catalogue::environment::{Found, Look, MEGALLM};
use crate::catalogue::error::CurateError;
use crate::model::caller::Identity;
use crate::store::error::StoreError;

/// What came of reading the key file again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Accounts that it holds now.
    pub accounts: usize,
    /// Those that are new.
    pub added: usize,
    /// Those that are gone.
    pub removed: usize,
}

impl Curator {
    /// Reads the key file again, whether or not it changed.
    ///
    /// # Errors
    /// [`CurateError::KeyFile`]; the accounts stay what they were then.
    pub async fn reload_keys(&self, by: By) -> Result<Reloaded, CurateError> {
        let turn = self.turn().await;
        let found = find(&turn, Look::Anyway)
            .await?
            .ok_or(CurateError::NotFound { what: "key file" })?;
        self.renew(turn, found, by).await
    }

    /// Reads the key file again if it is not the one of the last look. One that is gone takes no accounts with it: an
    /// editor may be about to put a new one in its place.
    ///
    /// # Errors
    /// As [`Curator::reload_keys`], once for each state of the file.
    pub async fn look_at_keys(&self) -> Result<Option<Reloaded>, CurateError> {
        let turn = self.turn().await;
        let Some(found) = find(&turn, Look::ForNews).await? else {
            return Ok(None);
        };
        let by = By {
            identity: Identity::Tollgate,
            request: None,
        };
        self.renew(turn, found, by).await.map(Some)
    }

    async fn renew(&self, mut turn: Turn, found: Found, by: By) -> Result<Reloaded, CurateError> {
        // Shown with the commit; if that fails, the process ends.
        let (added, removed) = turn.environment.renew(found)?;
        self.commit(turn, vec![(Edit::Nothing, by.did("keys.reload", MEGALLM))])
            .await?;
        let catalogue = self.catalogue.load();
        let accounts = catalogue
            .accounts
            .iter()
            .filter(|account| account.upstream.as_str() == MEGALLM);
        Ok(Reloaded {
            accounts: accounts.count(),
            added,
            removed,
        })
    }
}

/// Looks at the key file, away from the threads that serve requests.
async fn find(turn: &Turn, look: Look) -> Result<Option<Found>, CurateError> {
    let finder = turn.environment.finder(look);
    let found = tokio::task::spawn_blocking(finder).await;
    Ok(found.map_err(|_| StoreError::Closed)?)
}
