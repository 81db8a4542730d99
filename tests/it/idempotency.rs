//! At most once: what a repeat of an idempotency key gets, for every way in which its first use can end.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use tollgate::auth::{Actor, Authority, Rotation};
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Client, Relay, Reply, Wire, eventually, pass, submit_body};

const PROCESS: &str = "/?Action=CVProcess&Version=2022-08-31";
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);
const ALMOST_A_DAY: Duration = Duration::from_mins(24 * 60 - 1);
const LONG: Duration = Duration::from_secs(10);

/// A relay with a client who repeats herself.
async fn with_alice() -> (Relay, Client) {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    (relay, alice)
}

/// A relay whose first submit, of `marker`, ended with nobody knowing how.
async fn with_unknown(marker: &str) -> (Relay, Client, u64) {
    let (relay, alice) = with_alice().await;
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    alice
        .submit(&submit_body(marker))
        .await
        .assert_error(502, "UPSTREAM_FAILED");
    let intent = relay.intents()[0].0;
    (relay, alice, intent)
}

/// Holds the next call upstream, and sends a keyed submit of `marker` into it.
async fn in_flight(relay: &Relay, alice: &Client, then: Fault, marker: &str) -> Wire {
    relay.upstream.faults().push(Rule::any(then).after(LONG)).unwrap();
    let wire = Wire::posting(
        relay,
        alice,
        "/v1/submit",
        &["Idempotency-Key: order-1"],
        &submit_body(marker),
    )
    .await;
    eventually("the first is upstream", async || relay.seen(marker) == 1).await;
    wire
}

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
async fn another_body_is_a_conflict_while_the_first_is_in_flight() {
    let (relay, alice) = with_alice().await;
    let mut first = in_flight(&relay, &alice, Fault::None, "x").await;

    alice
        .submit(&submit_body("y"))
        .await
        .assert_error(409, "IDEMPOTENCY_CONFLICT");

    pass(LONG).await;
    assert_eq!(first.reply().await.status, 200);
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
async fn duplicates_in_flight_share_the_outcome_of_the_first_and_the_seventeenth_is_turned_away() {
    let (relay, alice) = with_alice().await;
    let mut first = in_flight(&relay, &alice, Fault::None, "x").await;
    let mut duplicates = Vec::new();
    for _ in 0..17 {
        let line = "Idempotency-Key: order-1";
        duplicates.push(Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await);
    }
    // Only one of them is answered before the first is.
    let (crowded, place, _) =
        futures_util::future::select_all(duplicates.iter_mut().map(|wire| Box::pin(wire.reply()))).await;
    crowded.assert_error(409, "IDEMPOTENCY_IN_FLIGHT");
    assert_eq!(crowded.header("x-should-retry"), Some("false"));
    drop(duplicates.remove(place));

    pass(LONG).await;

    let reply = first.reply().await;
    for mut duplicate in duplicates {
        let shared = duplicate.reply().await;
        assert_eq!((shared.status, &shared.body), (reply.status, &reply.body));
    }
    assert_eq!((relay.seen("x"), relay.intents().len()), (1, 1));
}

#[tokio::test]
async fn of_many_duplicates_at_once_one_is_sent() {
    let (relay, alice) = with_alice().await;

    let body = submit_body("x");
    let replies = join_all((0..10).map(|_| alice.submit(&body))).await;

    let tasks: std::collections::BTreeSet<String> = replies.iter().map(Reply::task_id).collect();
    assert_eq!((tasks.len(), relay.seen("x")), (1, 1));
}

#[tokio::test]
async fn a_duplicate_does_not_wait_beyond_its_deadline() {
    let relay = Relay::build().with("VOLC_DEADLINE", "8s").start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let mut first = in_flight(&relay, &alice, Fault::None, "x").await;
    let line = "Idempotency-Key: order-1";
    let mut duplicate = Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await;
    alice.get("/v1/key").await;

    pass(Duration::from_secs(8)).await;

    duplicate.reply().await.assert_error(409, "IDEMPOTENCY_IN_FLIGHT");
    first.reply().await.assert_error(504, "UPSTREAM_TIMEOUT");
}

#[tokio::test]
async fn when_the_first_goes_unsent_exactly_one_duplicate_takes_over() {
    let (relay, alice) = with_alice().await;
    let bob = relay.client("bob").await;
    // Bob holds the account's only slot, so the first waits in the queue until it hangs up.
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::None).after(LONG))
        .unwrap();
    let mut holder = Wire::posting(&relay, &bob, "/v1/submit", &[], &submit_body("bob")).await;
    eventually("bob is upstream", async || relay.seen("bob") == 1).await;
    let line = "Idempotency-Key: order-1";
    let first = Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await;
    let waiting = || {
        relay
            .services()
            .admission
            .view()
            .iter()
            .map(|gate| gate.snapshot.waiting_interactive)
            .sum::<usize>()
    };
    eventually("the first waits", async || waiting() == 1).await;
    let mut second = Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await;
    let mut third = Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await;
    alice.get("/v1/key").await;

    drop(first);
    eventually("the first has left", async || waiting() == 1).await;
    pass(LONG).await;

    assert_eq!(holder.reply().await.status, 200);
    let (second, third) = (second.reply().await, third.reply().await);
    assert_eq!((second.status.as_u16(), &second.body), (200, &third.body));
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_passed_on_once_and_then_told_with_its_audit_id() {
    let (relay, alice) = with_alice().await;
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::internal_error()))
        .unwrap();

    let first = alice.submit(&submit_body("x")).await;
    let again = alice.submit(&submit_body("x")).await;

    assert_eq!(
        (first.status.as_u16(), first.json()["code"].as_u64()),
        (500, Some(50_500))
    );
    assert_eq!(first.header("x-should-retry"), Some("false"));
    again.assert_error(409, "OUTCOME_UNKNOWN");
    assert_eq!(again.header("x-should-retry"), Some("false"));
    assert_eq!(again.json()["error"]["audit_id"], relay.intents()[0].0);
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn duplicates_of_an_unknown_outcome_are_told_so() {
    let (relay, alice) = with_alice().await;
    let mut first = in_flight(&relay, &alice, Fault::Reset, "x").await;
    let line = "Idempotency-Key: order-1";
    let mut duplicate = Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await;
    alice.get("/v1/key").await;

    pass(LONG).await;

    first.reply().await.assert_error(502, "UPSTREAM_FAILED");
    duplicate.reply().await.assert_error(409, "OUTCOME_UNKNOWN");
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn resolving_as_not_sent_frees_the_key() {
    let (relay, alice, intent) = with_unknown("x").await;
    let admin = relay.admin().await;

    let resolved = admin
        .post(&format!("/admin/audit/{intent}/resolve"), r#"{"outcome":"not_sent"}"#)
        .await;

    assert_eq!(resolved.status, 200, "{}", resolved.text());
    let again = alice.submit(&submit_body("x")).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (200, None)
    );
    assert_eq!(relay.seen("x"), 2);
}

#[tokio::test]
async fn resolving_with_a_task_turns_a_repeat_into_a_replay() {
    let (relay, alice, intent) = with_unknown("x").await;
    let admin = relay.admin().await;

    let resolved = admin
        .post(
            &format!("/admin/audit/{intent}/resolve"),
            r#"{"task_id":"7000000000000000001"}"#,
        )
        .await;

    assert_eq!(resolved.status, 200, "{}", resolved.text());
    let again = alice.submit(&submit_body("x")).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (200, Some("true"))
    );
    assert_eq!(
        (again.json()["code"].as_u64(), again.task_id().as_str()),
        (Some(10_000), "7000000000000000001")
    );
    assert_eq!(
        alice.get("/v1/tasks").await.json()["items"][0]["task_id"],
        "7000000000000000001"
    );
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn only_an_unknown_outcome_can_be_resolved_and_only_once() {
    let (relay, alice, intent) = with_unknown("x").await;
    let admin = relay.admin().await;
    let known = relay.client("bob").await;
    known.submit(&submit_body("known")).await;
    let known = relay.intents()[1].0;
    let not_sent = r#"{"outcome":"not_sent"}"#;

    let path = |intent: u64| format!("/admin/audit/{intent}/resolve");
    admin
        .post(&path(known), not_sent)
        .await
        .assert_error(400, "VALIDATION_FAILED");
    admin.post(&path(9999), not_sent).await.assert_error(404, "NOT_FOUND");
    admin
        .post(&path(intent), "{}")
        .await
        .assert_error(400, "VALIDATION_FAILED");
    alice
        .post(&path(intent), not_sent)
        .await
        .assert_error(403, "SCOPE_DENIED");
    assert_eq!(admin.post(&path(intent), not_sent).await.status, 200);
    admin
        .post(&path(intent), not_sent)
        .await
        .assert_error(400, "VALIDATION_FAILED");
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
async fn a_key_belongs_to_its_owner() {
    let (relay, alice) = with_alice().await;
    let bob = relay.client("bob").await.idempotent("order-1");

    let (hers, his) = (
        alice.submit(&submit_body("hers")).await,
        bob.submit(&submit_body("his")).await,
    );

    assert_eq!((hers.status.as_u16(), his.status.as_u16()), (200, 200));
    assert_ne!(hers.task_id(), his.task_id());
}

#[tokio::test]
async fn rotation_keeps_the_keys_of_the_owner() {
    let (relay, alice) = with_alice().await;
    let first = alice.submit(&submit_body("x")).await;
    let by = Actor {
        name: "test".to_owned(),
        request: None,
        authority: Authority::Full,
    };
    let rotation = Rotation {
        description: None,
        expires_at: None,
        grace: Duration::ZERO,
    };
    let rotated = relay
        .services()
        .issuer
        .rotate(alice.issued().key.id, rotation, &by)
        .await
        .unwrap();

    let again = relay
        .client_of(rotated)
        .idempotent("order-1")
        .submit(&submit_body("x"))
        .await;

    assert_eq!((again.body, relay.seen("x")), (first.body, 1));
    alice.submit(&submit_body("x")).await.assert_error(401, "KEY_REVOKED");
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

#[tokio::test]
async fn a_key_may_be_used_afresh_after_a_day() {
    let (relay, alice) = with_alice().await;
    alice.submit(&submit_body("x")).await;

    relay.clock.forward(ALMOST_A_DAY);
    pass(ALMOST_A_DAY).await;
    assert_eq!(
        alice.submit(&submit_body("x")).await.header("idempotency-replayed"),
        Some("true")
    );
    relay.clock.forward(MINUTE);
    pass(MINUTE).await;

    let afresh = alice.submit(&submit_body("another")).await;
    assert_eq!(
        (afresh.status.as_u16(), afresh.header("idempotency-replayed")),
        (200, None)
    );
}

#[tokio::test]
async fn a_wall_clock_that_jumps_a_day_ahead_expires_no_key() {
    let (relay, alice) = with_alice().await;
    alice.submit(&submit_body("x")).await;

    relay.clock.forward(DAY + Duration::from_hours(1));

    assert_eq!(
        alice.submit(&submit_body("x")).await.header("idempotency-replayed"),
        Some("true")
    );
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_a_day_back_gives_no_key_a_shorter_life() {
    let (relay, alice) = with_alice().await;
    relay.clock.back(DAY + Duration::from_hours(1));
    alice.submit(&submit_body("x")).await;

    relay.clock.forward(DAY + Duration::from_hours(1));
    pass(ALMOST_A_DAY).await;

    assert_eq!(
        alice.submit(&submit_body("x")).await.header("idempotency-replayed"),
        Some("true")
    );
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn a_keyed_call_is_replayed_after_a_restart() {
    let (relay, alice) = with_alice().await;
    let issued = alice.issued().clone();
    let first = alice.post(PROCESS, &submit_body("x")).await;

    let relay = relay.stop().await.start().await;

    let again = relay
        .client_of(issued)
        .idempotent("order-1")
        .post(PROCESS, &submit_body("x"))
        .await;
    assert_eq!(
        (&again.body, again.header("idempotency-replayed")),
        (&first.body, Some("true"))
    );
    assert_eq!(relay.seen("x"), 1);
}
