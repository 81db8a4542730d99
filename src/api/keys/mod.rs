//! Client keys: create, list, show, update, rotate, revoke, import.

pub mod shapes;

use std::time::Duration;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;

use self::shapes::{
    CreateKey, Created, ImportKeys, ImportedKeys, IssuedKey, KeyPage, KeyView, LimitsView, RevokedKey, RotateKey,
    UpdateKey,
};
use super::error::{ApiError, Code};
use super::guard::{Authorized, NoBody, ToAdmin};
use super::{Tag, page};
use crate::auth::{Actor, KeyChange, KeySpec, Rotation};
use crate::import::jimeng;
use crate::model::clock::Timestamp;
use crate::model::id::KeyId;
use crate::model::key::{Limits, Scheme, Schemes, Scope, Scopes};

/// The routes of client keys.
pub struct KeysApi;

#[OpenApi(tag = "Tag::Keys")]
impl KeysApi {
    /// Create a client key
    ///
    /// A key can only make keys whose scopes, schemes, models and limits lie within its own.
    #[oai(path = "/admin/keys", method = "post", operation_id = "keys_create")]
    async fn create(&self, authorized: Authorized<ToAdmin, Json<CreateKey>>) -> Result<Created, ApiError> {
        let by = actor(&authorized);
        let Json(body) = authorized.body;
        let spec = KeySpec {
            description: body.description.unwrap_or_default(),
            expires_at: moment(body.expires_at)?,
            scopes: body
                .scopes
                .map_or(Ok(Scopes::of([Scope::Relay])), |names| scopes(&names))?,
            schemes: body.schemes.map_or(Ok(Schemes::all()), |names| schemes(&names))?,
            models: body.models,
            limits: limits(&body.limits.unwrap_or_default())?,
        };
        let issued = authorized.services.issuer.create(spec, &by).await?;
        Ok(Created::Created(Json(IssuedKey::new(
            &issued,
            authorized.services.clock.wall(),
        ))))
    }

    /// List client keys
    ///
    /// Newest first, without their secrets.
    #[oai(path = "/admin/keys", method = "get", operation_id = "keys_list")]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<KeyPage>, ApiError> {
        let limit = page::limit(limit.0)?;
        let key = &authorized.services.store.keyring().cursor;
        let from = page::place(key, "keys", cursor.0.as_deref())?.unwrap_or(0);
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        let now = authorized.services.clock.wall();
        let all = authorized.services.directory.list();
        let items: Vec<_> = all
            .iter()
            .skip(skip)
            .take(limit)
            .map(|key| KeyView::new(key, now))
            .collect();
        let more = all.len() > skip.saturating_add(items.len());
        let next_cursor = more.then(|| page::cursor(key, "keys", from + items.len() as u64));
        Ok(Json(KeyPage { items, next_cursor }))
    }

    /// Show a client key
    ///
    /// Without its secret, which is shown once: when the key is made.
    #[oai(path = "/admin/keys/:id", method = "get", operation_id = "keys_get")]
    async fn show(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `key_` and 16 hex digits.
        id: Path<String>,
    ) -> Result<Json<KeyView>, ApiError> {
        let key = authorized
            .services
            .directory
            .get(key_id(&id.0)?)
            .ok_or_else(no_such_key)?;
        Ok(Json(KeyView::new(&key, authorized.services.clock.wall())))
    }

    /// Change a client key
    ///
    /// In force from the next request on.
    #[oai(path = "/admin/keys/:id", method = "patch", operation_id = "keys_update")]
    async fn update(
        &self,
        authorized: Authorized<ToAdmin, Json<UpdateKey>>,
        /// `key_` and 16 hex digits.
        id: Path<String>,
    ) -> Result<Json<KeyView>, ApiError> {
        let by = actor(&authorized);
        let Json(body) = authorized.body;
        let change = KeyChange {
            description: cleared(body.description).map(Option::unwrap_or_default),
            expires_at: cleared(body.expires_at).map(moment).transpose()?,
            scopes: body.scopes.map(|names| scopes(&names)).transpose()?,
            schemes: body.schemes.map(|names| schemes(&names)).transpose()?,
            models: cleared(body.models),
            limits: cleared(body.limits)
                .map(|view| limits(&view.unwrap_or_default()))
                .transpose()?,
        };
        let key = authorized.services.issuer.update(key_id(&id.0)?, change, &by).await?;
        Ok(Json(KeyView::new(&key, authorized.services.clock.wall())))
    }

    /// Replace a client key
    ///
    /// The new key has the old one's expiry, limits, scopes and tasks; both are valid during the grace.
    #[oai(path = "/admin/keys/:id/rotate", method = "post", operation_id = "keys_rotate")]
    async fn rotate(
        &self,
        authorized: Authorized<ToAdmin, Json<RotateKey>>,
        /// `key_` and 16 hex digits.
        id: Path<String>,
    ) -> Result<Created, ApiError> {
        let by = actor(&authorized);
        let Json(body) = authorized.body;
        let rotation = Rotation {
            description: body.description,
            expires_at: moment(body.expires_at)?,
            grace: body
                .grace_seconds
                .map_or(Rotation::default().grace, Duration::from_secs),
        };
        let issued = authorized.services.issuer.rotate(key_id(&id.0)?, rotation, &by).await?;
        Ok(Created::Created(Json(IssuedKey::new(
            &issued,
            authorized.services.clock.wall(),
        ))))
    }

    /// Revoke a client key
    ///
    /// For good, and in force from the next request on.
    #[oai(path = "/admin/keys/:id/revoke", method = "post", operation_id = "keys_revoke")]
    async fn revoke(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `key_` and 16 hex digits.
        id: Path<String>,
    ) -> Result<Json<RevokedKey>, ApiError> {
        let key = authorized
            .services
            .issuer
            .revoke(key_id(&id.0)?, &actor(&authorized))
            .await?;
        Ok(Json(RevokedKey {
            id: key.id.to_string(),
            status: "revoked".to_owned(),
        }))
    }

    /// Import keys of a jimeng-relay
    ///
    /// Rows of its `api_keys` table, whose secrets are sealed under the same `API_KEY_ENCRYPTION_KEY`. Clients go on with
    /// the keys they have.
    #[oai(path = "/admin/keys/import", method = "post", operation_id = "keys_importRows")]
    async fn import(&self, authorized: Authorized<ToAdmin, Json<ImportKeys>>) -> Result<Json<ImportedKeys>, ApiError> {
        let by = actor(&authorized);
        let Json(body) = authorized.body;
        let rows = serde_json::Value::Array(body.rows.into_iter().map(|row| row.0).collect()).to_string();
        let found = jimeng::from_json(rows.as_bytes(), &authorized.services.master_key)
            .map_err(|error| ApiError::validation(error.to_string()).about("rows"))?;
        let imported = authorized.services.issuer.import(found.keys, &by).await?;
        Ok(Json(ImportedKeys {
            added: imported.added as u64,
            skipped: imported.skipped as u64,
            errors: found.refused.iter().map(ToString::to_string).collect(),
        }))
    }
}

