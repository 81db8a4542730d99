//! What a stream used, and that it is paid once.

use super::*;

const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n";

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
