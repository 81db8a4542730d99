//! A store that an earlier version made: every later one opens it, verifies it and keeps its promises.
//!
//! `UPDATE_FIXTURE=1 cargo test --test it fixture` makes the one of the present schema anew.

use std::fs;
use std::num::NonZeroU64;
use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};
use tollgate::model::day::Day;
use tollgate::model::key::{Limits, Scope};
use tollgate::model::money::Budget;
use tollgate::store::schema::SCHEMA;

use crate::support::{Builder, Client, Disk, Relay, submit_body};

const MARKER: &str = "fixture-1";

/// The credential of the account that a store from schema 2 on holds.
const CREDENTIAL: &str = "fake-fixture-credential";

fn path(schema: u32, extension: &str) -> PathBuf {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    data.join(format!("store-v{schema}.{extension}"))
}

/// What an image costs in a store from schema 4 on, and what its key may spend in a month.
const IMAGE: u64 = 200_000;
const BUDGET: u64 = 5_000_000;

fn limits() -> Limits {
    Limits {
        budget: Some(Budget {
            currency: "CNY".parse().unwrap(),
            day: None,
            month: NonZeroU64::new(BUDGET),
        }),
        ..Limits::default()
    }
}

/// A job that no reader of the fixture will see begin.
fn far_away() -> Value {
    let body = json!({ "model": "fixture", "messages": [{ "role": "user", "content": MARKER }] });
    json!({
        "operation": "chat.completions",
        "body": body,
        "not_before": "2999-01-01T00:00:00Z",
        "metadata": { "made": "for later" },
    })
}

/// A relay that throws nothing away, however long ago the fixture was made.
fn patient() -> Builder {
    Relay::build()
        .with("IDEMPOTENCY_TTL", "3650d")
        .with("AUDIT_RETENTION", "3650d")
}

/// Makes a small store of the present schema with one of everything that is kept, and notes what a reader must know of it.
async fn make() {
    let relay = patient().start().await;
    let operator = relay.operator();
    let picture = json!({
        "targets": [{ "upstream": "volcengine", "model": "jimeng_t2i_v40" }],
        "price": { "currency": "CNY", "image": IMAGE },
    });
    put(&operator, Method::PUT, "/admin/models/jimeng_t2i_v40", &picture).await;
    let alice = relay.client_with("fixture", [Scope::Relay, Scope::Jobs]).await;
    let issued = alice.issued().clone();
    let submitter = relay
        .stranger()
        .header("authorization", &format!("Bearer {}", issued.secret.expose()));
    let alice = alice.idempotent(MARKER);
    let reply = alice.submit(&submit_body(MARKER)).await;
    assert_eq!(reply.status, 200);
    let day = Day::of(relay.wall()).to_string();
    let upstream = json!({ "id": "fixture", "base_url": "https://api.example.com/v1" });
    let account = json!({ "credential": CREDENTIAL });
    let model = json!({ "targets": [{ "upstream": "fixture", "model": "tiny" }], "context_length": 8000 });
    put(&operator, Method::POST, "/admin/upstreams", &upstream).await;
    let account = put(&operator, Method::POST, "/admin/upstreams/fixture/accounts", &account).await;
    let account = account["id"].as_str().unwrap();
    let disable = format!("/admin/upstreams/fixture/accounts/{account}/disable");
    put(&operator, Method::POST, &disable, &json!({})).await;
    put(&operator, Method::PUT, "/admin/models/fixture", &model).await;
    let job = submitter.job(&far_away()).await;
    // Only now: the model of the job has no price.
    relay.limit(&alice, limits()).await;
    let note = json!({
        "key": issued.key.id.to_string(),
        "secret": issued.secret.expose(),
        "reply": reply.text(),
        "account": account,
        "job": job,
        "day": day,
    });
    let image = relay.stop().await.image();
    fs::write(path(SCHEMA, "redb"), image).unwrap();
    let mut database = redb::Database::open(path(SCHEMA, "redb")).unwrap();
    while database.compact().unwrap() {}
    drop(database);
    let note = serde_json::to_string_pretty(&note).unwrap() + "\n";
    fs::write(path(SCHEMA, "json"), note).unwrap();
}

