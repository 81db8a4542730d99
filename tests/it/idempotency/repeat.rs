//! What a call with a key that was used before gets.

use super::*;

#[tokio::test]
async fn a_success_is_replayed_with_all_of_its_head() {
    let (relay, alice) = with_alice().await;

    let first = alice.submit(&submit_body("x")).await;
    let again = alice.submit(&submit_body("x")).await;

    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for name in ["content-type", "x-tt-logid"] {
        assert_eq!(again.header(name), first.header(name));
    }
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!((relay.seen("x"), relay.intents().len()), (1, 1));
}

#[tokio::test]
async fn a_rejection_is_replayed_too() {
    let (relay, alice) = with_alice().await;
    let body = r#"{"req_key":"jimeng_t2i_v40","prompt":"forbidden","marker":"x"}"#;

    let first = alice.submit(body).await;
    let again = alice.submit(body).await;

    assert_eq!(first.json()["code"], 50_412);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("x-should-retry"), Some("false"));
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn a_refusal_frees_the_key() {
    let (relay, alice) = with_alice().await;
    let denied = Answer {
        status: StatusCode::UNAUTHORIZED,
        code: Some(50_400),
        ..Answer::default()
    };
    relay.upstream.faults().push(Rule::any(Fault::Answer(denied))).unwrap();

    let first = alice.submit(&submit_body("refused")).await;
    let second = alice.submit(&submit_body("another body")).await;

    assert_eq!((first.status.as_u16(), second.status.as_u16()), (401, 200));
    assert_eq!(second.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn another_body_or_operation_under_the_same_key_is_a_conflict() {
    let (relay, alice) = with_alice().await;
    alice.submit(&submit_body("x")).await;

    for conflict in [
        alice.submit(&submit_body("y")).await,
        alice.submit(&submit_body("x").replace(':', ": ")).await,
        alice.process(&submit_body("x")).await,
    ] {
        conflict.assert_error(409, "IDEMPOTENCY_CONFLICT");
        assert_eq!(conflict.header("x-should-retry"), Some("false"));
    }
    assert_eq!(relay.upstream.seen().total, 1);
}

#[tokio::test]
async fn an_alias_is_the_same_operation() {
    let (relay, alice) = with_alice().await;

    alice.submit(&submit_body("x")).await;
    let again = alice
        .post("/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31", &submit_body("x"))
        .await;

    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn a_reply_too_large_to_keep_is_given_once() {
    let (relay, alice) = with_alice().await;
    let body = format!(
        r#"{{"code":10000,"data":{{"task_id":"1"}},"padding":"{}"}}"#,
        "x".repeat(64 << 10)
    );
    let answer = Answer {
        body: Some(body),
        ..Answer::default()
    };
    relay.upstream.faults().push(Rule::any(Fault::Answer(answer))).unwrap();

    let first = alice.submit(&submit_body("x")).await;
    let again = alice.submit(&submit_body("x")).await;

    assert_eq!(first.task_id(), "1");
    again.assert_error(409, "REPLAY_UNAVAILABLE");
    assert_eq!(again.header("x-should-retry"), Some("false"));
    assert_eq!(again.json()["error"]["audit_id"], relay.intents()[0].0);
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn a_call_keeps_larger_replies_than_a_submit() {
    let (relay, alice) = with_alice().await;
    let body = |size: usize| format!(r#"{{"code":10000,"data":{{}},"padding":"{}"}}"#, "x".repeat(size));
    let answer = |size| {
        Fault::Answer(Answer {
            body: Some(body(size)),
            ..Answer::default()
        })
    };
    relay.upstream.faults().push(Rule::any(answer(200 << 10))).unwrap();
    relay.upstream.faults().push(Rule::any(answer(256 << 10))).unwrap();
    let bob = relay.client("bob").await.idempotent("order-1");

    let (kept, lost) = (
        alice.process(&submit_body("kept")).await,
        bob.process(&submit_body("lost")).await,
    );

    assert_eq!((kept.status.as_u16(), lost.status.as_u16()), (200, 200));
    assert_eq!(alice.process(&submit_body("kept")).await.body, kept.body);
    bob.process(&submit_body("lost"))
        .await
        .assert_error(409, "REPLAY_UNAVAILABLE");
    assert_eq!((relay.seen("kept"), relay.seen("lost")), (1, 1));
}

#[tokio::test]
async fn a_query_takes_no_notice_of_a_key() {
    let (relay, alice) = with_alice().await;
    let task = alice.submit(&submit_body("x")).await.task_id();

    for _ in 0..2 {
        let reply = alice.query(&crate::support::query_body(&task)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("idempotency-replayed")),
            (200, None)
        );
    }
    assert_eq!(relay.upstream.seen().action("CVSync2AsyncGetResult"), 2);
}
