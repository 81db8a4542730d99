//! Before the intent reaches the writer.

use super::*;

#[tokio::test]
async fn killed_while_it_waits_for_a_place_it_left_nothing_and_is_sent_afresh() {
    let brake = Arc::new(Brake::new(Stop::BeforeSending));
    let relay = Relay::build().transport(brake.clone()).start().await;
    let bob = relay.client("bob").await;
    let _first = bob.try_submitting(&submit_body("place-bob"));
    brake.until_stopped(1).await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let _waiting = alice.try_submitting(&submit_body("place-alice"));
    let admin = relay.admin().await;
    eventually("alice waits", async || {
        admin
            .get("/admin/queues")
            .await
            .json()
            .to_string()
            .contains(r#""waiting":1"#)
    })
    .await;

    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let (relay, alice) = restart(left, &alice).await;

    assert_eq!(relay.book().calls(&submit_body("place-alice")), []);
    assert_fresh(&alice.submit(&submit_body("place-alice")).await);
    assert_eq!(relay.seen("place-alice"), 1);
}

#[tokio::test]
async fn of_those_that_wait_behind_a_first_that_was_not_sent_exactly_one_is_sent() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let body = submit_body("behind");
    let first = alice.try_submitting(&body);
    brake.until_stopped(1).await;
    let waiting: Vec<_> = (0..5).map(|_| alice.try_submitting(&body)).collect();
    until_repeats_wait(&relay, 5).await;

    brake.stop_at(Stop::Nowhere);
    first.abort();

    let mut fresh = 0;
    for waiter in waiting {
        let reply = waiter.await.unwrap().unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        fresh += usize::from(reply.header("idempotency-replayed").is_none());
    }
    assert_eq!(fresh, 1);
    assert_eq!(relay.seen("behind"), 1);
}
