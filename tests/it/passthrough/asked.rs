//! What reaches the upstream.

use super::*;

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
async fn a_head_request_to_a_relayed_route_goes_nowhere() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;

    let reply = alice.send(Method::HEAD, "/v1/submit", "").await.unwrap();

    assert_eq!(reply.status, 405);
    assert_eq!(relay.upstream.seen().total, 0);
}
