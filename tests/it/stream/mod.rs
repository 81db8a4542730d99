//! Streaming is invisible: what the upstream says comes when it is said and as it was said, and what it cost is known.

mod end;
mod usage;

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
