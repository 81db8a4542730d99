//! How a stream ends: whole, cut off, or in silence.

use super::*;

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
