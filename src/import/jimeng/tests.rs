//! What an import reads, from rows as jimeng-relay writes them.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Found, ReadError, Why, from_json, from_sqlite};
use crate::crypto::keyring::MasterKey;
use crate::crypto::legacy::{LegacyError, sample};
use crate::model::key::Standing;
use crate::model::secret::Secret;

fn master() -> MasterKey {
    MasterKey::from_base64(&Secret::new(sample::KEY.to_owned())).unwrap()
}

/// An active key as jimeng-relay stores it.
fn row() -> Value {
    json!({
        "id": "key_00000000000000a1",
        "access_key": "ak_aaaaaaaaaaaaaaaa",
        "secret_key_hash": "$2a$12$not.looked.at",
        "secret_key_ciphertext": sample::CIPHERTEXT,
        "description": "studio",
        "created_at": "2026-02-01T08:00:00.123456789Z",
        "updated_at": "2026-02-02T09:00:00+01:00",
        "expires_at": null,
        "revoked_at": null,
        "rotation_of": null,
        "status": "active",
    })
}

fn with(changes: &Value) -> Value {
    let mut row = row();
    for (column, value) in changes.as_object().unwrap() {
        row[column] = value.clone();
    }
    row
}

fn read(rows: &Value) -> Found {
    from_json(rows.to_string().as_bytes(), &master()).unwrap()
}

/// The one reason why a row with these changes is left behind.
fn refusal(changes: &Value) -> Why {
    let found = read(&json!([with(changes)]));
    assert!(found.keys.is_empty());
    found.refused[0].why.clone()
}

/// A database with jimeng-relay's own schema.
fn database(path: &Path, rows: &[Value]) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE api_keys (id TEXT PRIMARY KEY, access_key TEXT NOT NULL UNIQUE, secret_key_hash TEXT NOT NULL, \
             secret_key_ciphertext TEXT NOT NULL, description TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, \
             expires_at TEXT, revoked_at TEXT, rotation_of TEXT, status TEXT NOT NULL)",
        )
        .unwrap();
    for row in rows {
        insert(&connection, row);
    }
}

fn insert(connection: &Connection, row: &Value) {
    let columns: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    let marks = vec!["?"; columns.len()].join(",");
    let values = row.as_object().unwrap().values().map(Value::as_str);
    connection
        .execute(
            &format!("INSERT INTO api_keys ({}) VALUES ({marks})", columns.join(",")),
            rusqlite::params_from_iter(values),
        )
        .unwrap();
}

#[test]
fn a_json_row_becomes_a_key_with_its_secret_opened() {
    let found = read(&json!([row()]));
    let [key] = found.keys.as_slice() else {
        panic!("{:?}", found.refused)
    };
    assert_eq!(key.id.to_string(), "key_00000000000000a1");
    assert_eq!(key.access_key, "ak_aaaaaaaaaaaaaaaa");
    assert_eq!(key.secret.expose(), sample::SECRET);
    assert_eq!(key.description, "studio");
    assert_eq!(key.created_at.to_string(), "2026-02-01T08:00:00.123456Z");
    assert_eq!(key.updated_at.to_string(), "2026-02-02T08:00:00Z");
    assert_eq!(
        (key.expires_at, key.standing, key.rotation_of),
        (None, Standing::Active, None)
    );
}

#[test]
fn an_sqlite_file_gives_the_same_keys_and_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jimeng-relay.db");
    let successor = with(&json!({
        "id": "key_00000000000000a0",
        "access_key": "ak_bbbbbbbbbbbbbbbb",
        "created_at": "2026-03-01T00:00:00Z",
        "rotation_of": "key_00000000000000a1",
    }));
    database(&path, &[successor.clone(), row()]);
    let before = std::fs::read(&path).unwrap();

    let found = from_sqlite(&path, &master()).unwrap();

    assert_eq!(found.keys, read(&json!([row(), successor])).keys);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_that_the_old_relay_still_writes_to_is_read_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jimeng-relay.db");
    database(&path, &[]);
    let relay = Connection::open(&path).unwrap();
    relay.pragma_update(None, "journal_mode", "wal").unwrap();
    insert(&relay, &row());
    assert_eq!(from_sqlite(&path, &master()).unwrap().keys.len(), 1);
}

