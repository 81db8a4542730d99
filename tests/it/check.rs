//! `tollgate check` opens whatever a store holds sealed, and names what does not open.

use std::path::Path;
use std::time::Duration;

use redb::{Database, ReadableTable, TableDefinition};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate::model::id::DeliveryId;

use crate::support::{Client, Program, eventually, imitation, submit_body};

/// A table with keys of so many bytes, as redb sees it.
type Table<K> = TableDefinition<'static, K, &'static [u8]>;

const REPLIES: Table<u64> = TableDefinition::new("replies.v1");
const DELIVERIES: Table<[u8; 16]> = TableDefinition::new("deliveries.v1");

/// Flips the last bit of the first row, behind the store's back but not behind redb's: its pages stay sound. What is
/// sealed is the last of a row. Gives the row's key.
fn flip<K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + Copy + std::borrow::Borrow<K> + 'static>(
    database: &Path,
    table: Table<K>,
) -> K {
    let database = Database::open(database).unwrap();
    let txn = database.begin_write().unwrap();
    let key = {
        let mut table = txn.open_table(table).unwrap();
        let (key, mut value) = {
            let (key, value) = table.first().unwrap().unwrap();
            (key.value(), value.value().to_vec())
        };
        *value.last_mut().unwrap() ^= 1;
        table.insert(key, value.as_slice()).unwrap();
        key
    };
    txn.commit().unwrap();
    key
}

/// A client whose calls and jobs a server takes.
fn client(program: &Program) -> Client {
    let key = program.json(&["key", "create", "--description", "alice", "--scope", "relay,jobs"]);
    let secret = key["secret_key"].as_str().unwrap();
    Client::new(String::new(), None).header("authorization", &format!("Bearer {secret}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_reply_and_a_message_that_were_changed_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tollgate.redb");
    let upstream = imitation(Duration::ZERO).await;
    // Its address is held, so that nobody else gets it, but nobody answers there: the message stays to be sent.
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = receiver.local_addr().unwrap();
    let program = Program::on(&database)
        .before(upstream.addr())
        .with("INTERNAL_CALLBACK_SECRET", "callback-secret-0123456789abcdef0123")
        .with("WEBHOOK_ALLOW", &receiver.to_string());
    let alice = client(&program);
    let server = program.serve();
    let alice = alice.at(&server.url);
    assert_eq!(alice.idempotent("once").submit(&submit_body("kept")).await.status, 200);
    let body = json!({ "req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk" });
    let id = alice
        .job(&json!({
            "items": [{ "operation": "CVProcess", "body": body }],
            "webhook": { "url": format!("http://{receiver}/hook") },
        }))
        .await;
    eventually("the job has ended", async || {
        let job = alice.get(&format!("/v1/jobs/{id}")).await.json();
        job["finished_at"].is_string()
    })
    .await;
    server.kill();
    let sound = program.json(&["check"]);
    assert_eq!(
        (&sound["sound"], &sound["damaged"]),
        (&json!(true), &json!([])),
        "{sound}"
    );

    let reply = flip(&database, REPLIES);
    let message = DeliveryId::from_bits(u128::from_be_bytes(flip(&database, DELIVERIES)));

    let said = program.run(&["check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let report: Value = serde_json::from_str(&said.output).unwrap();
    assert_eq!(report["sound"], false, "{report}");
    let named = json!([
        { "what": "kept reply", "row": format!("record {reply}") },
        { "what": "webhook message", "row": message.to_string() },
    ]);
    assert_eq!(report["damaged"], named, "{report}");
    assert_eq!(report["pages"], "sound", "{report}");
    let opened = |report: &Value| report["opened"].as_u64().unwrap();
    assert_eq!(opened(&report), opened(&sound) - 2, "{report}");
}
