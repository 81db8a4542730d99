//! The log book over HTTP: read, filtered, verified, exported, and its open ends tied up.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::model::clock::Timestamp;
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Client, Relay, query_body, submit_body};

#[tokio::test]
async fn the_book_is_read_newest_first_or_oldest_first_page_by_page() {
    let relay = Relay::start().await;
    busy(&relay, 3).await;
    let operator = relay.operator();

    for order in ["desc", "asc"] {
        let all = ids(&operator
            .get(&format!("/admin/audit?limit=1000&order={order}"))
            .await
            .json());
        let mut paged = Vec::new();
        let mut path = format!("/admin/audit?limit=2&order={order}");
        loop {
            let page = operator.get(&path).await.json();
            paged.extend(ids(&page));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/admin/audit?limit=2&order={order}&cursor={cursor}");
        }
        assert_eq!(paged, all, "{order}");
        assert!(
            paged.is_sorted_by(|one, next| (one < next) == (order == "asc")),
            "{order}"
        );
    }
    assert_eq!(
        operator.get("/admin/audit?order=upwards").await.code(),
        "VALIDATION_FAILED"
    );
    assert_eq!(
        operator.get("/admin/audit?cursor=AAAA").await.code(),
        "VALIDATION_FAILED"
    );
}

#[tokio::test]
async fn a_filter_shows_one_kind_of_event() {
    let relay = Relay::start().await;
    busy(&relay, 2).await;
    for (event, number) in [
        ("intent", 2),
        ("settlement", 2),
        ("admin", 1),
        ("started", 1),
        ("pruned", 0),
    ] {
        let page = relay
            .operator()
            .get(&format!("/admin/audit?event={event}"))
            .await
            .json();
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), number, "{event}");
        assert!(items.iter().all(|item| item["event"] == event));
    }
}

#[tokio::test]
async fn a_filter_shows_the_calls_that_wait_for_a_person() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    alice.submit(&submit_body("audit-sound")).await;
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    alice.submit(&submit_body("audit-lost")).await;
    let operator = relay.operator();

    let page = operator.get("/admin/audit?outcome=unknown").await.json();

    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page}");
    assert_eq!(
        (&items[0]["event"], &items[0]["outcome"]),
        (&json!("settlement"), &json!("unknown"))
    );
    operator
        .get("/admin/audit?outcome=lost")
        .await
        .assert_error(400, "VALIDATION_FAILED");
}

#[tokio::test]
async fn an_entry_tells_of_a_call_what_is_not_secret() {
    let relay = Relay::start().await;
    let alice = relay
        .client("alice")
        .await
        .header("x-request-id", "mine-1")
        .idempotent("order-1");
    let reply = alice.submit(&submit_body("audit-entry")).await;

    let intent = events(&relay, "intent").await.remove(0);
    let settlement = events(&relay, "settlement").await.remove(0);

    assert_eq!(intent["request_id"], reply.header("x-request-id").unwrap());
    assert_eq!(intent["client_request_id"], "mine-1");
    assert_eq!(intent["key"], alice.issued().key.id.to_string());
    assert_eq!(intent["operation"], "cv_sync2async_submit_task");
    assert_eq!(intent["model"], "jimeng_t2i_v40");
    assert_eq!(intent["body_bytes"], submit_body("audit-entry").len());
    assert_eq!(intent["peer"], "127.0.0.1");
    assert_eq!(settlement["intent"], intent["id"]);
    assert_eq!(
        (&settlement["outcome"], &settlement["attempts"]),
        (&json!("succeeded"), &json!(1))
    );
    assert_eq!(settlement["task_id"], reply.task_id());
    let book = String::from_utf8(relay.operator().get("/admin/audit").await.body).unwrap();
    assert!(
        !book.contains("lighthouse") && !book.contains("order-1"),
        "bodies and idempotency keys stay out"
    );
}

