//! Reading jimeng-relay's client keys from a file.

use std::fs;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::error::CliError;
use crate::import;

/// The rows of jimeng-relay's table `api_keys`, with their secrets as it sealed them.
#[derive(Debug, Serialize)]
pub(super) struct Rows {
    rows: Vec<Value>,
}

/// Reads the rows from a SQLite file or from a JSON array; the file's first bytes decide. The file is left as it is.
///
/// The secrets stay sealed on their way: whoever serves the admin interface has the key that opens them.
///
/// # Errors
/// [`CliError::File`] where it cannot be read, [`CliError::Import`] where it holds something else.
pub(super) fn rows(path: &Path) -> Result<Rows, CliError> {
    let unreadable = |source| CliError::File {
        path: path.to_owned(),
        source,
    };
    let rows = if import::is_sqlite(path).map_err(unreadable)? {
        sqlite_rows(path).map_err(|error| format!("the table api_keys of jimeng-relay cannot be read: {error}"))
    } else {
        json_rows(&fs::read(path).map_err(unreadable)?)
    };
    rows.map(|rows| Rows { rows }).map_err(|reason| CliError::Import {
        path: path.to_owned(),
        reason,
    })
}

/// The rows of a SQLite file, in the shape of the JSON that Postgres gives. The oldest come first, so that a key comes
/// before the one that replaced it.
fn sqlite_rows(path: &Path) -> rusqlite::Result<Vec<Value>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let columns = COLUMNS.join(", ");
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM api_keys ORDER BY created_at, id"))?;
    statement
        .query_map([], |row| {
            let cells = COLUMNS.iter().map(|column| {
                let value = match row.get_ref(*column)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into(),
                    ValueRef::Integer(number) => number.to_string().into(),
                    ValueRef::Real(number) => number.to_string().into(),
                };
                Ok(((*column).to_owned(), value))
            });
            cells.collect::<rusqlite::Result<Map<_, _>>>().map(Value::Object)
        })?
        .collect()
}

/// The rows of a JSON array, as `select json_agg(k) from api_keys k` prints it; of an empty table it prints nothing.
fn json_rows(bytes: &[u8]) -> Result<Vec<Value>, String> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(bytes)
        .map_err(|error| format!("neither a SQLite file nor a JSON array of the rows of api_keys ({error})"))
}

/// What an import needs of the table `api_keys`; every column of it is text or null.
const COLUMNS: [&str; 10] = [
    "id",
    "access_key",
    "secret_key_ciphertext",
    "description",
    "created_at",
    "updated_at",
    "expires_at",
    "revoked_at",
    "rotation_of",
    "status",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_passed_on_as_they_are() {
        let rows = json_rows(br#" [{"id":"key_1","revoked_at":null}] "#).unwrap();
        assert_eq!(
            serde_json::to_string(&Rows { rows }).unwrap(),
            r#"{"rows":[{"id":"key_1","revoked_at":null}]}"#
        );
    }

    #[test]
    fn a_sqlite_file_gives_the_same_rows_oldest_first_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jimeng-relay.db");
        let columns = COLUMNS.map(|column| format!("{column} TEXT")).join(", ");
        Connection::open(&path)
            .unwrap()
            .execute_batch(&format!(
                "CREATE TABLE api_keys ({columns}, secret_key_hash TEXT);
                 INSERT INTO api_keys (id, created_at, secret_key_hash)
                 VALUES ('b', '2026-02', 'x'), ('a', '2026-01', 'x');"
            ))
            .unwrap();
        let before = fs::read(&path).unwrap();

        let rows = rows(&path).unwrap().rows;

        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(rows[0]["status"], Value::Null);
        assert_eq!(rows[0].get("secret_key_hash"), None);
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn an_empty_table_has_no_rows() {
        assert_eq!(json_rows(b"\n").unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn another_file_is_refused_in_a_sentence() {
        for bytes in [b"{}".as_slice(), b"\x00\x01", b"null"] {
            assert!(
                json_rows(bytes)
                    .unwrap_err()
                    .starts_with("neither a SQLite file nor a JSON array")
            );
        }
    }
}
