//! What a key may use in a minute, from outside.

use std::num::{NonZeroU32, NonZeroU64};

use serde_json::json;
use tollgate::model::key::Limits;

use crate::support::{Relay, openai_imitation, submit_body};

const CHAT: &str = "/v1/chat/completions";

/// A relay before OpenAI's imitation.
async fn relay() -> (Relay, tollgate::sandbox::Imitation) {
    let upstream = openai_imitation().await;
    let relay = Relay::build().openai_at(upstream.addr()).start().await;
    (relay, upstream)
}

fn chat(max_tokens: u64) -> String {
    json!({
        "model": "gpt-4o-mini", "max_tokens": max_tokens,
        "messages": [{ "role": "user", "content": "hello" }],
    })
    .to_string()
}

#[tokio::test]
async fn a_key_beyond_its_requests_of_a_minute_is_told_when_and_nothing_is_sent() {
    let (relay, upstream) = relay().await;
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(1),
        ..Limits::default()
    };
    let alice = relay.client_limited("alice", limits).await;

    let first = alice.post(CHAT, &chat(10)).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("0"));

    let second = alice.post(CHAT, &chat(10)).await;
    second.assert_error(429, "RATE_LIMITED");
    let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
    // The minute slides by seconds, so the one in which the call was counted must pass in full.
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(upstream.seen().account("first").total, 1);
}

#[tokio::test]
async fn a_key_s_quota_counts_on_every_relayed_route_and_not_for_another_key() {
    let relay = Relay::start().await;
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(1),
        ..Limits::default()
    };
    let alice = relay.client_limited("alice", limits).await;
    let bob = relay.client("bob").await;

    assert_eq!(alice.submit(&submit_body("one")).await.status, 200);
    alice
        .submit(&submit_body("two"))
        .await
        .assert_error(429, "RATE_LIMITED");

    assert_eq!(relay.seen("two"), 0);
    assert_eq!(bob.submit(&submit_body("three")).await.status, 200);
}

#[tokio::test]
async fn tokens_are_borrowed_on_an_estimate_and_settled_on_what_the_call_used() {
    let (relay, _upstream) = relay().await;
    let limits = Limits {
        tokens_per_minute: NonZeroU64::new(1000),
        ..Limits::default()
    };
    let alice = relay.client_limited("alice", limits).await;

    let first = alice.post(CHAT, &chat(900)).await;
    assert_eq!(first.status, 200);
    let left: u64 = first.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    assert!(left < 100, "the answer it allowed was borrowed: {left}");

    // It used a few tokens only, so another of the size fits into the same minute.
    assert_eq!(alice.post(CHAT, &chat(900)).await.status, 200);
}
