//! jimeng-relay's client keys, from its SQLite file or from its rows as JSON.

mod row;
#[cfg(test)]
mod tests;

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

pub use row::{Refused, Why};

use self::row::Row;
use crate::crypto::keyring::MasterKey;
use crate::model::legacy::LegacyKey;

/// What was found: the keys that can be imported, and the rows that cannot.
#[derive(Debug, Default)]
pub struct Found {
    /// Keys with their secrets opened.
    pub keys: Vec<LegacyKey>,
    /// Rows that are left behind, each with what to do.
    pub refused: Vec<Refused>,
}

/// Reads the table `api_keys` of jimeng-relay's SQLite file. The file is opened for reading only.
///
/// Blocks on the disk.
///
/// # Errors
/// [`ReadError`] if the table cannot be read at all.
pub fn from_sqlite(path: &Path, master: &MasterKey) -> Result<Found, ReadError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let mut statement = connection.prepare(SELECT)?;
    let mut rows = statement.query([])?;
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        let position = found.rows() + 1;
        found.take(Row::of_sqlite(row).map_err(|_| Refused::unreadable(position)), master);
    }
    Ok(found)
}

/// Reads a JSON array of rows of the table `api_keys`, as `psql` and `sqlite3` print them. Other columns are ignored.
///
/// # Errors
/// [`ReadError`] if it is not an array of objects at all.
pub fn from_json(text: &[u8], master: &MasterKey) -> Result<Found, ReadError> {
    let rows: Vec<Value> = serde_json::from_slice(text).map_err(|error| ReadError::Json {
        line: error.line(),
        column: error.column(),
    })?;
    let mut found = Found::default();
    for (row, position) in rows.into_iter().zip(1..) {
        found.take(Row::of_json(row).map_err(|_| Refused::unreadable(position)), master);
    }
    Ok(found)
}

impl Found {
    fn rows(&self) -> usize {
        self.keys.len() + self.refused.len()
    }

    fn take(&mut self, row: Result<Row, Refused>, master: &MasterKey) {
        match row.and_then(|row| row.into_key(master)) {
            Ok(key) => self.keys.push(key),
            Err(refused) => self.refused.push(refused),
        }
    }
}

/// Nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The SQLite file cannot be opened, or has no such table.
    #[error("the table api_keys of jimeng-relay's database cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The text is not a JSON array. The parser's own words could quote a secret.
    #[error("expected a JSON array of rows of jimeng-relay's table api_keys; line {line}, column {column} is not it")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

/// The oldest first, so that a key comes before the one that replaced it.
const SELECT: &str = "SELECT id, access_key, secret_key_ciphertext, description, created_at, updated_at, expires_at, \
                      revoked_at, rotation_of, status FROM api_keys ORDER BY created_at, id";
