//! Client keys as they are printed. The names and their order are those of jimeng-relay's commands; what is new here
//! follows after them.

use std::fmt;
use std::path::Path;

use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::change::Limits;
use crate::cli::error::CliError;
use crate::cli::output::Show;
use crate::cli::page::Page;
use crate::cli::table::{Column, Look, fields, moment, state, table, text};

/// A key that was issued just now, with its secret.
#[derive(Serialize, Deserialize)]
pub(super) struct IssuedKey {
    id: String,
    access_key: String,
    secret_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation_of: Option<String>,
    status: String,
    #[serde(flatten)]
    extent: Extent,
}

/// Without the secret, which is printed only on purpose.
impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A key as lists and changes show it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyView {
    id: String,
    access_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    created_at: String,
    updated_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation_of: Option<String>,
    status: String,
    #[serde(flatten)]
    extent: Extent,
}

/// One key by itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct KeyDetails(KeyView);

/// What a key may do, which jimeng-relay did not know.
#[derive(Debug, Serialize, Deserialize)]
struct Extent {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    schemes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Map<String, Value>>,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Extent {
    fn rows(&self) -> Vec<(&'static str, Cell)> {
        let limits: Vec<String> = self
            .limits
            .iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let limits = if limits.is_empty() {
            "the server's".to_owned()
        } else {
            limits.join(", ")
        };
        let models = self
            .models
            .as_ref()
            .map_or_else(|| "all".to_owned(), |models| models.join(", "));
        vec![
            ("owner", text(self.owner.as_deref())),
            ("scopes", Cell::new(self.scopes.join(", "))),
            ("schemes", Cell::new(self.schemes.join(", "))),
            ("models", Cell::new(models)),
            ("limits", Cell::new(limits)),
        ]
    }
}

impl Show for IssuedKey {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("id", Cell::new(&self.id)),
            ("access key", Cell::new(&self.access_key)),
            ("secret key", Cell::new(&self.secret_key)),
            ("description", text(self.description.as_deref())),
            ("status", state(&self.status)),
            ("created", moment(Some(&self.created_at))),
            ("expires", moment(self.expires_at.as_deref())),
        ];
        if let Some(predecessor) = &self.rotation_of {
            rows.push(("rotation of", Cell::new(predecessor)));
        }
        rows.extend(self.extent.rows());
        format!("{}\n{SHOWN_ONCE}\n", fields(rows, look))
    }
}

impl KeyDetails {
    /// The key's own limits, those of them that this version knows.
    pub(super) fn into_limits(self) -> Limits {
        let limits = self.0.extent.limits.map(Value::Object);
        limits
            .and_then(|limits| serde_json::from_value(limits).ok())
            .unwrap_or_default()
    }
}

impl Show for KeyDetails {
    fn text(&self, look: Look) -> String {
        let Self(key) = self;
        let mut rows = vec![
            ("id", Cell::new(&key.id)),
            ("access key", Cell::new(&key.access_key)),
            ("description", text(key.description.as_deref())),
            ("status", state(&key.status)),
            ("created", moment(Some(&key.created_at))),
            ("updated", moment(Some(&key.updated_at))),
            ("expires", moment(key.expires_at.as_deref())),
        ];
        if let Some(revoked) = &key.revoked_at {
            rows.push(("revoked", moment(Some(revoked))));
        }
        if let Some(predecessor) = &key.rotation_of {
            rows.push(("rotation of", Cell::new(predecessor)));
        }
        rows.extend(key.extent.rows());
        fields(rows, look)
    }
}

impl Show for Page<KeyView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("ID"),
            Column::Word("ACCESS KEY"),
            Column::Word("STATUS"),
            Column::Word("CREATED"),
            Column::Word("EXPIRES"),
            Column::Text("DESCRIPTION"),
        ];
        let row = |key: &KeyView| {
            vec![
                Cell::new(&key.id),
                Cell::new(&key.access_key),
                state(&key.status),
                moment(Some(&key.created_at)),
                moment(key.expires_at.as_deref()),
                text(key.description.as_deref()),
            ]
        };
        table(
            &columns,
            self.items.iter().map(row).collect(),
            look,
            "no keys yet: make one with `tollgate key create`",
        )
    }
}

/// A key that was withdrawn just now.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RevokedKey {
    id: String,
    status: String,
}

impl Show for RevokedKey {
    fn text(&self, look: Look) -> String {
        fields(vec![("id", Cell::new(&self.id)), ("status", state(&self.status))], look)
    }
}

/// What became of the rows of an import.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ImportedKeys {
    added: u64,
    skipped: u64,
    errors: Vec<String>,
}

impl ImportedKeys {
    /// Success, unless a row could not be taken over.
    ///
    /// # Errors
    /// [`CliError::Import`], after the rows were named in what was printed.
    pub(super) fn into_result(self, path: &Path) -> Result<(), CliError> {
        match self.errors.len() {
            0 => Ok(()),
            count => Err(CliError::Import {
                path: path.to_owned(),
                reason: format!("rows that were not taken over: {count}"),
            }),
        }
    }
}

impl Show for ImportedKeys {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("added", Cell::new(self.added)),
            ("known already", Cell::new(self.skipped)),
        ];
        rows.extend(self.errors.iter().map(|error| ("not taken over", Cell::new(error))));
        fields(rows, look)
    }
}

const SHOWN_ONCE: &str = "Keep the secret key now: it is not shown again.";
