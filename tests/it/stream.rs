//! Streaming is invisible: what the upstream says comes when it is said and as it was said, and what it cost is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate::model::outcome::{Outcome, Reason};
use tollgate::model::usage::{Source, Usage};
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Builder, ByHand, Client, Exchange, Relay, Wire, at_once, eventually, openai_imitation, pass};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"tell me a story"}],"stream":true}"#;
const KEYED: &str = "Idempotency-Key: story-1";

const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A stream that has begun: its head is with the client, and not a byte more has come.
struct Begun {
    relay: Relay,
    alice: Client,
    upstream: ByHand,
    exchange: Exchange,
    wire: Wire,
    headers: HeaderMap,
}

impl Begun {
    async fn new() -> Self {
        Self::with(Relay::build(), &[]).await
    }

    /// One with header lines of the client.
    async fn with(builder: Builder, headers: &[&str]) -> Self {
        let upstream = ByHand::start().await;
        let relay = builder.openai_at(upstream.address()).start().await;
        let alice = relay.client("alice").await;
        let mut wire = Wire::posting(&relay, &alice, CHAT, headers, BODY).await;
        let mut exchange = upstream.take().await;
        exchange.begin().await;
        let (status, headers) = wire.head().await;
        assert_eq!(status, 200);
        Self {
            relay,
            alice,
            upstream,
            exchange,
            wire,
            headers,
        }
    }

    /// Says a piece, and waits until it has passed alone.
    async fn passes(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        self.exchange.say(piece).await;
        let chunk = self.wire.chunk().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&chunk), String::from_utf8_lossy(piece));
    }

    /// The client's next chunk as text.
    async fn heard(&mut self) -> String {
        String::from_utf8(self.wire.chunk().await.unwrap()).unwrap()
    }

    async fn assert_settled(&self, outcome: Outcome, reason: Reason) {
        let settled = self.relay.settled().await;
        assert_eq!((settled.outcome, settled.reason), (outcome, reason));
    }
}

/// A frame that says `text`.
fn frame(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n")
}

/// The error in an event that ends a stream.
fn error_of(event: &str) -> Value {
    let data = event.trim_start().strip_prefix("data: ").unwrap();
    serde_json::from_str::<Value>(data.trim_end()).unwrap()["error"].clone()
}

#[tokio::test]
async fn the_first_frame_reaches_the_client_before_the_second_is_said() {
    let mut stream = Begun::new().await;

    for word in ["Once", " upon", " a", " time"] {
        stream.passes(frame(word)).await;
    }
    stream.passes(DONE).await;
    stream.exchange.end().await;

    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;
}

#[tokio::test]
async fn the_head_says_that_it_is_a_stream_which_no_proxy_may_hold_back() {
    let stream = Begun::new().await;
    let header = |name: &str| stream.headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("cache-control"), "no-cache");
    assert!(header("x-request-id").starts_with("req_"));
    assert!(!stream.headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_letter_that_is_parted_between_two_pieces_arrives_intact() {
    let mut stream = Begun::new().await;
    let story = frame("从前有一座山 🏔");
    for byte in story.as_bytes() {
        stream.passes([*byte]).await;
    }
    stream.passes(DONE).await;
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;
}

#[tokio::test]
async fn the_imitations_stream_passes_as_it_is_in_either_language() {
    let upstream = openai_imitation().await;
    let relay = Relay::build().openai_at(upstream.addr()).start().await;
    let alice = relay.client("alice").await;
    for (question, answer) in [("who are you?", "This is the sandbox"), ("你是谁？", "这里是沙盒")] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": question}], "stream": true});

        let reply = alice.post(CHAT, &body.to_string()).await;

        let text = reply.text();
        let said: String = text
            .split("\n\n")
            .filter_map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ")?).ok())
            .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect();
        assert!(said.starts_with(answer), "{text}");
        assert!(text.ends_with(DONE), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_stream_of_the_upstream_at_once() {
    for headers in [&[][..], &[KEYED]] {
        let Begun {
            relay,
            mut exchange,
            wire,
            ..
        } = Begun::with(Relay::build(), headers).await;
        exchange.say(frame("Once")).await;

        drop(wire);

        tokio::time::timeout(Duration::from_millis(100), exchange.until_closed())
            .await
            .expect("the upstream is closed within 100 ms");
        let settled = relay.settled().await;
        assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::HungUp));
        assert_eq!(relay.consumed().len(), 1);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_head_ends_the_call_at_once() {
    for body in [BODY, &BODY.replace("true", "false")] {
        let upstream = openai_imitation().await;
        upstream.faults().push(Rule::any(Fault::Hang)).unwrap();
        let relay = Relay::build().openai_at(upstream.addr()).start().await;
        let alice = relay.client("alice").await;
        let wire = Wire::posting(&relay, &alice, CHAT, &[], body).await;
        eventually("the call reached the upstream", async || upstream.seen().total == 1).await;

        drop(wire);

        at_once("the upstream's caller hung up", || upstream.seen().abandoned == 1).await;
        let settled = relay.settled().await;
        assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::HungUp));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_and_is_recorded_as_truncated() {
    let mut stream = Begun::new().await;
    stream.passes(frame("Once")).await;

    stream.exchange.end().await;

    let error = error_of(&stream.heard().await);
    assert_eq!(error["code"], "UPSTREAM_FAILED");
    assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Unknown, Reason::Truncated).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_within_a_frame_leaves_no_stump_that_the_error_could_be_read_into() {
    let mut stream = Begun::new().await;
    stream.passes(frame("Once")).await;
    stream.passes("data: {\"choices\":[{\"ind").await;

    stream.exchange.reset();

    let event = String::from_utf8(stream.wire.chunk().await.unwrap()).unwrap();
    assert!(event.starts_with("\n\n"), "{event:?}");
    assert_eq!(error_of(&event)["code"], "UPSTREAM_FAILED");
    assert_eq!(stream.wire.chunk().await, None);
    let settled = stream.relay.settled().await;
    assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::Truncated));
}

#[tokio::test]
async fn after_the_first_byte_no_other_account_is_asked() {
    let upstream = ByHand::start().await;
    let keys = "sk-first-0123456789abcdef,sk-second-0123456789abcdef";
    let relay = Relay::build()
        .openai_at(upstream.address())
        .with("OPENAI_API_KEY", keys)
        .start()
        .await;
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, CHAT, &[], BODY).await;
    let mut exchange = upstream.take().await;
    exchange.begin().await;
    wire.head().await;
    exchange.say(frame("Once")).await;
    wire.chunk().await;

    exchange.reset();

    let event = String::from_utf8(wire.chunk().await.unwrap()).unwrap();
    assert_eq!(error_of(&event)["code"], "UPSTREAM_FAILED");
    assert_eq!(wire.chunk().await, None);
    relay.settled().await;
    let again = tokio::time::timeout(Duration::from_millis(100), upstream.take()).await;
    assert!(again.is_err(), "nobody is asked again");
}