#[test]
fn a_database_without_the_table_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE other (id TEXT)")
        .unwrap();
    let error = from_sqlite(&path, &master()).unwrap_err();
    assert!(error.to_string().contains("api_keys"), "{error}");
    let missing = folder.path().join("missing.db");
    assert!(matches!(from_sqlite(&missing, &master()), Err(ReadError::Sqlite(_))));
    assert!(!missing.exists());
}

#[test]
fn revoked_and_expired_keys_stay_so_whatever_their_times_say() {
    let cases = [
        json!({"status": "revoked", "revoked_at": "2026-02-03T00:00:00Z"}),
        json!({"status": "active", "revoked_at": "2026-02-03T00:00:00Z"}),
    ];
    for changes in cases {
        let found = read(&json!([with(&changes)]));
        let at = "2026-02-03T00:00:00Z".parse().unwrap();
        assert_eq!(found.keys[0].standing, Standing::Revoked(at));
    }
    let without_time = read(&json!([with(&json!({"status": "revoked"}))]));
    let updated_at = without_time.keys[0].updated_at;
    assert_eq!(without_time.keys[0].standing, Standing::Revoked(updated_at));
    for end in [json!(null), json!("2099-01-01T00:00:00Z")] {
        let expired = read(&json!([with(&json!({"status": "expired", "expires_at": end}))]));
        assert_eq!(expired.keys[0].expires_at, Some(updated_at));
    }
}

#[test]
fn absent_columns_are_like_null_ones() {
    let mut row = row();
    for column in ["description", "expires_at", "revoked_at", "rotation_of", "updated_at"] {
        row.as_object_mut().unwrap().remove(column);
    }
    let found = read(&json!([row]));
    assert_eq!(found.keys[0].description, "");
    assert_eq!(found.keys[0].updated_at, found.keys[0].created_at);
}

#[test]
fn a_bad_row_is_named_with_what_to_do_and_the_others_are_read() {
    let other_key = with(&json!({
        "id": "key_00000000000000a2",
        "secret_key_ciphertext": sample::CIPHERTEXT.replace("ZGVm", "ZGVn"),
    }));
    let found = read(&json!([7, other_key, row()]));
    assert_eq!(found.keys.len(), 1);
    let lines: Vec<_> = found.refused.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("row 1: "), "{lines:?}");
    assert!(
        lines[1].starts_with("key_00000000000000a2: ") && lines[1].contains("API_KEY_ENCRYPTION_KEY"),
        "{lines:?}"
    );
}

#[test]
fn each_column_is_checked() {
    let bad = [
        ("id", json!("7")),
        ("access_key", json!("")),
        ("created_at", json!("yesterday")),
        ("expires_at", json!("never")),
        ("rotation_of", json!("key_x")),
        ("status", json!("paused")),
        ("status", json!(null)),
    ];
    for (column, value) in bad {
        assert_eq!(refusal(&json!({ column: value })), Why::Column { column });
    }
    assert_eq!(
        refusal(&json!({"secret_key_ciphertext": "plain"})),
        Why::Secret(LegacyError::NotV1)
    );
    assert_eq!(refusal(&json!({"access_key": 7})), Why::Unreadable);
}

#[test]
fn no_error_quotes_a_secret_that_stands_in_the_wrong_place() {
    let found = read(&json!([
        "sk_canary",
        with(&json!({"id": "sk_canary_id", "access_key": ["sk_canary"]}))
    ]));
    assert_eq!(found.refused.len(), 2);
    assert!(!format!("{:?} {}", found.refused, found.refused[1]).contains("canary"));
    let error = from_json(br#""sk_canary""#, &master()).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"));
    let keys = read(&json!([row()]));
    assert!(!format!("{keys:?}").contains(sample::SECRET));
}
