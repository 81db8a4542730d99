//! What is not accepted, and why.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tollgate::jobs::webhook::egress::{Resolve, Resolving};

use super::*;

/// Asserts that a job is refused, and which field is named.
async fn refused(client: &Client, job: &Value, status: u16, code: &str, field: &str) {
    let reply = send(client, job).await;
    let body = reply.json();
    assert_eq!(
        (
            reply.status.as_u16(),
            reply.code().as_str(),
            body["error"]["param"].as_str()
        ),
        (status, code, Some(field)),
        "{}",
        &job.to_string()[..200.min(job.to_string().len())]
    );
}

#[tokio::test]
async fn what_cannot_be_a_job_is_refused_by_name() {
    let (relay, alice) = start().await;
    let one = call("bad");
    let past = relay.wall().minus(Duration::from_secs(1)).to_string();
    let soon = relay.wall().plus(Duration::from_secs(5)).to_string();
    let large = json!({ "a": "x".repeat(17_000) });
    let mut stream = chat("gpt-4o", "stream");
    stream["body"]["stream"] = json!(true);
    for (job, field) in [
        (with(one.clone(), "queue", "nowhere"), "queue"),
        (with(one.clone(), "queue", "No Name"), "queue"),
        (with(one.clone(), "operation", "CVEverything"), "items[0].operation"),
        (
            batch([one.clone(), with(one.clone(), "operation", "")]),
            "items[1].operation",
        ),
        (batch([with(one.clone(), "body", 1)]), "items[0].body"),
        (batch([with(one.clone(), "body", json!([]))]), "items[0].body"),
        (batch([]), "items"),
        (with(batch([one.clone()]), "operation", PROCESS), "items"),
        (json!({ "operation": PROCESS }), "items"),
        (json!({}), "items"),
        (with(one.clone(), "delay", -1), "delay"),
        (with(one.clone(), "delay", 1e12), "delay"),
        (with(with(one.clone(), "delay", 1), "not_before", soon.clone()), "delay"),
        (with(one.clone(), "not_before", "tomorrow"), "not_before"),
        (with(one.clone(), "deadline", past), "deadline"),
        (with(with(one.clone(), "deadline", soon), "delay", 60), "deadline"),
        (with(one.clone(), "priority", 10), "priority"),
        (
            with(one.clone(), "retry", json!({ "max_attempts": 0 })),
            "retry.max_attempts",
        ),
        (
            with(one.clone(), "retry", json!({ "max_attempts": 21 })),
            "retry.max_attempts",
        ),
        (with(one.clone(), "retry", json!({ "backoff": 0 })), "retry.backoff"),
        (
            with(one.clone(), "retry", json!({ "backoff": 9, "max_backoff": 8 })),
            "retry.max_backoff",
        ),
        (
            with(one.clone(), "retry", json!({ "unknown_calls": "maybe" })),
            "retry.unknown_calls",
        ),
        (with(one.clone(), "limits", json!({ "hard": 0 })), "limits.hard"),
        (
            with(one.clone(), "limits", json!({ "soft": 9, "hard": 8 })),
            "limits.soft",
        ),
        (with(one.clone(), "metadata", large), "metadata"),
        (with(one.clone(), "metadata", json!([1])), "metadata"),
        (batch([one.clone(), stream]), "items[1].operation"),
    ] {
        refused(&alice, &job, 400, "VALIDATION_FAILED", field).await;
    }
    assert_eq!(alice.get("/v1/jobs").await.json()["items"], json!([]));
    assert_eq!(relay.upstream.seen().total, 0);
}

#[tokio::test]
async fn fields_that_nobody_knows_are_refused_everywhere_but_in_bodies() {
    let (relay, alice) = start_with(Relay::build().with("INTERNAL_CALLBACK_SECRET", SECRET)).await;
    let one = call("unknown-field");
    for job in [
        with(one.clone(), "priorty", 1),
        batch([with(one.clone(), "queue", "default")]),
        with(one.clone(), "retry", json!({ "attempts": 1 })),
        with(one.clone(), "limits", json!({ "firm": 1 })),
        with(
            one.clone(),
            "webhook",
            json!({ "url": "https://93.184.216.34/", "secret": "x" }),
        ),
    ] {
        assert_eq!(send(&alice, &job).await.code(), "VALIDATION_FAILED", "{job}");
    }
    for text in ["", "[]", "null", "{", r#"{"items":[],"items":[]}"#] {
        assert_eq!(alice.post("/v1/jobs", text).await.status, 400, "{text:?}");
    }
    assert_eq!(relay.upstream.seen().total, 0);
}

