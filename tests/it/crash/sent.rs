//! Bytes are out and no whole reply is in.

use super::*;

#[tokio::test]
async fn killed_with_bytes_out_it_is_unknown_and_never_sent_again() {
    let (relay, alice) = spoiled(Fault::Hang).await;
    let body = submit_body("bytes-out");
    let _in_flight = alice.try_submitting(&body);
    eventually("it is with the upstream", async || relay.seen("bytes-out") == 1).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;

    assert_unknown(&alice.submit(&body).await, &relay, &body);
    assert_eq!(relay.seen("bytes-out"), 1);
}

#[tokio::test]
async fn a_reset_with_bytes_out_is_unknown_at_once_and_never_sent_again() {
    for (fault, marker) in [
        (Fault::Reset, "reset"),
        (Fault::ResetMidBody, "reset-mid-body"),
        (Fault::Truncate, "truncated"),
    ] {
        let (relay, alice) = spoiled(fault).await;
        let body = submit_body(marker);

        let failed = alice.submit(&body).await;

        assert_eq!(
            (failed.status.as_u16(), failed.code().as_str()),
            (502, "UPSTREAM_FAILED")
        );
        assert_eq!(failed.header("x-should-retry"), Some("false"));
        let intent = assert_unknown(&alice.submit(&body).await, &relay, &body);
        assert_eq!(failed.audit_id(), intent);
        assert_eq!(relay.seen(marker), 1);
    }
}

#[tokio::test]
async fn a_timeout_with_bytes_out_is_unknown_and_never_sent_again() {
    let relay = Relay::build().with("VOLC_TIMEOUT", "1s").start().await;
    relay.upstream.faults().push(Rule::any(Fault::Hang)).unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("timeout");

    assert_eq!(alice.submit(&body).await.status, 504);

    assert_unknown(&alice.submit(&body).await, &relay, &body);
    assert_eq!(relay.seen("timeout"), 1);
}

#[tokio::test]
async fn a_panic_with_bytes_out_is_unknown_and_never_sent_again() {
    let (relay, _script, alice) = braked(Stop::PanicAfterReply).await;
    let body = submit_body("panic-late");

    assert_eq!(alice.submit(&body).await.status, 500);

    assert_unknown(&alice.submit(&body).await, &relay, &body);
    assert_eq!(relay.seen("panic-late"), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_with_bytes_out_gets_the_reply_as_a_replay() {
    let relay = Relay::start().await;
    let slow = Rule::any(Fault::None).after(Duration::from_millis(200));
    relay.upstream.faults().push(slow).unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("hung-up-late");
    let in_flight = alice.try_submitting(&body);
    eventually("it is with the upstream", async || relay.seen("hung-up-late") == 1).await;

    in_flight.abort();

    assert_replay(&alice.submit(&body).await);
    assert_eq!(relay.seen("hung-up-late"), 1);
}
