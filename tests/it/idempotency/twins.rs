//! Calls with one key at the same time.

use super::*;

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