#[tokio::test]
async fn the_book_verifies_alone_and_against_a_head_that_was_kept() {
    let relay = Relay::start().await;
    busy(&relay, 2).await;
    let operator = relay.operator();

    let found = operator.get("/admin/audit/verify").await.json();
    assert_eq!(
        (&found["intact"], &found["first"]),
        (&json!(true), &json!(1)),
        "{found}"
    );
    assert!(!text(&found["proves"]).is_empty() && text(&found["does_not_prove"]).contains("older copy"));
    let (seq, digest) = (&found["head"]["seq"], text(&found["head"]["digest"]));

    busy(&relay, 1).await;
    let expect = async |head: String| operator.get(&format!("/admin/audit/verify?expect={head}")).await.json();
    assert_eq!(expect(format!("{seq}:{digest}")).await["intact"], true);

    let other = digest.replace(|c: char| c.is_ascii_digit(), "0");
    let wrong = expect(format!("{seq}:{other}")).await;
    assert_eq!((&wrong["intact"], &wrong["broken"]["at"]), (&json!(false), seq));
    let ahead = expect(format!("999999:{digest}")).await;
    assert_eq!(
        (&ahead["intact"], &ahead["broken"]["at"]),
        (&json!(false), &json!(999_999))
    );
    assert_eq!(
        operator.get("/admin/audit/verify?expect=nonsense").await.code(),
        "VALIDATION_FAILED"
    );
}

#[tokio::test]
async fn an_export_has_every_entry_as_a_line_oldest_first() {
    let relay = Relay::start().await;
    busy(&relay, 3).await;

    let reply = relay.operator().get("/admin/audit/export").await;

    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = std::str::from_utf8(&reply.body)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    let kept: Vec<u64> = relay.log_book().iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, kept);
}

#[tokio::test]
async fn an_export_of_many_entries_is_whole() {
    let relay = Relay::start().await;
    let client = relay.client("many").await;
    let body = submit_body("many");
    // Two entries a call; the export reads a thousand at a time.
    for _ in 0..6 {
        let calls = (0..100).map(|_| client.process(&body));
        let replies = futures_util::future::join_all(calls).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
    }
    let export = relay.operator().get("/admin/audit/export").await;
    let numbers: Vec<u64> = std::str::from_utf8(&export.body)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert!(numbers.len() > 1200);
    assert!(numbers.iter().zip(1..).all(|(id, place)| *id == place));
}

#[tokio::test]
async fn refusals_are_one_entry_for_each_reason() {
    let relay = Relay::start().await;
    let stranger = relay.stranger();
    for _ in 0..5 {
        stranger.get("/v1/key").await;
    }
    let jobs = relay.client_with("jobs", [tollgate::model::key::Scope::Jobs]).await;
    for _ in 0..3 {
        jobs.get("/v1/key").await;
    }
    relay.services().recorder.flush_refusals().await.unwrap();

    // The minute's own tick may have written some of them before.
    let told = events(&relay, "refusals").await;
    let count = |reason: &str| -> u64 {
        let of_reason = told.iter().filter(|entry| entry["reason"] == reason);
        of_reason.map(|entry| entry["count"].as_u64().unwrap()).sum()
    };
    assert_eq!((count("auth_failed"), count("scope_denied")), (5, 3));
    assert!(told.len() <= 4, "{told:?}");
    relay.services().recorder.flush_refusals().await.unwrap();
    assert_eq!(events(&relay, "refusals").await.len(), told.len());
}

#[tokio::test]
async fn an_unknown_submit_that_was_not_sent_frees_its_key() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-7");
    let intent = unknown(&relay, &alice, "resolve-1").await;
    assert_eq!(alice.submit(&submit_body("resolve-1")).await.code(), "OUTCOME_UNKNOWN");

    let reply = resolve(&relay, intent, json!({ "outcome": "not_sent" })).await;

    assert_eq!(reply, json!({ "id": intent, "outcome": "not_sent" }));
    assert_eq!(alice.submit(&submit_body("resolve-1")).await.status, 200);
    assert_eq!(relay.seen("resolve-1"), 2);
    let told = events(&relay, "resolved").await.remove(0);
    assert_eq!(
        (&told["intent"], &told["actor"], &told["outcome"]),
        (&json!(intent), &json!("admin_token"), &json!("not_sent"))
    );
}