fn actor<D, B>(authorized: &Authorized<D, B>) -> Actor {
    Actor::of(&authorized.caller, Some(authorized.arrival.request))
}

fn key_id(text: &str) -> Result<KeyId, ApiError> {
    text.parse().map_err(|_| no_such_key())
}

pub(super) fn no_such_key() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such client key")
}

/// A field that may be absent (it stays), null (it is cleared) or set.
#[expect(clippy::option_option, reason = "the three cases are what `KeyChange` takes")]
fn cleared<T>(field: MaybeUndefined<T>) -> Option<Option<T>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

fn moment(text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let wrong = |error| ApiError::validation(format!("expires_at is {error}")).about("expires_at");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

fn scopes(names: &[String]) -> Result<Scopes, ApiError> {
    let wrong = || ApiError::validation("scopes are relay, jobs and admin").about("scopes");
    names
        .iter()
        .map(|name| Scope::from_label(name).ok_or_else(wrong))
        .collect::<Result<Vec<_>, _>>()
        .map(Scopes::of)
}

fn schemes(names: &[String]) -> Result<Schemes, ApiError> {
    let wrong = || ApiError::validation("schemes are signed and bearer").about("schemes");
    names
        .iter()
        .map(|name| Scheme::from_label(name).ok_or_else(wrong))
        .collect::<Result<Vec<_>, _>>()
        .map(Schemes::of)
}

fn limits(view: &LimitsView) -> Result<Limits, ApiError> {
    if view.budget.is_some() {
        let message = "this version does not enforce limits.budget, so it does not promise it: leave it out";
        return Err(ApiError::validation(message).about("limits.budget"));
    }
    Ok(Limits {
        concurrency: positive("concurrency", view.concurrency)?,
        queue: view.queue,
        requests_per_minute: positive("requests_per_minute", view.requests_per_minute)?,
        requests_per_day: positive("requests_per_day", view.requests_per_day)?,
        tokens_per_minute: positive("tokens_per_minute", view.tokens_per_minute)?,
    })
}

/// A limit that is at least 1 where it is given: a key that may do nothing is a revoked one.
fn positive<T, N: TryFrom<T>>(name: &str, limit: Option<T>) -> Result<Option<N>, ApiError> {
    let zero = |_| ApiError::validation(format!("limits.{name} is at least 1")).about(format!("limits.{name}"));
    limit.map(|limit| N::try_from(limit).map_err(zero)).transpose()
}
