//! Accounts: list, add, import, enable, disable, reset, remove, and the MegaLLM proxy's two routes.

use std::num::NonZeroU32;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::super::error::{ApiError, Code};
use super::super::guard::{Authorized, NoBody, ToAdmin};
use super::super::{Services, Tag, page};
use super::{Removed, by, upstream_name};
use crate::catalogue::{By, Decision, NewAccount};
use crate::model::account::{Account, AccountState, Standing};
use crate::model::id::AccountId;
use crate::model::secret::Secret;

/// An account to be added.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub struct AddAccount {
    /// Its key at the upstream. It is sealed, and never shown again.
    pub credential: String,
    /// Its share of the traffic beside the others, 1 to 1000; 1 unless told.
    pub weight: Option<u32>,
}

/// Keys to be imported.
#[derive(Object)]
#[oai(rename = "AddAccounts", deny_unknown_fields)]
pub struct ImportAccounts {
    /// One key for each account. They are sealed, and never shown again.
    pub credentials: Vec<String>,
}

/// What an import did.
#[derive(Debug, Object)]
#[oai(rename = "AddedAccounts")]
pub struct ImportedAccounts {
    /// Accounts that are new here.
    pub added: u64,
    /// Keys whose accounts were here already.
    pub skipped: u64,
}

/// An account, without its credential.
#[derive(Debug, Object)]
#[oai(rename = "Account", skip_serializing_if_is_none)]
pub struct AccountView {
    /// `acc_` and 16 hex digits; the same after a restart.
    pub id: String,
    /// Whose pool it is in.
    pub upstream: String,
    /// The first characters of its credential, never more than a quarter of it.
    pub mask: String,
    /// Its share of the traffic beside the others.
    pub weight: u32,
    /// `environment` (read-only here) or `store`.
    pub source: String,
    /// `active`, `cooling`, `exhausted` or `disabled`.
    pub state: String,
    /// Why: `fine`, `unauthorized`, `exhausted`, `limited` or `operator`.
    pub reason: String,
    /// Since when; absent where nothing ever happened to it.
    pub since: Option<String>,
    /// When it is tried again by itself; absent where it is not out of use, or waits for a person.
    pub until: Option<String>,
}

