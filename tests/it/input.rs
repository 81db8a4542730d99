//! Bad input: every request that is wrong is answered with the envelope, and costs nothing and nobody anything.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use tollgate::model::record::Entry;
use tollgate::server::Limits;

use crate::support::{Builder, Client, REGION, Relay, Reply, Wire, head, pass, submit_body};

const SUBMIT: &str = "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31";

/// A relay that is about to be mistreated, and a client who knows better.
struct Victim {
    relay: Relay,
    alice: Client,
    before: Vec<(u64, Entry)>,
}

impl Victim {
    async fn start() -> Self {
        Self::built(Relay::build()).await
    }

    async fn built(builder: Builder) -> Self {
        let relay = builder.start().await;
        let alice = relay.client("alice").await;
        let before = relay.log_book();
        Self { relay, alice, before }
    }

    /// Nothing was recorded, nothing reached the upstream, and what is right still works.
    async fn assert_unharmed(&self) {
        assert_eq!(self.relay.log_book(), self.before);
        assert_eq!(self.relay.upstream.seen().total, 0);
        assert_eq!(self.alice.submit(&submit_body("after")).await.status, 200);
    }

    /// Sends a request written by hand, with alice's secret.
    async fn by_hand(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let mut wire = Wire::to(&self.relay).await;
        let length = format!("Content-Length: {}", body.len());
        wire.send(head(&self.relay, method, path, &[headers, &[&length]].concat()) + body)
            .await;
        wire.reply().await
    }
}

