//! A store that an earlier version made: every later one opens it, verifies it and keeps its promises.
//!
//! `UPDATE_FIXTURE=1 cargo test --test it fixture` makes the one of the present schema anew.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Builder, Disk, Relay, submit_body};

const MARKER: &str = "fixture-1";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A relay that throws nothing away, however long ago the fixture was made.
fn patient() -> Builder {
    Relay::build()
        .with("IDEMPOTENCY_TTL", "3650d")
        .with("AUDIT_RETENTION", "3650d")
}

/// Makes a small store with a key, a task and a kept reply, and notes what a reader must know of it.
async fn make() {
    let relay = patient().start().await;
    let alice = relay.client("fixture").await.idempotent(MARKER);
    let reply = alice.submit(&submit_body(MARKER)).await;
    assert_eq!(reply.status, 200);
    let issued = alice.issued().clone();
    let note = serde_json::json!({
        "key": issued.key.id.to_string(),
        "secret": issued.secret.expose(),
        "reply": reply.text(),
    });
    let image = relay.stop().await.image();
    fs::write(path("store-v1.redb"), image).unwrap();
    let mut database = redb::Database::open(path("store-v1.redb")).unwrap();
    while database.compact().unwrap() {}
    drop(database);
    fs::write(
        path("store-v1.json"),
        serde_json::to_string_pretty(&note).unwrap() + "\n",
    )
    .unwrap();
}

#[tokio::test]
async fn a_store_of_schema_one_opens_verifies_and_replays() {
    if std::env::var_os("UPDATE_FIXTURE").is_some() {
        make().await;
    }
    let image = fs::read(path("store-v1.redb")).unwrap();
    assert!(image.len() < 200 << 10, "{} bytes", image.len());
    let note: Value = serde_json::from_slice(&fs::read(path("store-v1.json")).unwrap()).unwrap();

    let relay = patient().disk(Disk::holding(image)).start().await;
    let admin = relay.admin().await;

    let verdict = admin.get("/admin/audit/verify").await.json();
    assert_eq!((&verdict["intact"], &verdict["first"]), (&Value::Bool(true), &1.into()));
    let keys = admin.get("/admin/keys").await.json();
    let found = keys["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == note["key"]);
    assert_eq!(found.unwrap()["description"], "fixture");

    let bearer = format!("Bearer {}", note["secret"].as_str().unwrap());
    let alice = relay.stranger().header("authorization", &bearer);
    let replayed = alice.idempotent(MARKER).submit(&submit_body(MARKER)).await;
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!(replayed.text(), note["reply"].as_str().unwrap());
    assert_eq!(relay.seen(MARKER), 0);
    let tasks = alice.get("/v1/tasks").await.json();
    assert_eq!(tasks["items"][0]["task_id"], replayed.task_id());
}
