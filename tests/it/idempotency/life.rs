//! Whose a key is, and for how long.

use super::*;

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

    let again = relay
        .rotated(&alice)
        .await
        .idempotent("order-1")
        .submit(&submit_body("x"))
        .await;

    assert_eq!((again.body, relay.seen("x")), (first.body, 1));
    alice.submit(&submit_body("x")).await.assert_error(401, "KEY_REVOKED");
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