#[tokio::test]
async fn an_upstream_that_falls_silent_is_given_up() {
    let mut stream = Begun::new().await;
    stream.passes(frame("Once")).await;

    pass(Duration::from_mins(10)).await;

    let mut last = String::new();
    while let Some(chunk) = stream.wire.chunk().await {
        last = String::from_utf8(chunk).unwrap();
    }
    assert_eq!(error_of(&last)["code"], "UPSTREAM_FAILED");
    stream.exchange.until_closed().await;
    stream.assert_settled(Outcome::Unknown, Reason::Timeout).await;
}

#[tokio::test]
async fn an_upstream_that_never_begins_is_given_up_with_a_status() {
    let upstream = ByHand::start().await;
    let relay = Relay::build().openai_at(upstream.address()).start().await;
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, CHAT, &[], BODY).await;
    let mut exchange = upstream.take().await;

    pass(Duration::from_mins(11)).await;

    wire.reply().await.assert_error(504, "UPSTREAM_TIMEOUT");
    exchange.until_closed().await;
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::Timeout));
}

#[tokio::test]
async fn while_nothing_comes_a_comment_keeps_the_connection_alive() {
    let mut stream = Begun::new().await;
    stream.passes(frame("Once")).await;
    for _ in 0..3 {
        pass(Duration::from_secs(15)).await;
        assert_eq!(stream.heard().await, ": keep-alive\n\n");
    }
    stream.passes(frame(" upon")).await;
}

#[tokio::test]
async fn no_comment_stands_within_a_frame() {
    let mut stream = Begun::new().await;
    let (half, rest) = ("data: {\"choices\":", "[]}\n\n");
    stream.passes(half).await;
    pass(Duration::from_secs(15)).await;
    stream.passes(rest).await;
    pass(Duration::from_secs(15)).await;
    assert_eq!(stream.heard().await, ": keep-alive\n\n");
}

#[tokio::test]
async fn a_client_that_never_reads_holds_the_upstream_back_and_not_our_memory() {
    let Begun {
        relay, exchange, wire, ..
    } = Begun::new().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let mut flood = JoinSet::new();
    flood.spawn(async move {
        let piece = frame(&"x".repeat(64 << 10));
        exchange
            .flood(piece.as_bytes(), |bytes| {
                counted.fetch_add(bytes, Ordering::Relaxed);
            })
            .await;
    });

    let (mut before, mut still) = (0, 0);
    eventually("the upstream can send no more", async || {
        let now = sent.load(Ordering::Relaxed);
        still = if now > 0 && now == before { still + 1 } else { 0 };
        before = now;
        still == 20
    })
    .await;

    // What the kernel holds for two connections, and no more.
    assert!(before < 40 << 20, "{before} bytes were taken");
    drop(wire);
    flood.join_next().await.unwrap().unwrap();
    relay.settled().await;
}

#[tokio::test]
async fn a_stream_without_done_is_whole_if_its_answer_is_finished() {
    let mut stream = Begun::new().await;
    stream.passes(frame("Once")).await;
    stream.passes(LAST).await;
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;
}

