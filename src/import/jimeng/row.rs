//! One row of jimeng-relay's table `api_keys`.

use serde::Deserialize;

use crate::crypto::keyring::MasterKey;
use crate::crypto::legacy::{LegacyError, open_v1};
use crate::model::clock::Timestamp;
use crate::model::id::KeyId;
use crate::model::key::Standing;
use crate::model::legacy::LegacyKey;

/// One row as it was read. Every column is text there, times as Go's `RFC3339Nano`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    id: Option<String>,
    access_key: Option<String>,
    secret_key_ciphertext: Option<String>,
    description: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    rotation_of: Option<String>,
    status: Option<String>,
}

impl Row {
    /// From SQLite, whose columns hold values of any type.
    pub(super) fn of_sqlite(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        let text = |name: &str| row.get::<_, Option<String>>(name);
        Ok(Self {
            id: text("id")?,
            access_key: text("access_key")?,
            secret_key_ciphertext: text("secret_key_ciphertext")?,
            description: text("description")?,
            created_at: text("created_at")?,
            updated_at: text("updated_at")?,
            expires_at: text("expires_at")?,
            revoked_at: text("revoked_at")?,
            rotation_of: text("rotation_of")?,
            status: text("status")?,
        })
    }

    /// From a JSON object.
    pub(super) fn of_json(row: serde_json::Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(row)
    }

    /// The key, its secret opened under the key that jimeng-relay ran with.
    pub(super) fn into_key(self, master: &MasterKey) -> Result<LegacyKey, Refused> {
        let name = self.id.clone().unwrap_or_default();
        self.read(master).map_err(|why| Refused { row: name, why })
    }

    fn read(self, master: &MasterKey) -> Result<LegacyKey, Why> {
        let id = key_id("id", &required("id", self.id)?)?;
        let access_key = required("access_key", self.access_key)?;
        let ciphertext = required("secret_key_ciphertext", self.secret_key_ciphertext)?;
        let created_at = moment("created_at", &required("created_at", self.created_at)?)?;
        let updated_at = optional("updated_at", self.updated_at, moment)?.unwrap_or(created_at);
        let revoked_at = optional("revoked_at", self.revoked_at, moment)?;
        let expires_at = optional("expires_at", self.expires_at, moment)?;
        // The status counts beside the times, as it did there.
        let (standing, expires_at) = match (required("status", self.status)?.as_str(), revoked_at) {
            ("revoked", at) => (Standing::Revoked(at.unwrap_or(updated_at)), expires_at),
            ("active" | "expired", Some(at)) => (Standing::Revoked(at), expires_at),
            ("active", None) => (Standing::Active, expires_at),
            ("expired", None) => {
                let end = expires_at.map_or(updated_at, |end| end.min(updated_at));
                (Standing::Active, Some(end))
            }
            _ => return Err(Why::Column { column: "status" }),
        };
        Ok(LegacyKey {
            id,
            access_key,
            secret: open_v1(master, &ciphertext)?,
            description: self.description.unwrap_or_default(),
            created_at,
            updated_at,
            expires_at,
            standing,
            rotation_of: optional("rotation_of", self.rotation_of, key_id)?,
        })
    }
}

fn required(column: &'static str, value: Option<String>) -> Result<String, Why> {
    value.filter(|text| !text.is_empty()).ok_or(Why::Column { column })
}

fn optional<T>(
    column: &'static str,
    value: Option<String>,
    read: fn(&'static str, &str) -> Result<T, Why>,
) -> Result<Option<T>, Why> {
    value
        .filter(|text| !text.is_empty())
        .map(|text| read(column, &text))
        .transpose()
}

fn key_id(column: &'static str, text: &str) -> Result<KeyId, Why> {
    text.parse().map_err(|_| Why::Column { column })
}

fn moment(column: &'static str, text: &str) -> Result<Timestamp, Why> {
    text.parse().map_err(|_| Why::Column { column })
}

/// A row that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{row}: {why}")]
pub struct Refused {
    /// Its id, or its position if it has none that could be read.
    pub row: String,
    /// Why, and what to do.
    pub why: Why,
}

impl Refused {
    /// Of a row that is not even one, at a position counted from 1. What stands there may be a secret out of place, so
    /// the parser's own words, which quote it, are dropped.
    pub(super) fn unreadable(position: usize) -> Self {
        Self {
            row: format!("row {position}"),
            why: Why::Unreadable,
        }
    }
}

/// Why a row cannot be imported. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not a row of texts.
    #[error("is not a row of the table api_keys, whose columns are text or null; export the table again")]
    Unreadable,
    /// A column is missing or has a value that jimeng-relay never wrote.
    #[error("its {column} is missing or not one of jimeng-relay's; correct the row, or create a new key")]
    Column {
        /// The column.
        column: &'static str,
    },
    /// The secret does not open.
    #[error(
        "{0}; import with the API_KEY_ENCRYPTION_KEY that jimeng-relay ran with when it made this key, or create a new key"
    )]
    Secret(#[from] LegacyError),
}
