//! Keys are replaced while calls run, and from the command line, with a server and without.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tollgate::sandbox::{Fault, Rule};

use crate::support::{MASTER, Program, Relay, Wire, eventually, submit_body};

/// Replaces the data keys.
async fn replace(relay: &Relay) {
    let reply = relay.operator().post("/admin/rekey", r#"{"deep":true}"#).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn state(relay: &Relay) -> Value {
    relay.operator().get("/admin/rekey").await.json()
}

/// Waits until nothing is sealed under an old key.
async fn sealed_anew(relay: &Relay) {
    eventually("everything is sealed anew", async || {
        state(relay).await["state"] != "resealing"
    })
    .await;
}

#[tokio::test]
async fn keys_are_replaced_while_calls_run_and_no_caller_notices() {
    let relay = Relay::build().with("PER_KEY_MAX_QUEUE", "16").start().await;
    let alice = relay.client("alice").await;
    let once = alice.idempotent("order-1");
    let first = once.submit(&submit_body("kept")).await;
    relay.client("bob").await;
    let page = relay.operator().get("/admin/keys?limit=1").await.json();
    assert_eq!(state(&relay).await["state"], "never");

    let before: Vec<_> = (0..4).map(|number| alice.launch(&format!("before-{number}"))).collect();
    replace(&relay).await;
    let after: Vec<_> = (0..4).map(|number| alice.launch(&format!("after-{number}"))).collect();
    for reply in join_all(before.into_iter().chain(after)).await {
        assert_eq!(reply.unwrap().status, 200);
    }
    sealed_anew(&relay).await;

    let again = once.submit(&submit_body("kept")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.body, relay.seen("kept")), (first.body, 1));
    once.submit(&submit_body("another"))
        .await
        .assert_error(409, "IDEMPOTENCY_CONFLICT");
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = relay
        .operator()
        .get(&format!("/admin/keys?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(next.status, 200, "a cursor from before leads on");
    let shown = state(&relay).await;
    assert_eq!((&shown["state"], &shown["unreadable"]), (&json!("waiting"), &json!(0)));
    assert!(
        shown["resealed"].as_u64() > Some(0) && shown["old_keys_until"].is_string(),
        "{shown}"
    );
    relay.book();
}

#[tokio::test]
async fn a_repeat_of_a_call_in_flight_is_not_sent_again_because_the_keys_were_replaced() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let slow = Rule::any(Fault::None).after(Duration::from_secs(3));
    relay.upstream.faults().push(slow).unwrap();
    let key = ["Idempotency-Key: order-1"];
    let first = Wire::posting(&relay, &alice, "/v1/submit", &key, &submit_body("x")).await;
    eventually("the first is upstream", async || relay.seen("x") == 1).await;

    replace(&relay).await;
    let repeat = alice.submit(&submit_body("x")).await;
    assert!(
        repeat.status == StatusCode::OK || repeat.code() == "IDEMPOTENCY_IN_FLIGHT",
        "{repeat:?}"
    );
    eventually("the first is settled", async || !relay.settlements().is_empty()).await;
    let replayed = alice.submit(&submit_body("x")).await;

    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!((relay.seen("x"), relay.intents().len()), (1, 1));
    drop(first);
}

#[tokio::test]
async fn a_job_that_was_submitted_before_is_not_accepted_again_under_the_new_keys() {
    let relay = Relay::start().await;
    let alice = relay.client_with(
        "alice",
        [tollgate::model::key::Scope::Jobs, tollgate::model::key::Scope::Relay],
    );
    let alice = alice.await.idempotent("batch-1");
    let first = alice.sleeping_job().await;

    replace(&relay).await;
    assert_eq!(alice.sleeping_job().await, first);
    sealed_anew(&relay).await;

    assert_eq!(alice.sleeping_job().await, first);
    let cancelled = alice.post(&format!("/v1/jobs/{first}/cancel"), "").await;
    assert!(cancelled.status.is_success(), "{cancelled:?}");
}

#[tokio::test]
async fn the_old_keys_go_after_a_day_and_a_server_killed_meanwhile_goes_on() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    alice.idempotent("order-1").submit(&submit_body("x")).await;
    replace(&relay).await;
    let relay = relay.kill().await.start().await;
    sealed_anew(&relay).await;
    let alice = alice.at(&relay.url);
    assert_eq!(alice.query("{}").await.status, 400, "her key is known");

    relay.clock.forward(Duration::from_hours(25));
    let relay = relay.stop().await.start().await;
    eventually("the old keys are gone", async || state(&relay).await["state"] == "done").await;

    let alice = alice.at(&relay.url);
    assert_eq!(alice.submit(&submit_body("y")).await.status, 200);
    let verified = relay.operator().get("/admin/audit/verify").await.json();
    assert_eq!(verified["intact"], true, "{verified}");
}