#[tokio::test]
async fn a_doubled_done_passes_as_it_came() {
    let mut stream = Begun::new().await;
    for piece in [&frame("Once"), LAST, DONE, DONE] {
        stream.passes(piece).await;
    }
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;
}

#[tokio::test]
async fn an_error_that_the_upstream_streams_passes_and_no_second_one_follows() {
    let mut stream = Begun::new().await;
    stream.passes(frame("Once")).await;
    stream
        .passes("data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n")
        .await;
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Unknown, Reason::Truncated).await;
}

#[tokio::test]
async fn a_stream_that_is_refused_is_answered_with_the_refusal() {
    let upstream = ByHand::start().await;
    let relay = Relay::build().openai_at(upstream.address()).start().await;
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, CHAT, &[], BODY).await;
    let refusal = r#"{"error":{"message":"no such tool","type":"invalid_request_error","param":"tools","code":null}}"#;
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}",
        refusal.len()
    );
    upstream.take().await.send(format!("{head}\r\n\r\n{refusal}")).await;

    let reply = wire.reply().await;

    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (400, refusal));
    assert_eq!(relay.settled().await.outcome, Outcome::Rejected);
}

#[tokio::test]
async fn the_usage_of_the_last_frame_is_recorded() {
    let mut stream = Begun::new().await;
    for piece in [&frame("Once"), LAST, USAGE, DONE] {
        stream.passes(piece).await;
    }
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;
    let usage = Usage {
        input: 7,
        output: 3,
        cached: 0,
    };
    assert_eq!(stream.relay.consumed(), [(usage, Source::Reported)]);
}

#[tokio::test]
async fn a_usage_that_nobody_reports_is_estimated_and_marked_so() {
    let mut stream = Begun::new().await;
    for piece in [&frame("Once upon a time"), LAST, DONE] {
        stream.passes(piece).await;
    }
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;
    let consumed = stream.relay.consumed();
    assert_eq!(consumed.len(), 1);
    assert_eq!((consumed[0].0.output, consumed[0].1), (4, Source::Estimated));
    assert!(consumed[0].0.input > 0);
}

#[tokio::test]
async fn where_the_operator_says_so_usage_is_asked_for_and_the_extra_frame_hidden() {
    let upstream = ByHand::start().await;
    let relay = Relay::start().await;
    let operator = relay.operator();
    let base_url = format!("http://{}/v1", upstream.address());
    let local = json!({"id": "local", "base_url": base_url, "stream_usage": "always"});
    assert_eq!(operator.post("/admin/upstreams", &local.to_string()).await.status, 201);
    let account = json!({"credential": "sk-local-0123456789abcdef"}).to_string();
    assert_eq!(
        operator.post("/admin/upstreams/local/accounts", &account).await.status,
        201
    );
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, CHAT, &[], BODY).await;
    let mut exchange = upstream.take().await;
    let asked: Value = serde_json::from_slice(&exchange.heard.body).unwrap();
    assert_eq!(asked["stream_options"], json!({"include_usage": true}));

    exchange.begin().await;
    exchange.say([&frame("Once"), LAST, USAGE, DONE].concat()).await;
    exchange.end().await;

    wire.head().await;
    assert_eq!(
        wire.chunks().await,
        [frame("Once").as_bytes(), LAST.as_bytes(), DONE.as_bytes()]
    );
    relay.settled().await;
    assert_eq!(
        relay.consumed(),
        [(
            Usage {
                input: 7,
                output: 3,
                cached: 0
            },
            Source::Reported
        )]
    );
}

#[tokio::test]
async fn a_client_that_asked_for_the_usage_itself_sees_it() {
    let upstream = openai_imitation().await;
    let relay = Relay::build().openai_at(upstream.addr()).start().await;
    let alice = relay.client("alice").await;
    let body = BODY.replace(
        r#""stream":true"#,
        r#""stream":true,"stream_options":{"include_usage":true}"#,
    );

    let reply = alice.post(CHAT, &body).await;

    assert!(reply.text().contains("\"total_tokens\""), "{reply:?}");
    relay.settled().await;
    assert_eq!(relay.consumed()[0].1, Source::Reported);
}

#[tokio::test]
async fn a_stream_under_an_idempotency_key_is_never_paid_twice() {
    let mut stream = Begun::with(Relay::build(), &[KEYED]).await;
    let again = stream.alice.idempotent("story-1");
    let mut meanwhile = JoinSet::new();
    let waiting = again.clone();
    meanwhile.spawn(async move { waiting.post(CHAT, BODY).await });

    stream.passes(frame("Once")).await;
    stream.passes(DONE).await;
    stream.exchange.end().await;
    assert_eq!(stream.wire.chunk().await, None);
    stream.assert_settled(Outcome::Succeeded, Reason::Replied).await;

    let waited = meanwhile.join_next().await.unwrap().unwrap();
    for repeat in [waited, again.post(CHAT, BODY).await] {
        repeat.assert_error(409, "REPLAY_UNAVAILABLE");
    }
    assert_eq!(stream.relay.intents().len(), 1);
    drop(stream.upstream);
}
