//! Client keys as JSON: what is asked for, and what is shown.

use std::num::{NonZeroU32, NonZeroU64};

use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object};

use crate::auth::Issued;
use crate::model::clock::Timestamp;
use crate::model::key::{ApiKey, Limits};

/// The limits of a key.
#[derive(Debug, Default, Object)]
#[oai(rename = "KeyLimits", deny_unknown_fields, skip_serializing_if_is_none)]
pub struct LimitsView {
    /// Volcengine submits in flight at once.
    pub concurrency: Option<u32>,
    /// Volcengine submits that may wait for a place.
    pub queue: Option<u32>,
    /// Submits and calls in any minute.
    pub requests_per_minute: Option<u32>,
    /// Submits and calls in any 24 hours.
    pub requests_per_day: Option<u32>,
    /// Tokens of calls in any minute.
    pub tokens_per_minute: Option<u64>,
    /// Not enforced by this version, so refused.
    pub budget: Option<u64>,
}

/// What a new key is to be.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct CreateKey {
    /// What the operator calls it.
    pub description: Option<String>,
    /// From when on it is no longer valid, RFC 3339; in the future.
    pub expires_at: Option<String>,
    /// `relay`, `jobs`, `admin`; `relay` unless told.
    pub scopes: Option<Vec<String>>,
    /// `signed`, `bearer`; both unless told.
    pub schemes: Option<Vec<String>>,
    /// The models it may name; every one unless told.
    pub models: Option<Vec<String>>,
    /// Its own limits; the server's unless told.
    pub limits: Option<LimitsView>,
}

/// What of a key is to change. A field that is absent stays; null clears.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct UpdateKey {
    /// What the operator calls it.
    pub description: MaybeUndefined<String>,
    /// From when on it is no longer valid, RFC 3339; null for never.
    pub expires_at: MaybeUndefined<String>,
    /// `relay`, `jobs`, `admin`.
    pub scopes: Option<Vec<String>>,
    /// `signed`, `bearer`.
    pub schemes: Option<Vec<String>>,
    /// The models it may name; null for every one.
    pub models: MaybeUndefined<Vec<String>>,
    /// Its own limits; null for the server's.
    pub limits: MaybeUndefined<LimitsView>,
}

/// How a key is replaced.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
pub struct RotateKey {
    /// What the new key is called; the old one's description unless told.
    pub description: Option<String>,
    /// From when on the new key is no longer valid; the old one's expiry unless told.
    pub expires_at: Option<String>,
    /// How long the old key goes on, in seconds; 300 unless told, 0 revokes it at once. It never lives longer than it
    /// would have.
    pub grace_seconds: Option<u64>,
}

/// Keys of a jimeng-relay, as the rows of its `api_keys` table.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct ImportKeys {
    /// Rows with `id`, `access_key`, `secret_key_ciphertext` and the other columns.
    pub rows: Vec<poem_openapi::types::Any<serde_json::Value>>,
}

/// What an import did.
#[derive(Debug, Object)]
pub struct ImportedKeys {
    /// Keys that are new here.
    pub added: u64,
    /// Keys that were here already.
    pub skipped: u64,
    /// Rows that could not be read, each with its id and what to do.
    pub errors: Vec<String>,
}

/// A key without its secret.
#[derive(Debug, Object)]
#[oai(rename = "Key", skip_serializing_if_is_none)]
pub struct KeyView {
    /// `key_` and 16 hex digits.
    pub id: String,
    /// The public half, which signed requests name.
    pub access_key: String,
    /// What the operator calls it.
    pub description: Option<String>,
    /// When it was issued.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// From when on it is no longer valid.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The key that it replaced.
    pub rotation_of: Option<String>,
    /// `active`, `revoked` or `expired`.
    pub status: String,
    /// Its rotation family, to which tasks and idempotency keys belong.
    pub owner: String,
    /// What it may do.
    #[oai(flatten)]
    pub extent: KeyExtent,
}

/// A new key. Its secret is shown here and never again.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct IssuedKey {
    /// `key_` and 16 hex digits.
    pub id: String,
    /// The public half, which signed requests name.
    pub access_key: String,
    /// The secret half: keep it now.
    pub secret_key: String,
    /// What the operator calls it.
    pub description: Option<String>,
    /// When it was issued.
    pub created_at: String,
    /// From when on it is no longer valid.
    pub expires_at: Option<String>,
    /// The key that it replaces.
    pub rotation_of: Option<String>,
    /// `active`.
    pub status: String,
    /// Its rotation family.
    pub owner: String,
    /// What it may do.
    #[oai(flatten)]
    pub extent: KeyExtent,
}

/// What a key may do, as every view of it says.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct KeyExtent {
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// How its holder may prove it.
    pub schemes: Vec<String>,
    /// The models it may name; absent for every one.
    pub models: Option<Vec<String>>,
    /// Its own limits; absent where the server's hold.
    pub limits: Option<LimitsView>,
}

/// A key that was revoked.
#[derive(Debug, Object)]
pub struct RevokedKey {
    /// The key.
    pub id: String,
    /// `revoked`.
    pub status: String,
}

/// A page of keys.
#[derive(Debug, Object)]
pub struct KeyPage {
    /// Newest first.
    pub items: Vec<KeyView>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// A key was made.
#[derive(Debug, ApiResponse)]
pub enum Created {
    /// The key, with its secret.
    #[oai(status = 201)]
    Created(Json<IssuedKey>),
}

impl IssuedKey {
    pub(super) fn new(issued: &Issued, now: Timestamp) -> Self {
        let view = KeyView::new(&issued.key, now);
        Self {
            id: view.id,
            access_key: view.access_key,
            secret_key: issued.secret.expose().to_owned(),
            description: view.description,
            created_at: view.created_at,
            expires_at: view.expires_at,
            rotation_of: view.rotation_of,
            status: view.status,
            owner: view.owner,
            extent: view.extent,
        }
    }
}

impl KeyView {
    /// What a key is at `now`.
    #[must_use]
    pub fn new(key: &ApiKey, now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            access_key: key.access_key.clone(),
            description: Some(key.description.clone()).filter(|text| !text.is_empty()),
            created_at: key.created_at.to_string(),
            updated_at: key.updated_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at().map(|at| at.to_string()),
            rotation_of: key.rotation_of.map(|id| id.to_string()),
            status: key.status(now).label().to_owned(),
            owner: key.owner.to_string(),
            extent: KeyExtent::new(key),
        }
    }
}

impl KeyExtent {
    fn new(key: &ApiKey) -> Self {
        let limits = (key.limits != Limits::default()).then(|| LimitsView {
            concurrency: key.limits.concurrency.map(NonZeroU32::get),
            queue: key.limits.queue,
            requests_per_minute: key.limits.requests_per_minute.map(NonZeroU32::get),
            requests_per_day: key.limits.requests_per_day.map(NonZeroU32::get),
            tokens_per_minute: key.limits.tokens_per_minute.map(NonZeroU64::get),
            budget: None,
        });
        Self {
            scopes: key.scopes.iter().map(|scope| scope.label().to_owned()).collect(),
            schemes: key.schemes.iter().map(|scheme| scheme.label().to_owned()).collect(),
            models: key.models.clone(),
            limits,
        }
    }
}
