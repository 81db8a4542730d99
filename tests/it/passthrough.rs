//! Bytes pass through, and failures keep their meaning.

use http::Method;
use tollgate::model::outcome::{Outcome, Reason};
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Heard, Relay, Say, Script, Wire, accepted, head, query_body, replying, submit_body};

const SUBMIT: &str = "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31";
const JSON: &str = "Content-Type: application/json";

/// Bodies that a parser would write in another way.
const ODD: [&str; 6] = [
    r#"{"req_key": "jimeng_t2i_v40", "prompt": "\u706f\u5854", "seed": -1, "scale": 0.50}"#,
    "{\n\t\"zebra\" : 1.0E+2 ,\r\n \"req_key\":\"a\\/b\", \"apple\":12345678901234567890123 }\n",
    r#"{"req_key":"灯塔","nested":{"task_id":1,"TASK_ID":2},"😀":"\ud83d\ude00"}"#,
    r#"{"unknown":{"fields":[null,true,{}]},"req_key":"x","dup":1,"dup":2}"#,
    "prompt=a+lighthouse&req_key=x",
    "\u{0}\u{1}binary\u{7f} not JSON at all",
];

/// A relay before an upstream that answers so.
async fn answered(bytes: Vec<u8>) -> (Relay, Script) {
    let upstream = Script::start([Say::Bytes(bytes)]).await;
    let relay = Relay::build().upstream_at(upstream.address).start().await;
    (relay, upstream)
}

fn only(upstream: &Script) -> Heard {
    let mut heard = upstream.heard();
    assert_eq!(heard.len(), 1);
    heard.remove(0)
}

#[tokio::test]
async fn a_request_body_reaches_the_upstream_byte_for_byte() {
    let (relay, upstream) = answered(accepted("1")).await;
    let alice = relay.client("alice").await;

    for body in ODD {
        assert_eq!(alice.submit(body).await.status, 200, "{body}");
    }

    let heard: Vec<_> = upstream.heard().into_iter().map(|heard| heard.body).collect();
    assert_eq!(heard, ODD.map(|body| body.as_bytes().to_vec()));
}

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
async fn only_what_the_upstream_needs_leaves() {
    let (relay, upstream) = answered(accepted("1")).await;
    let alice = (relay.client("alice").await)
        .header("accept", "application/json, */*;q=0.5")
        .header("accept-encoding", "gzip, br")
        .header("cookie", "session=1")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-security-token", "token")
        .header("x-request-id", "mine")
        .header("idempotency-key", "order-1")
        .header("user-agent", "volc-sdk-python/v1.0.200");
    let path = "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31&X-Extra=1";

    alice.post_signed(path, &submit_body("x")).await;

    let heard = only(&upstream);
    let mut names: Vec<String> = heard.headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-content-sha256",
            "x-date"
        ]
    );
    assert_eq!(
        heard.line(),
        "POST /?Action=CVSync2AsyncSubmitTask&Version=2022-08-31 HTTP/1.1"
    );
    assert_eq!(heard.header("host"), [upstream.address.to_string()]);
    assert_eq!(heard.header("content-type"), ["application/json"]);
    assert_eq!(heard.header("accept"), ["application/json, */*;q=0.5"]);
    assert_eq!(heard.header("accept-encoding"), ["identity"]);
    assert!(heard.header("user-agent")[0].starts_with("tollgate/"));
}

#[tokio::test]
async fn what_leaves_is_signed_anew_with_the_accounts_key() {
    let (relay, upstream) = answered(accepted("1")).await;
    let alice = relay.client("alice").await;

    alice.post_signed(SUBMIT, &submit_body("x")).await;

    let heard = only(&upstream);
    let authorization = heard.header("authorization")[0].to_owned();
    let day = &heard.header("x-date")[0][..8];
    let expected = format!(
        "HMAC-SHA256 Credential=AKTEST/{day}/cn-north-1/cv/request, \
         SignedHeaders=content-type;host;x-content-sha256;x-date, Signature="
    );
    assert!(authorization.starts_with(&expected), "{authorization}");
    let issued = alice.issued();
    assert!(!heard.head.contains(&issued.key.access_key) && !heard.head.contains(issued.secret.expose()));
}

