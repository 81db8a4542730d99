//! What reaches the client.

use super::*;

#[tokio::test]
async fn a_reply_reaches_the_client_byte_for_byte() {
    let reply = "{ \"code\": 10000 ,\"cost\":1.0e4, \"data\":{\"task_id\":\"7\",\"x\":0.10},\n\"message\":\"\\u6210\\u529f\" }\n";
    let (relay, _upstream) = answered(replying("200 OK", &[JSON], reply)).await;
    let alice = relay.client("alice").await;

    let submitted = alice.submit(&submit_body("x")).await;

    assert_eq!((submitted.status.as_u16(), submitted.text().as_str()), (200, reply));
}

#[tokio::test]
async fn a_reply_that_contradicts_itself_passes_but_is_believed_in_nothing() {
    let reply = r#"{"code":50400,"code":10000,"data":{"task_id":"7"}}"#;
    let (relay, _upstream) = answered(replying("200 OK", &[JSON], reply)).await;
    let alice = relay.client("alice").await;

    let submitted = alice.submit(&submit_body("x")).await;

    assert_eq!((submitted.status.as_u16(), submitted.text().as_str()), (200, reply));
    assert_eq!(relay.settled().await.outcome, Outcome::Unknown);
}

#[tokio::test]
async fn of_a_replys_head_only_what_the_client_needs_passes() {
    let head = [
        "Content-Type: application/json; charset=utf-8",
        "X-Tt-Logid: 20260224100000ABCDEF",
        "Retry-After: 3",
        "Set-Cookie: session=1",
        "Server: Tengine",
        "Connection: keep-alive, X-Hop",
        "Keep-Alive: timeout=5",
        "X-Hop: 1",
        "X-Request-Id: theirs",
        "X-Powered-By: magic",
        "Idempotency-Replayed: true",
    ];
    let body = r#"{"code":10000,"data":{"task_id":"1"}}"#;
    let (relay, _upstream) = answered(replying("200 OK", &head, body)).await;
    let alice = relay.client("alice").await;

    let reply = alice.submit(&submit_body("x")).await;

    let mut names: Vec<&str> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let ours = [
        "content-length",
        "content-security-policy",
        "content-type",
        "cross-origin-resource-policy",
        "date",
        "referrer-policy",
        "retry-after",
        "x-content-type-options",
        "x-frame-options",
        "x-request-id",
        "x-tt-logid",
    ];
    assert_eq!(names, ours);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("x-tt-logid"), Some("20260224100000ABCDEF"));
    assert!(reply.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(
        relay.settlements()[0].upstream_request.as_deref(),
        Some("20260224100000ABCDEF")
    );
}

#[tokio::test]
async fn an_upstream_error_in_json_passes_unchanged() {
    for (status, outcome) in [
        ("400 Bad Request", Outcome::Rejected),
        ("401 Unauthorized", Outcome::Refused),
        ("404 Not Found", Outcome::Rejected),
        ("418 I'm a teapot", Outcome::Rejected),
        ("500 Internal Server Error", Outcome::Unknown),
        ("503 Service Unavailable", Outcome::Unknown),
    ] {
        let body = r#"{ "ResponseMetadata":{"Error":{"Code":"X","Message":"\u4e0d"}} , "RequestId":"1"}"#;
        let (relay, _upstream) = answered(replying(status, &[JSON, "Retry-After: 17"], body)).await;
        let alice = relay.client("alice").await;

        let reply = alice.submit(&submit_body("x")).await;

        assert_eq!((reply.status.as_str(), reply.text().as_str()), (&status[..3], body));
        assert_eq!(reply.header("retry-after"), Some("17"));
        // A refusal cost nothing: it alone may be tried again.
        let forbids = reply.header("x-should-retry") == Some("false");
        assert_eq!(forbids, outcome != Outcome::Refused, "{status}");
        assert_eq!(relay.settlements()[0].outcome, outcome, "{status}");
    }
}

