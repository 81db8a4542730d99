//! Submitting: what is accepted is on the disk, and goes to the upstream and comes back byte for byte.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::model::key::Scope;
use tollgate::model::operation::Operation;

use super::*;
use crate::support::{Heard, Say, Script, accepted, replying};

#[tokio::test]
async fn an_accepted_job_says_where_it_is_and_how_it_stands() {
    let (_relay, alice) = start().await;
    let reply = send(&alice, &with(call("one"), "metadata", json!({ "order": 7 }))).await;

    let id = id_of(&reply);
    assert_eq!(reply.header("location"), Some(format!("/v1/jobs/{id}").as_str()));
    assert_eq!(reply.header("idempotency-replayed"), None);
    let told = reply.json();
    assert_eq!(
        (
            &told["object"],
            &told["kind"],
            &told["queue"],
            &told["priority"],
            &told["counts"]["total"]
        ),
        (&json!("job"), &json!("batch"), &json!("default"), &json!(5), &json!(1))
    );
    assert_eq!(told["metadata"], json!({ "order": 7 }));
    assert_eq!(ended(&alice, &id).await["state"], "succeeded");
}

#[tokio::test]
async fn what_was_accepted_survives_the_loss_of_power_and_runs() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &batch([call("kept-0"), task("kept-1")])).await;

    let relay = relay.lose_power().await.start().await;
    let alice = alice.at(&relay.url);
    assert_eq!(show(&alice, &id).await["state"], "queued");
    resume(&relay, "default").await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!((relay.seen("kept-0"), relay.seen("kept-1")), (1, 1));
}

#[tokio::test]
async fn a_call_that_was_under_way_when_power_was_lost_is_not_made_twice() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::Hang));
    let id = accept(&alice, &task("lost")).await;
    eventually("it is upstream", async || relay.seen("lost") == 1).await;

    let relay = relay.kill().await.start().await;
    let alice = alice.at(&relay.url);

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "failed");
    let item = item(&alice, &id, 0).await;
    assert_eq!(
        (&item["state"], &item["error"]["code"]),
        (&json!("unknown"), &json!("OUTCOME_UNKNOWN"))
    );
    assert!(item["audit_id"].is_u64(), "{item}");
    assert_eq!(relay.seen("lost"), 1);
}

/// Fields that nobody knows, spaces where nobody puts them, and numbers that no float holds.
const BODY: &str = r#"{ "model":"m" ,"req_key" :  "jimeng_t2i_v40","task_id":"t-1",
  "messages":[{"role":"user","content":"\u00e9 é 😀"}],"prompt": "hello","input":"hello",
  "unknown":{"seed":12345678901234567890123,"scale":1.50,"e":1E+2},"seed" : 900719925474099310 }"#;

const ANSWER: &str = r#"{ "code":10000 ,"data":{"task_id":"t-1","big":12345678901234567890123, "f": 1.50},
 "object":"x","choices":[] , "status" : 10000}"#;

async fn answering(answer: Vec<u8>) -> (Script, Relay, Client) {
    let script = Script::start([Say::Bytes(answer)]).await;
    let (volcengine, openai) = (script.address, script.address);
    let relay = Relay::build().upstream_at(volcengine).openai_at(openai).start().await;
    let alice = relay.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
    (script, relay, alice)
}

#[tokio::test]
async fn every_relayed_operation_can_be_an_item_byte_for_byte_both_ways() {
    let json = ["Content-Type: application/json"];
    let (script, relay, alice) = answering(replying("200 OK", &json, ANSWER)).await;
    // Questions about the tasks that submits make are heard in between; they have bodies of their own.
    let sent = || {
        let same = |heard: &Heard| heard.body == BODY.as_bytes();
        script.heard().iter().filter(|heard| same(heard)).count()
    };
    for operation in Operation::ALL {
        let name = operation.name();
        let before = sent();
        let job = format!(r#"{{"items":[{{"operation":"{name}","body":{BODY}}}]}}"#);
        let reply = alice.post("/v1/jobs", &job).await;
        assert_eq!(reply.status, 202, "{name}: {reply:?}");
        let id = id_of(&reply);
        eventually(&format!("{name} is sent as it came"), async || sent() > before).await;

        if name.contains("SubmitTask") {
            eventually("its task is known", async || {
                item(&alice, &id, 0).await["task_id"] == "t-1"
            })
            .await;
            continue;
        }
        until(&alice, &id, &["succeeded"]).await;
        let page = alice.get(&format!("/v1/jobs/{id}/items")).await.text();
        assert!(
            page.contains(&format!(r#""status":200,"body":{ANSWER}"#)),
            "{name}: {page}"
        );
    }
    drop(relay);
}

#[tokio::test]
async fn a_reply_that_is_no_json_is_kept_as_text() {
    let html = ["Content-Type: text/html"];
    let (_script, _relay, alice) = answering(replying("404 Not Found", &html, "<h1>no \"such\" thing</h1>")).await;
    let id = accept(
        &alice,
        &json!({ "operation": "embeddings", "body": { "model": "m", "input": "a" } }),
    )
    .await;

    until(&alice, &id, &["failed"]).await;
}

#[tokio::test]
async fn a_key_without_the_scope_of_jobs_submits_none() {
    let (relay, _alice) = start().await;
    let bob = relay.client("bob").await;
    send(&bob, &call("none")).await.assert_error(403, "SCOPE_DENIED");
    relay
        .stranger()
        .post("/v1/jobs", "{}")
        .await
        .assert_error(401, "AUTH_FAILED");
}

#[tokio::test]
async fn a_submit_is_polled_with_what_its_item_says() {
    let script = Script::start([
        Say::Bytes(accepted("t-9")),
        Say::Bytes(replying(
            "200 OK",
            &["Content-Type: application/json"],
            r#"{"code":10000,"data":{"status":"done","image_urls":["http://x/1.png"]},"status":10000}"#,
        )),
    ])
    .await;
    let relay = Relay::build().upstream_at(script.address).start().await;
    let alice = relay.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
    let logo = json!({ "return_url": true, "logo_info": { "add_logo": true } });
    let id = accept(&alice, &batch([with(task("asked"), "req_json", logo.clone())])).await;

    ended_later(&relay, &alice, &id).await;

    let asked: Value = serde_json::from_slice(&script.heard()[1].body).unwrap();
    assert_eq!(
        (&asked["task_id"], &asked["req_key"]),
        (&json!("t-9"), &json!("jimeng_t2i_v40"))
    );
    let req_json: Value = serde_json::from_str(asked["req_json"].as_str().unwrap()).unwrap();
    assert_eq!(req_json, logo);
}

#[tokio::test]
async fn a_delayed_job_runs_when_its_time_has_come_and_not_before() {
    let (relay, alice) = start().await;
    let soon = relay.wall().plus(Duration::from_secs(90)).to_string();
    let delayed = accept(&alice, &with(call("delayed"), "delay", 60)).await;
    let dated = accept(&alice, &with(call("dated"), "not_before", soon)).await;
    let now = accept(&alice, &call("now")).await;
    ended(&alice, &now).await;

    relay.later(Duration::from_secs(59)).await;
    let another = accept(&alice, &call("another")).await;
    ended(&alice, &another).await;
    assert_eq!((relay.seen("delayed"), relay.seen("dated")), (0, 0));

    relay.later(Duration::from_secs(2)).await;
    ended(&alice, &delayed).await;
    assert_eq!((relay.seen("delayed"), relay.seen("dated")), (1, 0));

    relay.later(Duration::from_secs(30)).await;
    assert_eq!(ended(&alice, &dated).await["state"], "succeeded");
}