#[tokio::test]
async fn a_bearer_secret_stays_with_us() {
    let (relay, upstream) = answered(accepted("1")).await;
    let alice = relay.client("alice").await;

    alice.submit(&submit_body("x")).await;
    let secret = alice.issued().secret.expose().to_owned();
    relay
        .stranger()
        .header("x-api-key", &secret)
        .submit(&submit_body("x"))
        .await;

    let heard = upstream.heard();
    assert_eq!(heard.len(), 2);
    assert!(
        heard
            .iter()
            .all(|heard| !heard.head.contains(&secret) && !heard.head.contains("Bearer"))
    );
}

#[tokio::test]
async fn an_alias_is_the_action_it_stands_for() {
    let (relay, upstream) = answered(accepted("1")).await;
    let alice = relay.client("alice").await;

    alice.post("/v1/submit?Action=CVProcess&x=1", &submit_body("x")).await;
    alice.query(&query_body("1")).await;

    let lines: Vec<_> = upstream.heard().iter().map(|heard| heard.line().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "POST /?Action=CVSync2AsyncSubmitTask&Version=2022-08-31 HTTP/1.1",
            "POST /?Action=CVSync2AsyncGetResult&Version=2022-08-31 HTTP/1.1",
        ]
    );
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

#[tokio::test]
async fn a_chunked_body_is_relayed_with_its_length() {
    let (relay, upstream) = answered(accepted("1")).await;
    let alice = relay.client("alice").await;
    let mut wire = Wire::to(&relay).await;
    let headers = [
        &alice.bearer(),
        "Transfer-Encoding: chunked",
        "TE: trailers",
        "Trailer: X-After",
    ];

    wire.send(head(&relay, "POST", "/v1/submit", &headers)).await;
    wire.send("8\r\n{\"req_ke\r\n9\r\ny\": \"x\" }\r\n0\r\nX-After: 1\r\n\r\n")
        .await;

    assert_eq!(wire.reply().await.status, 200);
    let heard = only(&upstream);
    assert_eq!(heard.body, br#"{"req_key": "x" }"#);
    assert_eq!(heard.header("content-length"), ["17"]);
}

#[tokio::test]
async fn a_request_that_names_two_lengths_is_read_in_one_way_only() {
    let (relay, upstream) = answered(accepted("1")).await;
    let bearer = relay.client("alice").await.bearer();
    let chunked = "8\r\n{\"req_ke\r\n9\r\ny\": \"x\" }\r\n0\r\n\r\n";

    for length in ["Content-Length: 0", "Content-Length: 8"] {
        let headers = [&bearer, length, "Transfer-Encoding: chunked"];
        let mut wire = Wire::to(&relay).await;
        wire.send(head(&relay, "POST", "/v1/submit", &headers) + chunked).await;
        assert_eq!(wire.reply().await.status, 200);
        assert_eq!(upstream.heard().last().unwrap().body, br#"{"req_key": "x" }"#);
    }
    let mut wire = Wire::to(&relay).await;
    let headers = [&bearer, "Content-Length: 2", "Content-Length: 3"];
    wire.send(head(&relay, "POST", "/v1/submit", &headers) + "{} ").await;

    assert_eq!(wire.reply().await.status, 400);
    assert_eq!(upstream.heard().len(), 2);
}

#[tokio::test]
async fn a_large_body_and_a_large_reply_pass() {
    let (large, huge) = ("p".repeat(3 << 20), "r".repeat(9 << 20));
    let (relay, upstream) = answered(replying(
        "200 OK",
        &[JSON],
        format!(r#"{{"code":10000,"data":{{"b":"{huge}"}}}}"#),
    ))
    .await;
    let alice = relay.client("alice").await;

    let reply = alice.process(&format!(r#"{{"req_key":"x","image":"{large}"}}"#)).await;

    assert_eq!(reply.json()["data"]["b"], huge);
    assert_eq!(only(&upstream).body.len(), large.len() + 26);
}

#[tokio::test]
async fn a_head_request_to_a_relayed_route_goes_nowhere() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;

    let reply = alice.send(Method::HEAD, "/v1/submit", "").await.unwrap();

    assert_eq!(reply.status, 405);
    assert_eq!(relay.upstream.seen().total, 0);
}