async fn put(operator: &Client, method: Method, path: &str, body: &Value) -> Value {
    let reply = operator.send(method, path, &body.to_string()).await.unwrap();
    assert!(reply.status.is_success(), "{reply:?}");
    reply.json()
}

/// Opens the store of a schema, sees to what every schema promises, and says what else was noted.
async fn open(schema: u32) -> (Relay, Value) {
    let image = fs::read(path(schema, "redb")).unwrap();
    assert!(image.len() < 200 << 10, "{} bytes", image.len());
    let note: Value = serde_json::from_slice(&fs::read(path(schema, "json")).unwrap()).unwrap();

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
    assert_eq!(alice.get("/v1/usage").await.status, 200);
    let tasks = alice.get("/v1/tasks").await.json();
    assert_eq!(tasks["items"][0]["task_id"], replayed.task_id());
    (relay, note)
}

#[tokio::test]
async fn a_store_of_schema_one_opens_verifies_and_replays_and_takes_upstreams() {
    let (relay, _) = open(1).await;
    let upstream = json!({ "id": "new", "base_url": "https://api.example.com/v1" });
    put(&relay.operator(), Method::POST, "/admin/upstreams", &upstream).await;
}

#[tokio::test]
async fn a_store_of_schema_two_opens_verifies_and_replays_and_knows_its_upstreams() {
    let (relay, note) = open(2).await;
    knows_its_upstreams(&relay, &note).await;
}

#[tokio::test]
async fn a_store_of_schema_three_opens_verifies_and_replays_and_knows_its_jobs() {
    let (relay, note) = open(3).await;
    knows_its_upstreams(&relay, &note).await;
    knows_its_jobs(&relay, &note).await;
}

#[tokio::test]
async fn a_store_of_schema_four_opens_verifies_and_replays_and_knows_what_was_used() {
    if std::env::var_os("UPDATE_FIXTURE").is_some() {
        make().await;
    }
    let (relay, note) = open(4).await;
    knows_its_upstreams(&relay, &note).await;
    knows_its_jobs(&relay, &note).await;

    let bearer = format!("Bearer {}", note["secret"].as_str().unwrap());
    let alice = relay.stranger().header("authorization", &bearer);
    let day = note["day"].as_str().unwrap();
    let used = alice.get(&format!("/v1/usage?from={day}&to={day}")).await.json();
    assert_eq!(
        (&used["items"][0]["model"], &used["items"][0]["images"], &used["totals"]),
        (
            &json!("jimeng_t2i_v40"),
            &json!(1),
            &json!([{ "currency": "CNY", "calls": 1, "cost_microunits": IMAGE }])
        )
    );
    assert_eq!(used["budget"]["month"]["limit_microunits"], BUDGET);
}

async fn knows_its_jobs(relay: &Relay, note: &Value) {
    let bearer = format!("Bearer {}", note["secret"].as_str().unwrap());
    let alice = relay.stranger().header("authorization", &bearer);
    let id = note["job"].as_str().unwrap();
    let job = alice.get(&format!("/v1/jobs/{id}")).await.json();
    assert_eq!(
        (&job["state"], &job["metadata"]["made"], &job["counts"]["queued"]),
        (&json!("queued"), &json!("for later"), &json!(1))
    );
    let cancelled = alice.post(&format!("/v1/jobs/{id}/cancel"), "").await;
    assert_eq!(cancelled.json()["state"], "cancelled");
}

async fn knows_its_upstreams(relay: &Relay, note: &Value) {
    let operator = relay.operator();
    let accounts = operator.get("/admin/upstreams/fixture/accounts").await.json();
    let account = &accounts["items"][0];
    assert_eq!(
        (&account["id"], &account["state"]),
        (&note["account"], &json!("disabled"))
    );
    let model = operator.get("/admin/models/fixture").await.json();
    assert_eq!(
        (&model["context_length"], &model["targets"][0]["model"]),
        (&json!(8000), &json!("tiny"))
    );
    let catalogue = relay.services().curator.catalogue().load();
    let opened = catalogue
        .accounts
        .iter()
        .find(|account| account.upstream.as_str() == "fixture");
    assert_eq!(opened.unwrap().credential.expose(), CREDENTIAL);
}