#[test]
fn without_a_server_a_command_takes_another_master_key_and_the_old_one_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let old = Program::on(&folder.path().join("t.redb"));
    old.client("alice");
    let new = old.clone().with("API_KEY_ENCRYPTION_KEY", OTHER);
    let rotating = new.clone().with("API_KEY_ENCRYPTION_KEY_PREVIOUS", MASTER);

    assert_eq!(rotating.json(&["rekey", "--status"])["master_key"], "previous");
    assert_eq!(rotating.json(&["rekey"])["master_key"], "current");
    assert_eq!(rotating.json(&["rekey"])["state"], "never");

    let refused = old.run(&["key", "list"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors.contains("sealed under another master key"),
        "{refused:?}"
    );
    assert_eq!(new.json(&["key", "list"])["items"][0]["description"], "alice");
    let wrong = old.with("API_KEY_ENCRYPTION_KEY_PREVIOUS", THIRD);
    assert_eq!(wrong.run(&["rekey"]).code, Some(1));
    assert_eq!(new.json(&["rekey", "--status"])["master_key"], "current");
}

#[test]
fn without_a_server_a_command_seals_everything_anew_and_says_until_when_the_old_keys_stay() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::on(&folder.path().join("t.redb"));
    program.client("alice");

    let keys = program.json(&["rekey", "--deep"]);

    assert_eq!((&keys["state"], &keys["resealed"]), (&json!("waiting"), &json!(1)));
    assert!(keys["old_keys_until"].is_string(), "{keys}");
    assert_eq!(program.json(&["audit", "verify"])["intact"], true);
    assert_eq!(program.json(&["key", "list"])["items"][0]["description"], "alice");
}

#[test]
fn a_passphrase_takes_the_place_of_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let old = Program::on(&folder.path().join("t.redb"));
    old.client("alice");
    let new = old
        .clone()
        .without("API_KEY_ENCRYPTION_KEY")
        .with("ENCRYPTION_PASSPHRASE", "correct horse battery staple");

    let rotating = new.clone().with("API_KEY_ENCRYPTION_KEY_PREVIOUS", MASTER);
    assert_eq!(rotating.json(&["rekey"])["master_key"], "current");
    let next = new.clone().with("ENCRYPTION_PASSPHRASE", "five words chosen by dice");
    assert_eq!(next.run(&["rekey"]).code, Some(1), "a wrong passphrase");
    let next = next.with("ENCRYPTION_PASSPHRASE_PREVIOUS", "correct horse battery staple");
    assert_eq!(next.json(&["rekey"])["master_key"], "current");

    assert_eq!(new.run(&["key", "list"]).code, Some(1));
    assert_eq!(old.run(&["key", "list"]).code, Some(1));
    assert_eq!(next.json(&["key", "list"])["items"][0]["description"], "alice");
}

const OTHER: &str = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=";
const THIRD: &str = "dGhpcmQgdGhpcmQgdGhpcmQgdGhpcmQgdGhpcmQgdGg=";
