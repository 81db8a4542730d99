//! The intent is committed and no byte is out.

use super::*;

#[tokio::test]
async fn killed_before_the_first_byte_it_is_unknown_and_resolving_it_as_not_sent_frees_the_key() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let body = submit_body("before-byte");
    let _in_flight = alice.try_submitting(&body);
    brake.until_stopped(1).await;

    let left = relay.lose_power().await;
    brake.stop_at(Stop::Nowhere);
    let (relay, alice) = restart(left, &alice).await;

    let intent = assert_unknown(&alice.submit(&body).await, &relay, &body);
    resolve(&relay, intent, r#"{"outcome":"not_sent"}"#).await;
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("before-byte"), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_the_first_byte_leaves_its_key_to_be_sent_afresh() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let body = submit_body("hung-up");
    let in_flight = alice.try_submitting(&body);
    brake.until_stopped(1).await;

    brake.stop_at(Stop::Nowhere);
    in_flight.abort();

    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("hung-up"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

#[tokio::test]
async fn a_deadline_before_the_first_byte_leaves_the_key_to_be_sent_afresh() {
    let brake = Arc::new(Brake::new(Stop::BeforeSending));
    let settings = Relay::build().with("VOLC_DEADLINE", "6s").with("VOLC_TIMEOUT", "5s");
    let relay = settings.transport(brake.clone()).start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("deadline");

    let late = alice.submit(&body).await;
    brake.stop_at(Stop::Nowhere);

    assert_eq!(late.status, 504);
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("deadline"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_leaves_the_key_to_be_sent_afresh() {
    let (relay, brake, alice) = braked(Stop::NoConnection).await;
    let body = submit_body("no-connection");

    let failed = alice.submit(&body).await;
    brake.stop_at(Stop::Nowhere);

    assert_eq!(failed.status, 502);
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("no-connection"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

#[tokio::test]
async fn a_panic_before_the_first_byte_leaves_the_key_and_the_slot_to_be_used_afresh() {
    let (relay, brake, alice) = braked(Stop::PanicBeforeSending).await;
    let body = submit_body("panic-early");

    let failed = alice.submit(&body).await;
    brake.stop_at(Stop::Nowhere);

    assert_eq!(failed.status, 500);
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("panic-early"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}