#[tokio::test]
async fn an_unknown_submit_that_made_a_task_is_replayed_from_then_on() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-8");
    // The imitation creates the task and its answer is lost.
    relay.upstream.faults().push(Rule::any(Fault::Truncate)).unwrap();
    let intent = alice.submit(&submit_body("resolve-2")).await.json()["error"]["audit_id"]
        .as_u64()
        .unwrap();
    let other = relay.client("bob").await;
    let task = other.submit(&submit_body("resolve-2-other")).await.task_id();

    resolve(&relay, intent, json!({ "task_id": "7392616336519610409" })).await;

    let again = alice.submit(&submit_body("resolve-2")).await;
    assert_eq!(
        (again.status.as_u16(), again.task_id().as_str()),
        (200, "7392616336519610409")
    );
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(relay.seen("resolve-2"), 1);
    assert_eq!(alice.query(&query_body(&task)).await.code(), "NOT_FOUND");
}

#[tokio::test]
async fn what_is_known_or_was_never_there_is_not_resolved() {
    let relay = Relay::start().await;
    busy(&relay, 1).await;
    let intent = events(&relay, "intent").await[0]["id"].as_u64().unwrap();
    for (id, body, code) in [
        (intent, r#"{"outcome":"not_sent"}"#, "VALIDATION_FAILED"),
        (999_999, r#"{"outcome":"not_sent"}"#, "NOT_FOUND"),
        (1, r#"{"outcome":"not_sent"}"#, "NOT_FOUND"),
        (intent, r#"{"outcome":"succeeded"}"#, "VALIDATION_FAILED"),
        (intent, r#"{"outcome":"not_sent","task_id":"7"}"#, "VALIDATION_FAILED"),
        (intent, "{}", "VALIDATION_FAILED"),
    ] {
        let reply = relay.operator().post(&format!("/admin/audit/{id}/resolve"), body).await;
        assert_eq!(reply.code(), code, "{id} {body}");
    }
}

#[tokio::test]
async fn an_entry_has_the_time_at_which_it_was_written() {
    let relay = Relay::start().await;
    relay.client("now").await;
    relay.clock.forward(Duration::from_hours(1));
    relay.client("later").await;
    let told = events(&relay, "admin").await;
    let at = |entry: &Value| text(&entry["at"]).parse::<Timestamp>().unwrap();
    let between = at(&told[1]).since(at(&told[0]));
    assert!(
        (Duration::from_hours(1)..Duration::from_mins(61)).contains(&between),
        "{between:?}"
    );
}

/// A client that submitted so many tasks.
async fn busy(relay: &Relay, submits: usize) {
    let client = relay.client("busy").await;
    for _ in 0..submits {
        assert_eq!(client.submit(&submit_body("busy")).await.status, 200);
    }
}

/// A submit that was sent and never answered: its intent.
async fn unknown(relay: &Relay, client: &Client, marker: &str) -> u64 {
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    let reply = client.submit(&submit_body(marker)).await;
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    reply.json()["error"]["audit_id"].as_u64().unwrap()
}

async fn resolve(relay: &Relay, intent: u64, verdict: Value) -> Value {
    let reply = relay
        .operator()
        .post(&format!("/admin/audit/{intent}/resolve"), &verdict.to_string())
        .await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

/// Every entry of one event, oldest first.
async fn events(relay: &Relay, event: &str) -> Vec<Value> {
    let page = relay
        .operator()
        .get(&format!("/admin/audit?order=asc&limit=1000&event={event}"))
        .await
        .json();
    page["items"].as_array().unwrap().clone()
}

fn ids(page: &Value) -> Vec<u64> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_u64().unwrap())
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