#[tokio::test]
async fn a_request_without_a_credential_is_refused() {
    let victim = Victim::start().await;

    let reply = victim.relay.stranger().submit(&submit_body("x")).await;

    reply.assert_error(401, "AUTH_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_secret_that_nobody_issued_is_refused() {
    let victim = Victim::start().await;
    let stranger = victim.relay.stranger();

    let unknown = stranger.header("authorization", "Bearer sk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let nonsense = stranger.header("authorization", "Basic YWxpY2U6c2VjcmV0");

    unknown.submit(&submit_body("x")).await.assert_error(401, "AUTH_FAILED");
    nonsense
        .submit(&submit_body("x"))
        .await
        .assert_error(401, "AUTH_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_signature_over_another_body_is_refused() {
    let victim = Victim::start().await;
    let headers = victim.alice.sign(REGION, SUBMIT, &submit_body("mine"));

    let reply = victim.alice.post_with(SUBMIT, submit_body("forged"), headers).await;

    reply.assert_error(401, "INVALID_SIGNATURE");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_signature_for_another_region_is_refused() {
    let victim = Victim::start().await;
    let headers = victim.alice.sign("ap-southeast-1", SUBMIT, &submit_body("x"));

    let reply = victim.alice.post_with(SUBMIT, submit_body("x"), headers).await;

    reply.assert_error(401, "AUTH_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_signed_request_is_worth_nothing_after_five_minutes() {
    let victim = Victim::start().await;
    let headers = victim.alice.sign(REGION, SUBMIT, &submit_body("x"));
    victim.relay.clock.forward(Duration::from_secs(301));

    let reply = victim.alice.post_with(SUBMIT, submit_body("x"), headers).await;

    reply.assert_error(401, "AUTH_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn two_kinds_of_credential_at_once_are_refused() {
    let victim = Victim::start().await;
    let secret = victim.alice.issued().secret.expose().to_owned();

    let reply = victim
        .alice
        .header("x-api-key", &secret)
        .submit(&submit_body("x"))
        .await;

    reply.assert_error(400, "VALIDATION_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_header_that_a_proxy_could_read_differently_may_come_once_only() {
    let victim = Victim::start().await;
    let bearer = victim.alice.bearer();

    for twice in [
        &[bearer.as_str(), &bearer] as &[&str],
        &[&bearer, "Host: elsewhere.example"],
        &[&bearer, "Idempotency-Key: a", "Idempotency-Key: b"],
        &[&bearer, "X-Date: 20260224T100000Z", "X-Date: 20260224T100001Z"],
        &["X-Api-Key: a", "X-Api-Key: b"],
    ] {
        let reply = victim.by_hand("POST", SUBMIT, twice, &submit_body("x")).await;
        reply.assert_error(400, "VALIDATION_FAILED");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn an_action_that_is_not_relayed_is_not_found() {
    let victim = Victim::start().await;

    for path in [
        "/?Action=DeleteEverything&Version=2022-08-31",
        "/?Version=2022-08-31",
        "/",
        "/v1/nothing",
    ] {
        victim
            .alice
            .post(path, &submit_body("x"))
            .await
            .assert_error(404, "NOT_FOUND");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn an_action_or_version_is_named_once_in_one_spelling() {
    let victim = Victim::start().await;

    for query in [
        "Action=CVProcess&Action=CVSync2AsyncGetResult&Version=2022-08-31",
        "Action=CVSync2AsyncGetResult&action=CVProcess&Version=2022-08-31",
        "action=CVProcess&Version=2022-08-31",
        "Action=CVProcess&%41ction=CVSync2AsyncGetResult&Version=2022-08-31",
        "Action=CVProcess;Action=CVSync2AsyncGetResult&Version=2022-08-31",
        "Action=CVProcess&Version=2022-08-31&Version=2024-06-06",
        "Action=CVProcess&Version=2024-06-06",
        "Action=CVProcess",
    ] {
        let reply = victim.alice.post(&format!("/?{query}"), &submit_body("x")).await;
        reply.assert_error(400, "VALIDATION_FAILED");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let victim = Victim::start().await;

    for (method, path, allow) in [
        (Method::GET, "/v1/submit", "POST"),
        (Method::GET, "/v1/get-result", "POST"),
        (Method::GET, SUBMIT, "POST"),
        (Method::DELETE, "/v1/tasks", "GET, HEAD"),
    ] {
        let reply = victim.alice.send(method, path, "").await.unwrap();
        reply.assert_error(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), Some(allow), "{path}");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_by_its_announced_length() {
    let victim = Victim::start().await;

    let reply = victim.alice.post(SUBMIT, &"x".repeat(21 << 20)).await;

    reply.assert_error(413, "BODY_TOO_LARGE");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_when_it_names_no_length() {
    let victim = Victim::start().await;
    let pieces = (0..21).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1 << 20]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let bearer = format!("Bearer {}", victim.alice.issued().secret.expose());
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap())]);

    let reply = victim.alice.post_with(SUBMIT, body, headers).await;

    reply.assert_error(413, "BODY_TOO_LARGE");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_client_that_listens_only_after_its_last_byte_hears_the_refusal_too() {
    let victim = Victim::start().await;

    let reply = victim
        .by_hand("POST", SUBMIT, &[&victim.alice.bearer()], &"x".repeat(21 << 20))
        .await;

    reply.assert_error(413, "BODY_TOO_LARGE");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_stranger_cannot_make_us_read_a_body() {
    let victim = Victim::start().await;
    let mut wire = Wire::to(&victim.relay).await;

    wire.send(head(
        &victim.relay,
        "POST",
        SUBMIT,
        &["Content-Length: 1000000", "Expect: 100-continue"],
    ))
    .await;

    wire.reply().await.assert_error(401, "AUTH_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_closes_the_connection() {
    let limits = Limits {
        header_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let victim = Victim::built(Relay::build().server_limits(limits)).await;
    let mut wire = Wire::to(&victim.relay).await;

    wire.send("POST /v1/submit HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;

    assert_eq!(wire.ends().await, b"");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_times_out() {
    let victim = Victim::start().await;
    let mut wire = Wire::to(&victim.relay).await;
    let headers = [&victim.alice.bearer(), "Content-Length: 100", "Expect: 100-continue"];
    wire.send(head(&victim.relay, "POST", "/v1/submit", &headers)).await;
    // From here on the body is awaited.
    assert_eq!(wire.reply().await.status, 100);

    pass(Duration::from_secs(11)).await;

    wire.reply().await.assert_error(408, "BODY_TIMEOUT");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_relayed() {
    let victim = Victim::start().await;
    let mut wire = Wire::to(&victim.relay).await;
    let headers = [&victim.alice.bearer(), "Transfer-Encoding: chunked"];

    wire.send(head(&victim.relay, "POST", "/v1/submit", &headers)).await;
    wire.send("5\r\n{\"a\":\r\nnonsense\r\n").await;

    wire.reply().await.assert_error(400, "VALIDATION_FAILED");
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_header_bomb_gets_a_bare_431() {
    let victim = Victim::start().await;
    let large = format!("X-Bomb: {}", "x".repeat(100 << 10));
    let many: Vec<String> = (0..200).map(|number| format!("X-Bomb-{number}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    for headers in [&[large.as_str()] as &[&str], &many] {
        let mut wire = Wire::to(&victim.relay).await;
        wire.send(head(&victim.relay, "POST", SUBMIT, headers)).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (431, 0));
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn an_owner_checked_route_takes_nothing_but_json_that_names_one_task() {
    let victim = Victim::start().await;

    for body in [
        "",
        "task_id=1",
        "[]",
        "{\"task_id\":\"1\"",
        "{}",
        r#"{"task_id":""}"#,
        r#"{"task_id":"mine","TASK_ID":"theirs"}"#,
        r#"{"task_id":"mine","task_id":"theirs"}"#,
        r#"{"task_id":"mine","\u0074ask_id":"theirs"}"#,
        r#"{"Task_Id":"mine"}"#,
        r#"{"task_id":7392616336519610409}"#,
        r#"{"task_id":["1"]}"#,
        r#"{"task_id":null}"#,
    ] {
        let reply = victim.alice.query(body).await;
        assert_eq!(reply.status, 400, "{body}");
        reply.assert_error(400, "VALIDATION_FAILED");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn a_submit_names_its_model_in_one_way() {
    let victim = Victim::start().await;

    for body in [r#"{"req_key":"a","REQ_KEY":"b"}"#, r#"{"req_key":"a","req_key":"b"}"#] {
        victim.alice.submit(body).await.assert_error(400, "VALIDATION_FAILED");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn the_memory_of_all_bodies_together_is_bounded() {
    let bounds = Relay::build()
        .with("MAX_BODY_BYTES", "8KiB")
        .with("MAX_RESPONSE_BYTES", "8KiB")
        .with("BODY_MEMORY_BYTES", "12KiB");
    let victim = Victim::built(bounds).await;
    let mut first = Wire::to(&victim.relay).await;
    let headers = [&victim.alice.bearer(), "Content-Length: 8000", "Expect: 100-continue"];
    first.send(head(&victim.relay, "POST", "/v1/submit", &headers)).await;
    assert_eq!(first.reply().await.status, 100);

    let second = victim.alice.submit(&"x".repeat(8000)).await;

    second.assert_error(429, "QUEUE_FULL");
    assert_eq!(second.header("retry-after"), Some("1"));
    drop(first);
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn an_idempotency_key_is_visible_ascii_of_bounded_length() {
    let victim = Victim::start().await;
    let long = format!("Idempotency-Key: {}", "x".repeat(256));

    for line in [
        "Idempotency-Key: two words",
        "Idempotency-Key: заказ",
        "Idempotency-Key:",
        &long,
    ] {
        let headers = [&victim.alice.bearer(), line];
        let reply = victim.by_hand("POST", "/v1/submit", &headers, &submit_body("x")).await;
        reply.assert_error(400, "VALIDATION_FAILED");
        assert_eq!(reply.json()["error"]["param"], "Idempotency-Key");
    }
    victim.assert_unharmed().await;
}

#[tokio::test]
async fn every_answer_names_its_request_in_our_own_words() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.header("x-request-id", "mine-1");

    for reply in [
        alice.submit(&submit_body("x")).await,
        alice.get("/health").await,
        alice.get("/openapi.json").await,
    ] {
        let id = reply.header("x-request-id").unwrap();
        assert!(id.starts_with("req_"), "{id}");
    }
    let (_, intent) = relay.intents().remove(0);
    assert_eq!(intent.client_request.as_deref(), Some("mine-1"));
}
