//! `tollgate key`: client keys.

mod change;
mod import;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;

use self::change::{Change, Grant, Limits};
use self::view::{ImportedKeys, IssuedKey, KeyDetails, KeyView, RevokedKey};
use super::error::CliError;
use super::output::Output;
use super::page::Page;
use super::reach::Reach;
use super::target::Target;
use crate::model::clock::Timestamp;
use crate::model::id::KeyId;

/// Issue and withdraw client keys
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: KeyAction,
}

/// What is done with client keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyAction {
    /// Issue a key, for the relay and all models unless told otherwise; its secret is shown this once
    Create(Create),
    /// List every key, newest first
    List,
    /// Show one key
    Show(Id),
    /// Change a key's description, expiry, scopes, schemes, models or limits
    Update(Update),
    /// Issue a successor for a key, which keeps its owner, and retire the key after a grace period
    Rotate(Rotate),
    /// Withdraw a key; it is refused from the next request on
    Revoke(Id),
    /// Take over the client keys of jimeng-relay, from its SQLite file or a JSON array of its `api_keys` rows
    Import(Import),
}

/// Names one key.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// The key, such as `key_0123456789abcdef`
    #[arg(long, value_name = "KEY")]
    id: KeyId,
}

/// `key create`
#[derive(Debug, Args)]
pub(super) struct Create {
    /// What you call it
    #[arg(long, allow_hyphen_values = true)]
    description: Option<String>,
    /// When it expires, as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    grant: Grant,
}

/// `key update`
#[derive(Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    change: Change,
}

/// `key rotate`
#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    id: Id,
    /// What you call the successor; else as its predecessor
    #[arg(long, allow_hyphen_values = true)]
    description: Option<String>,
    /// When the successor expires; else with its predecessor
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    /// How long the old key still works; 0 withdraws it now, and its own expiry is never put off
    #[arg(long, value_name = "LENGTH", default_value = "5m", value_parser = grace, allow_hyphen_values = true)]
    grace_period: Duration,
}

/// `key import`
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; it is only read
    file: PathBuf,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: KeyAction, target: &Target, output: Output) -> Result<(), CliError> {
    match action {
        KeyAction::Create(create) => {
            let key: IssuedKey = target.put(Method::POST, KEYS, &NewKey::from(create)).await?;
            output.show(&key)
        }
        KeyAction::List => output.show(&Page::<KeyView>::all(target, KEYS).await?),
        KeyAction::Show(Id { id }) => output.show(&target.get::<KeyDetails>(&path(id)).await?),
        KeyAction::Update(Update { id: Id { id }, change }) => {
            // The server takes limits as a whole; those that are not named stay what they are.
            let limits = if change.has_limits() {
                target.get::<KeyDetails>(&path(id)).await?.into_limits()
            } else {
                Limits::default()
            };
            let body = change.into_patch(limits)?;
            output.show(&target.put::<KeyDetails>(Method::PATCH, &path(id), &body).await?)
        }
        KeyAction::Rotate(rotate) => {
            let path = format!("{}/rotate", path(rotate.id.id));
            let key: IssuedKey = target.put(Method::POST, &path, &Successor::from(rotate)).await?;
            output.show(&key)
        }
        KeyAction::Revoke(Id { id }) => {
            let path = format!("{}/revoke", path(id));
            output.show(&target.post::<RevokedKey>(&path).await?)
        }
        KeyAction::Import(Import { file }) => {
            let rows = import::rows(&file)?;
            let path = format!("{KEYS}/import");
            let imported: ImportedKeys = target.put(Method::POST, &path, &rows).await?;
            output.show(&imported)?;
            imported.into_result(&file)
        }
    }
}

fn path(id: KeyId) -> String {
    format!("{KEYS}/{id}")
}

/// A new key, as the admin interface wants it.
#[derive(Serialize)]
struct NewKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(flatten)]
    grant: Grant,
}

impl From<Create> for NewKey {
    fn from(create: Create) -> Self {
        Self {
            description: create.description,
            expires_at: create.expires_at.map(|moment| moment.to_string()),
            grant: create.grant,
        }
    }
}

/// The successor of a key, as the admin interface wants it.
#[derive(Serialize)]
struct Successor {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    grace_seconds: u64,
}

impl From<Rotate> for Successor {
    fn from(rotate: Rotate) -> Self {
        Self {
            description: rotate.description,
            expires_at: rotate.expires_at.map(|moment| moment.to_string()),
            grace_seconds: rotate.grace_period.as_secs(),
        }
    }
}

/// A length of time in whole seconds, as Go's `flag` package and our variables write it.
fn grace(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("a grace period cannot be negative; 0 withdraws the old key now".to_owned());
    }
    let length = crate::config::parse_length(text)?;
    if length.subsec_nanos() != 0 {
        return Err("a grace period has whole seconds".to_owned());
    }
    Ok(length)
}

const KEYS: &str = "/admin/keys";

#[cfg(test)]
mod tests;
