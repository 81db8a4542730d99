//! Adding and removing accounts, and what people decide of them.

use std::num::NonZeroU32;

use super::{By, Curator, Edit};
use crate::catalogue::error::CurateError;
use crate::catalogue::mask::mask;
use crate::catalogue::sealed;
use crate::model::account::{Account, AccountState, Standing, StateReason};
use crate::model::id::AccountId;
use crate::model::record::AdminAction;
use crate::model::secret::Secret;
use crate::model::upstream::{Source, Upstream, UpstreamName};

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its key: 1 to 4096 visible ASCII characters.
    pub credential: Secret,
    /// Its share of the traffic beside the others of its pool, 1 to 1000.
    pub weight: NonZeroU32,
}

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Accounts that were added.
    pub added: usize,
    /// Keys whose accounts were there already.
    pub skipped: usize,
}

/// What a person decides of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be used, whatever was seen of it.
    Enable,
    /// It is not used until it is enabled again.
    Disable,
    /// What was seen of it is forgotten. It does not bring back what a person took out.
    Reset,
}

impl Decision {
    const fn label(self) -> &'static str {
        match self {
            Self::Enable => "account.enable",
            Self::Disable => "account.disable",
            Self::Reset => "account.reset",
        }
    }
}

impl Curator {
    /// Adds an account to an upstream's pool.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is added then.
    pub async fn add_account(&self, name: &UpstreamName, new: NewAccount, by: By) -> Result<Account, CurateError> {
        let turn = self.turn().await;
        let upstream = self.own(name)?;
        check(&new.credential)?;
        if new.weight.get() > MOST_WEIGHT {
            return Err(CurateError::invalid("weight", "must be between 1 and 1000"));
        }
        let account = self.new_account(&upstream, new);
        if self.account(name, account.id).is_ok() {
            return Err(CurateError::Exists { what: "an account" });
        }
        let edit = self.put(
            &upstream,
            turn.stored.next_position(),
            account.clone(),
            by,
            "account.add",
        )?;
        self.commit(turn, vec![edit]).await?;
        Ok(account)
    }

    /// Adds an account for each key that is not in the upstream's pool yet, all in one commit.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is added then.
    pub async fn import_accounts(
        &self,
        name: &UpstreamName,
        keys: Vec<Secret>,
        by: By,
    ) -> Result<Imported, CurateError> {
        let turn = self.turn().await;
        let upstream = self.own(name)?;
        let mut known: std::collections::HashSet<_> = turn.stored.accounts.values().map(|account| account.id).collect();
        let mut imported = Imported::default();
        let mut edits = Vec::new();
        for (credential, position) in keys.into_iter().zip(turn.stored.next_position()..) {
            check(&credential)?;
            let weight = NonZeroU32::MIN;
            let account = self.new_account(&upstream, NewAccount { credential, weight });
            if known.insert(account.id) {
                imported.added += 1;
                edits.push(self.put(&upstream, position, account, by, "account.import")?);
            } else {
                imported.skipped += 1;
            }
        }
        if !edits.is_empty() {
            self.commit(turn, edits).await?;
        }
        Ok(imported)
    }

    /// Removes an account. Its tasks are asked about with the other accounts of its upstream.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is removed then.
    pub async fn remove_account(&self, name: &UpstreamName, id: AccountId, by: By) -> Result<(), CurateError> {
        let turn = self.turn().await;
        let source = self.account(name, id)?.source;
        if source == Source::Environment {
            return Err(CurateError::ReadOnly { what: "account" });
        }
        let edit = (Edit::RemoveAccount(id), by.did("account.remove", id));
        self.commit(turn, vec![edit]).await
    }

    /// Decides how an account stands, wherever it is defined. A decision that changes nothing is not recorded.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is changed then.
    pub async fn decide(
        &self,
        name: &UpstreamName,
        id: AccountId,
        decision: Decision,
        by: By,
    ) -> Result<Standing, CurateError> {
        let turn = self.turn().await;
        self.account(name, id)?;
        let now = self.clock.wall();
        let known = self.standings.of(id);
        let is_out = known.is_some_and(|known| known.state == AccountState::OUT);
        let decided = |state| Standing {
            state,
            reason: StateReason::Operator,
            since: now,
        };
        let standing = match decision {
            Decision::Enable => decided(AccountState::Active),
            Decision::Disable => decided(AccountState::OUT),
            Decision::Reset if is_out => {
                return Err(CurateError::invalid(
                    "account",
                    "a person took it out: enable it instead",
                ));
            }
            Decision::Reset => Standing::fresh(now),
        };
        if let Some(known) = known.filter(|known| (known.state, known.reason) == (standing.state, standing.reason)) {
            self.standings.remind(id, known);
            return Ok(known);
        }
        let edit = (Edit::Decide(id, standing), by.did(decision.label(), id));
        self.commit(turn, vec![edit]).await?;
        Ok(standing)
    }

    /// Forgets what was seen of every account that is not in use for it, and says how many there were. What a person took
    /// out stays out.
    ///
    /// # Errors
    /// [`CurateError::Store`]; nothing is changed then.
    pub async fn reset_failed(&self, by: By) -> Result<usize, CurateError> {
        let turn = self.turn().await;
        let now = self.clock.wall();
        let state = |account: &Account| {
            let known = self.standings.of(account.id);
            known.map_or(AccountState::Active, |known| known.state)
        };
        let catalogue = self.catalogue.load_full();
        let accounts = self.signing.iter().chain(&catalogue.accounts);
        let active = accounts
            .clone()
            .filter(|account| state(account) == AccountState::Active);
        active.for_each(|account| self.standings.remind(account.id, Standing::fresh(now)));
        let edits: Vec<_> = accounts
            .filter(|account| !matches!(state(account), AccountState::Active | AccountState::OUT))
            .map(|account| {
                let edit = Edit::Decide(account.id, Standing::fresh(now));
                (edit, by.did(Decision::Reset.label(), account.id))
            })
            .collect();
        let reset = edits.len();
        if reset > 0 {
            self.commit(turn, edits).await?;
        }
        Ok(reset)
    }

    fn new_account(&self, upstream: &Upstream, new: NewAccount) -> Account {
        let credential = new.credential.expose();
        Account {
            id: self.store.keyring().id.account(upstream.name.as_str(), credential),
            upstream: upstream.name.clone(),
            mask: mask(credential),
            weight: new.weight,
            source: Source::Store,
            credential: new.credential,
        }
    }

    fn put(
        &self,
        upstream: &Upstream,
        position: u64,
        account: Account,
        by: By,
        action: &str,
    ) -> Result<(Edit, AdminAction), CurateError> {
        let row = sealed::seal(
            &account,
            position,
            &upstream.base_url,
            &self.store,
            self.entropy.as_ref(),
        )?;
        let entry = by.did(action, account.id);
        Ok((Edit::PutAccount { row, account }, entry))
    }
}

/// Whether a key can travel in a header.
fn check(credential: &Secret) -> Result<(), CurateError> {
    let text = credential.expose();
    if (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(CurateError::invalid(
        "credential",
        "must have 1 to 4096 visible ASCII characters, without spaces",
    ))
}

const MOST_WEIGHT: u32 = 1000;
const LONGEST_KEY: usize = 4096;