/// A page of accounts.
#[derive(Debug, Object)]
pub struct AccountPage {
    /// In the order of their definition.
    pub items: Vec<AccountView>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// An account was added.
#[derive(Debug, ApiResponse)]
pub enum AddedAccount {
    /// The account.
    #[oai(status = 201)]
    Added(Json<AccountView>),
}

/// What came of reading the key file again.
#[derive(Debug, Object)]
#[oai(rename = "ReloadedAccounts")]
pub struct ReloadedKeys {
    /// In a sentence, as the MegaLLM proxy answered.
    pub message: String,
    /// Accounts that the file holds now.
    pub accounts: u64,
    /// Those that are new.
    pub added: u64,
    /// Those that are gone.
    pub removed: u64,
}

/// What came of a reset.
#[derive(Debug, Object)]
#[oai(rename = "ResetAccounts")]
pub struct ResetKeys {
    /// In a sentence, as the MegaLLM proxy answered.
    pub message: String,
    /// Accounts that may be used again.
    pub reset: u64,
}

/// The routes of accounts.
pub struct AccountsApi;

#[OpenApi(tag = "Tag::Accounts")]
impl AccountsApi {
    /// List an upstream's accounts
    ///
    /// How each stands, since when and why, without its credential.
    #[oai(
        path = "/admin/upstreams/:id/accounts",
        method = "get",
        operation_id = "accounts_list"
    )]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// The upstream.
        id: Path<String>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AccountPage>, ApiError> {
        let name = upstream_name(&id.0)?;
        let services = authorized.services;
        let accounts = services.curator.accounts(&name)?;
        let views = accounts.iter().map(|account| AccountView::of(account, &services));
        let key = &services.store.keyring().cursor;
        let (items, next_cursor) = page::of(views, key, "accounts", limit.0, cursor.0.as_deref())?;
        Ok(Json(AccountPage { items, next_cursor }))
    }

    /// Add an account
    ///
    /// Its credential is sealed in the store. In force from the next call on.
    #[oai(
        path = "/admin/upstreams/:id/accounts",
        method = "post",
        operation_id = "accounts_add"
    )]
    async fn add(
        &self,
        authorized: Authorized<ToAdmin, Json<AddAccount>>,
        /// The upstream.
        id: Path<String>,
    ) -> Result<AddedAccount, ApiError> {
        let name = upstream_name(&id.0)?;
        let by = by(&authorized);
        let Json(body) = authorized.body;
        let no_share = || ApiError::validation("weight must be between 1 and 1000").about("weight");
        let new = NewAccount {
            credential: Secret::new(body.credential),
            weight: NonZeroU32::new(body.weight.unwrap_or(1)).ok_or_else(no_share)?,
        };
        let account = authorized.services.curator.add_account(&name, new, by).await?;
        Ok(AddedAccount::Added(Json(AccountView::of(
            &account,
            &authorized.services,
        ))))
    }

    /// Import keys
    ///
    /// Adds an account for each key that the upstream does not have yet, all or none.
    #[oai(
        path = "/admin/upstreams/:id/accounts/import",
        method = "post",
        operation_id = "accounts_addMany"
    )]
    async fn import(
        &self,
        authorized: Authorized<ToAdmin, Json<ImportAccounts>>,
        /// The upstream.
        id: Path<String>,
    ) -> Result<Json<ImportedAccounts>, ApiError> {
        let name = upstream_name(&id.0)?;
        let by = by(&authorized);
        let Json(body) = authorized.body;
        let keys = body.credentials.into_iter().map(Secret::new).collect();
        let imported = authorized.services.curator.import_accounts(&name, keys, by).await?;
        Ok(Json(ImportedAccounts {
            added: imported.added as u64,
            skipped: imported.skipped as u64,
        }))
    }

    /// Put an account back into use
    ///
    /// Whatever was seen of it, and also if a person took it out.
    #[oai(
        path = "/admin/upstreams/:id/accounts/:account/enable",
        method = "post",
        operation_id = "accounts_enable"
    )]
    async fn enable(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// The upstream.
        id: Path<String>,
        /// `acc_` and 16 hex digits.
        account: Path<String>,
    ) -> Result<Json<AccountView>, ApiError> {
        let by = by(&authorized);
        decide(&authorized.services, &id.0, &account.0, Decision::Enable, by).await
    }

    /// Take an account out of use
    ///
    /// Until it is enabled. Queries for its own tasks still go to it.
    #[oai(
        path = "/admin/upstreams/:id/accounts/:account/disable",
        method = "post",
        operation_id = "accounts_disable"
    )]
    async fn disable(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// The upstream.
        id: Path<String>,
        /// `acc_` and 16 hex digits.
        account: Path<String>,
    ) -> Result<Json<AccountView>, ApiError> {
        let by = by(&authorized);
        decide(&authorized.services, &id.0, &account.0, Decision::Disable, by).await
    }

    /// Forget what was seen of an account
    ///
    /// It is used again at once. One that a person took out stays out: enable it.
    #[oai(
        path = "/admin/upstreams/:id/accounts/:account/reset",
        method = "post",
        operation_id = "accounts_reset"
    )]
    async fn reset(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// The upstream.
        id: Path<String>,
        /// `acc_` and 16 hex digits.
        account: Path<String>,
    ) -> Result<Json<AccountView>, ApiError> {
        let by = by(&authorized);
        decide(&authorized.services, &id.0, &account.0, Decision::Reset, by).await
    }

    /// Remove an account
    ///
    /// For good, with its sealed credential.
    #[oai(
        path = "/admin/upstreams/:id/accounts/:account",
        method = "delete",
        operation_id = "accounts_remove"
    )]
    async fn remove(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// The upstream.
        id: Path<String>,
        /// `acc_` and 16 hex digits.
        account: Path<String>,
    ) -> Result<Json<Removed>, ApiError> {
        let (name, number) = (upstream_name(&id.0)?, account_id(&account.0)?);
        let by = by(&authorized);
        authorized.services.curator.remove_account(&name, number, by).await?;
        Ok(Json(Removed::new(account.0)))
    }

    /// Read the key file again
    ///
    /// `KEY_FILE_PATH`, which is also looked at every 5 s. The path is the MegaLLM proxy's.
    #[oai(path = "/admin/reload-keys", method = "post", operation_id = "accounts_reload")]
    async fn reload_keys(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<ReloadedKeys>, ApiError> {
        let by = by(&authorized);
        let reloaded = authorized.services.curator.reload_keys(by).await?;
        Ok(Json(ReloadedKeys {
            message: format!(
                "the key file holds {} keys: {} new, {} gone",
                reloaded.accounts, reloaded.added, reloaded.removed
            ),
            accounts: reloaded.accounts as u64,
            added: reloaded.added as u64,
            removed: reloaded.removed as u64,
        }))
    }

    /// Forget what was seen of every failed account
    ///
    /// They are used again at once; what a person took out stays out. The path is the MegaLLM proxy's.
    #[oai(
        path = "/admin/reset-failed-keys",
        method = "post",
        operation_id = "accounts_resetFailed"
    )]
    async fn reset_failed(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<ResetKeys>, ApiError> {
        let by = by(&authorized);
        let reset = authorized.services.curator.reset_failed(by).await?;
        Ok(Json(ResetKeys {
            message: format!("{reset} accounts may be used again"),
            reset: reset as u64,
        }))
    }
}

async fn decide(
    services: &Services,
    upstream: &str,
    account: &str,
    decision: Decision,
    by: By,
) -> Result<Json<AccountView>, ApiError> {
    let (name, id) = (upstream_name(upstream)?, account_id(account)?);
    let curator = &services.curator;
    let standing = curator.decide(&name, id, decision, by).await?;
    Ok(Json(AccountView::new(&curator.account(&name, id)?, Some(standing))))
}

fn account_id(text: &str) -> Result<AccountId, ApiError> {
    text.parse()
        .map_err(|_| ApiError::new(Code::NotFound, "there is no such account"))
}

impl AccountView {
    /// As it stands now.
    fn of(account: &Account, services: &Services) -> Self {
        let standing = services.curator.standings().of(account.id);
        Self::new(account, standing.map(|standing| standing.at(services.clock.wall())))
    }

    fn new(account: &Account, standing: Option<Standing>) -> Self {
        let unknown = Standing::fresh(crate::model::clock::Timestamp::EPOCH);
        let Standing { state, reason, .. } = standing.unwrap_or(unknown);
        let until = match state {
            AccountState::Active => None,
            AccountState::Cooling { until: at } | AccountState::Exhausted { probe_at: at } => Some(at),
            AccountState::Disabled { probe_at } => probe_at,
        };
        Self {
            id: account.id.to_string(),
            upstream: account.upstream.to_string(),
            mask: account.mask.clone(),
            weight: account.weight.get(),
            source: account.source.label().to_owned(),
            state: state.label().to_owned(),
            reason: reason.label().to_owned(),
            since: standing.map(|standing| standing.since.to_string()),
            until: until.map(|at| at.to_string()),
        }
    }
}