#[tokio::test]
async fn an_upstream_error_that_is_no_json_keeps_its_status_in_our_envelope() {
    for (status, code) in [
        (400, "UPSTREAM_FAILED"),
        (404, "UPSTREAM_FAILED"),
        (500, "UPSTREAM_FAILED"),
        (503, "UPSTREAM_FAILED"),
    ] {
        let (relay, _upstream) = answered(replying(
            &format!("{status} Oh"),
            &["Content-Type: text/html", "Retry-After: 9"],
            "<h1>nginx</h1>",
        ))
        .await;
        let alice = relay.client("alice").await;

        let reply = alice.submit(&submit_body("x")).await;

        reply.assert_error(status, code);
        assert_eq!(reply.header("retry-after"), Some("9"));
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_web_page_with_status_200_is_502() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    relay.upstream.faults().push(Rule::any(Fault::Html)).unwrap();

    let reply = alice.submit(&submit_body("x")).await;

    reply.assert_error(502, "UPSTREAM_FAILED");
    let settled = relay.settled().await;
    assert_eq!(
        (settled.outcome, settled.reason),
        (Outcome::Unknown, Reason::Unreadable)
    );
    assert_eq!(reply.json()["error"]["audit_id"], settled.intent);
}

#[tokio::test]
async fn a_success_that_is_no_object_is_502() {
    for body in ["", "[]", "\"done\"", "{\"code\":10000", "null"] {
        let (relay, _upstream) = answered(replying("200 OK", &[JSON], body)).await;
        let alice = relay.client("alice").await;

        alice
            .submit(&submit_body("x"))
            .await
            .assert_error(502, "UPSTREAM_FAILED");

        assert_eq!(relay.settled().await.outcome, Outcome::Unknown, "{body}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Script::start([Say::Bytes(accepted("1"))]).await;
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let to = format!("http://{}/", elsewhere.address).parse().unwrap();
    relay.upstream.faults().push(Rule::any(Fault::Redirect { to })).unwrap();

    let reply = alice.submit(&submit_body("x")).await;

    reply.assert_error(502, "UPSTREAM_FAILED");
    assert_eq!((elsewhere.connections(), relay.seen("x")), (0, 1));
}

#[tokio::test]
async fn a_reply_is_never_decoded() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    relay.upstream.faults().push(Rule::any(Fault::Gzip)).unwrap();

    let lied = alice.submit(&submit_body("x")).await;

    assert_eq!((lied.status.as_u16(), lied.header("content-encoding")), (200, None));
    assert!(!lied.task_id().is_empty());

    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV\xcaM-.NLOU\xb2R\xca+\xcd\xc9Q\xaa\x05\0";
    let (relay, _upstream) = answered(replying("200 OK", &[JSON, "Content-Encoding: gzip"], gzip)).await;
    let alice = relay.client("alice").await;
    alice
        .submit(&submit_body("x"))
        .await
        .assert_error(502, "UPSTREAM_FAILED");
}

#[tokio::test]
async fn a_reply_beyond_the_limit_is_502_with_or_without_its_length() {
    let small = Relay::build().with("MAX_RESPONSE_BYTES", "4KiB").start().await;
    let alice = small.client("alice").await;
    small
        .upstream
        .faults()
        .push(Rule::any(Fault::Oversize { bytes: 5000 }))
        .unwrap();
    let body = format!(
        r#"{{"code":10000,"data":{{"task_id":"1"}},"padding":"{}"}}"#,
        "x".repeat(5000)
    );
    let answer = Answer {
        body: Some(body),
        ..Answer::default()
    };
    small.upstream.faults().push(Rule::any(Fault::Answer(answer))).unwrap();

    for marker in ["chunked", "whole"] {
        alice
            .submit(&submit_body(marker))
            .await
            .assert_error(502, "UPSTREAM_FAILED");
        assert_eq!(small.seen(marker), 1);
    }

    assert!(
        small
            .settlements()
            .iter()
            .all(|settled| settled.outcome == Outcome::Unknown)
    );
    assert_eq!(alice.submit(&submit_body("after")).await.status, 200);
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_502_and_of_unknown_outcome() {
    for fault in [Fault::Truncate, Fault::ResetMidBody, Fault::Reset] {
        let relay = Relay::start().await;
        let alice = relay.client("alice").await;
        relay.upstream.faults().push(Rule::any(fault.clone())).unwrap();

        let reply = alice.submit(&submit_body("x")).await;

        reply.assert_error(502, "UPSTREAM_FAILED");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        let settled = relay.settled().await;
        assert_eq!(
            (settled.outcome, settled.reason),
            (Outcome::Unknown, Reason::Reset),
            "{fault:?}"
        );
        assert_eq!(relay.seen("x"), 1);
    }
}

#[tokio::test]
async fn a_reply_that_comes_in_crumbs_is_whole() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::Drip { bytes: 1, pause_ms: 0 }))
        .unwrap();

    let reply = alice.submit(&submit_body("x")).await;

    assert_eq!(
        (reply.status.as_u16(), reply.json()["code"].as_i64()),
        (200, Some(10_000))
    );
}
