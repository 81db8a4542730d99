//! What may be asked of the issuer.

use std::time::Duration;

use crate::auth::error::KeyError;
use crate::model::clock::Timestamp;
use crate::model::key::{ApiKey, Limits, Schemes, Scopes};
use crate::model::secret::Secret;

/// A key to be issued.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// What the operator calls it: up to 256 bytes.
    pub description: String,
    /// From when on it no longer works; in the future.
    pub expires_at: Option<Timestamp>,
    /// What it may be used for; at least one.
    pub scopes: Scopes,
    /// How its holder may prove it; at least one.
    pub schemes: Schemes,
    /// Models and `req_key`s it may name, up to 256 of up to 256 bytes; `None` allows every one.
    pub models: Option<Vec<String>>,
    /// Its own limits.
    pub limits: Limits,
}

/// A key that was just issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The key.
    pub key: ApiKey,
    /// Its secret. This is the only time it is shown.
    pub secret: Secret,
}

/// New settings of a key, with the bounds of [`KeySpec`]. What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// What the operator calls it.
    pub description: Option<String>,
    /// From when on it no longer works; `Some(None)` means never.
    pub expires_at: Option<Option<Timestamp>>,
    /// What it may be used for.
    pub scopes: Option<Scopes>,
    /// How its holder may prove it.
    pub schemes: Option<Schemes>,
    /// Models and `req_key`s it may name; `Some(None)` means every one.
    pub models: Option<Option<Vec<String>>>,
    /// Its own limits, all of them.
    pub limits: Option<Limits>,
}

/// How a key is to be replaced.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// What the new key is called; `None` for what the old one is called.
    pub description: Option<String>,
    /// From when on the new key no longer works; `None` for when the old one would not.
    pub expires_at: Option<Timestamp>,
    /// How long the old key works on, at most; zero revokes it at once.
    pub grace: Duration,
}

impl Default for Rotation {
    /// As jimeng-relay's `key rotate` without flags: five minutes of grace.
    fn default() -> Self {
        Self {
            description: None,
            expires_at: None,
            grace: Duration::from_mins(5),
        }
    }
}

impl KeyChange {
    /// `key` with these settings.
    pub(super) fn of(self, key: &ApiKey) -> ApiKey {
        let mut key = key.clone();
        key.description = self.description.unwrap_or(key.description);
        key.expires_at = self.expires_at.unwrap_or(key.expires_at);
        key.scopes = self.scopes.unwrap_or(key.scopes);
        key.schemes = self.schemes.unwrap_or(key.schemes);
        key.models = self.models.unwrap_or(key.models);
        key.limits = self.limits.unwrap_or(key.limits);
        key
    }
}

/// Whether a key makes sense as it would be.
pub(super) fn check(key: &ApiKey) -> Result<(), KeyError> {
    let models = key.models.as_deref().unwrap_or_default();
    let rules = [
        (
            key.description.len() <= MAX_TEXT,
            "description",
            "must not be longer than 256 bytes",
        ),
        (!key.scopes.is_empty(), "scopes", "must name at least one scope"),
        (!key.schemes.is_empty(), "schemes", "must name at least one scheme"),
        (
            models.len() <= MAX_MODELS,
            "models",
            "must not name more than 256 models",
        ),
        (
            models.iter().all(|model| (1..=MAX_TEXT).contains(&model.len())),
            "models",
            "must have between 1 and 256 bytes each",
        ),
    ];
    match rules.iter().find(|(holds, ..)| !holds) {
        Some(&(_, field, problem)) => Err(KeyError::Invalid { field, problem }),
        None => Ok(()),
    }
}

/// Whether an expiry lies in the future.
pub(super) fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), KeyError> {
    if expires_at.is_none_or(|end| end > now) {
        return Ok(());
    }
    Err(KeyError::Invalid {
        field: "expires_at",
        problem: "must be in the future",
    })
}

const MAX_TEXT: usize = 256;
const MAX_MODELS: usize = 256;