#[tokio::test]
async fn ten_thousand_items_are_a_job_and_one_more_is_none() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let item = json!({ "operation": PROCESS, "body": { "req_key": "jimeng_t2i_v40" } });
    let of = |number: usize| batch(std::iter::repeat_n(item.clone(), number));

    refused(&alice, &of(10_001), 400, "VALIDATION_FAILED", "items").await;
    let id = accept(&alice, &of(10_000)).await;

    assert_eq!(show(&alice, &id).await["counts"]["queued"], 10_000);
    assert_eq!(queue_row(&relay, "default").backlog(), 10_000);
    assert_eq!(
        post_to(&alice, &id, "cancel").await.json()["counts"]["cancelled"],
        10_000
    );
    assert_eq!(queue_row(&relay, "default").backlog(), 0);
}

#[tokio::test]
async fn an_item_that_the_key_may_not_call_is_named() {
    let (relay, alice) = start().await;
    let path = format!("/admin/keys/{}", alice.issued().key.id);
    let models = json!({ "models": ["jimeng_t2i_v40", "m"] }).to_string();
    relay
        .operator()
        .send(http::Method::PATCH, &path, &models)
        .await
        .unwrap();
    serve(&relay, "gpt-4o").await;
    let other = chat("gpt-4o", "other");

    refused(&alice, &batch([call("may"), other]), 403, "MODEL_DENIED", "items[1]").await;

    let mut other = call("other");
    other["body"]["req_key"] = json!("jimeng_t2v_v30");
    refused(&alice, &other, 403, "MODEL_DENIED", "items[0]").await;
    assert_eq!(queue_row(&relay, "default").enqueued, 0);
}

#[tokio::test]
async fn an_item_whose_model_nobody_knows_is_named() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", [Scope::Jobs]).await;
    let item = json!({ "operation": "embeddings", "body": { "model": "of-nobody", "input": "a" } });

    refused(
        &alice,
        &batch([call("known"), item]),
        404,
        "MODEL_NOT_FOUND",
        "items[1]",
    )
    .await;
}

/// A resolver that knows one name.
struct Leads(IpAddr);

impl Resolve for Leads {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        assert_eq!(name, "hooks.example");
        Box::pin(std::future::ready(Ok(vec![self.0])))
    }
}

const SECRET: &str = "callback-canary-secret-0123456789abcdef";

#[tokio::test]
async fn a_webhook_that_leads_into_somebodys_own_network_is_refused() {
    let inside = Leads(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)));
    let builder = Relay::build()
        .with("INTERNAL_CALLBACK_SECRET", SECRET)
        .resolver(Arc::new(inside));
    let (relay, alice) = start_with(builder).await;
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://127.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "https://10.1.2.3/hook",
        "http://hooks.example/",
        "https://203.0.113.7:8080/",
        "ftp://example.com/",
        "not a url",
    ] {
        let job = with(call("hook"), "webhook", json!({ "url": url }));
        refused(&alice, &job, 400, "VALIDATION_FAILED", "webhook.url").await;
    }
    assert_eq!(queue_row(&relay, "default").enqueued, 0);
}

#[tokio::test]
async fn a_webhook_without_a_secret_to_sign_with_is_refused() {
    let (_relay, alice) = start().await;
    let job = with(call("hook"), "webhook", json!({ "url": "https://93.184.216.34/hook" }));

    refused(&alice, &job, 400, "VALIDATION_FAILED", "webhook.url").await;
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused() {
    let (_relay, alice) = start_with(Relay::build().with("MAX_BODY_BYTES", "4096")).await;
    let job = with(call("large"), "metadata", json!({ "a": "x".repeat(5000) }));

    assert_eq!(send(&alice, &job).await.status, 413);
}

#[tokio::test]
async fn a_store_that_is_nearly_full_takes_no_jobs_and_keeps_showing_them() {
    let (relay, alice) = start().await;
    let alice_again = alice.idempotent("order-1");
    let id = accept(&alice_again, &call("kept")).await;
    ended(&alice, &id).await;
    relay.services().recorder.set_room(false);

    send(&alice, &call("no-room")).await.assert_error(503, "STORE_FULL");

    assert_eq!(show(&alice, &id).await["state"], "succeeded");
    assert_eq!(item(&alice, &id, 0).await["result"]["status"], 200);
    relay.services().recorder.set_room(true);
    accept(&alice, &call("room")).await;
}

#[tokio::test]
async fn a_process_that_ends_takes_no_jobs() {
    let (relay, alice) = start().await;
    relay.services().jobs.close_intake();

    send(&alice, &call("late")).await.assert_error(503, "DRAINING");
}
