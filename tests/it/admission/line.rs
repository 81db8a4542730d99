//! Who waits at an account: in which order, for how long, and who gives up.

use super::*;

#[tokio::test]
async fn a_full_queue_is_said_so() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .with("UPSTREAM_MAX_QUEUE", "1")
        .transport(valve.clone())
        .start()
        .await;
    let clients = clients(&relay, 3).await;

    let first = clients[0].launch("full-1");
    valve.has_sent(1).await;
    let waiting = clients[1].launch("full-2");
    relay.has_waiting(1).await;
    let third = clients[2].submit(&submit_body("full-3")).await;

    third.is_limited("QUEUE_FULL");
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(valve.order(), ["full-1", "full-2"]);
}

#[tokio::test]
async fn who_waits_too_long_leaves_the_queue() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .with("UPSTREAM_QUEUE_TIMEOUT", "50ms")
        .transport(valve.clone())
        .start()
        .await;
    let clients = clients(&relay, 2).await;

    let first = clients[0].launch("late-1");
    valve.has_sent(1).await;
    let late = clients[1].submit(&submit_body("late-2")).await;

    late.is_limited("QUEUE_TIMEOUT");
    assert_eq!(relay.gate(Class::Submit).waiting_interactive, 0);
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(relay.seen("late-2"), 0);
}

#[tokio::test]
async fn a_submit_does_not_start_in_the_last_five_seconds_of_its_deadline() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .with("VOLC_DEADLINE", "5200ms")
        .transport(valve.clone())
        .start()
        .await;
    let clients = clients(&relay, 2).await;

    let first = clients[0].launch("deadline-1");
    valve.has_sent(1).await;
    let second = clients[1].submit(&submit_body("deadline-2")).await;

    second.is_limited("QUEUE_TIMEOUT");
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(valve.order(), ["deadline-1"]);
}

#[tokio::test]
async fn a_refused_submit_is_not_repeated_in_the_last_five_seconds_of_its_deadline() {
    let relay = Relay::build().with("VOLC_DEADLINE", "5050ms").start().await;
    let alice = relay.client("alice").await;
    let rule = Rule::on(SUBMIT, Fault::concurrency_limit()).times(NonZeroU32::new(3).unwrap());
    relay.upstream.faults().push(rule).unwrap();

    let refused = alice.submit(&submit_body("deadline-3")).await;

    assert_eq!(
        (refused.status.as_u16(), &refused.json()["code"]),
        (429, &50_430.into())
    );
    assert_eq!(relay.seen("deadline-3"), 1);
}

#[tokio::test]
async fn a_key_is_served_in_order_and_keys_take_turns() {
    let valve = Valve::closed();
    let relay = generous().transport(valve.clone()).start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);

    let mut flights = vec![alice.launch("alice-0")];
    valve.has_sent(1).await;
    let line = [
        (&alice, "alice-1"),
        (&alice, "alice-2"),
        (&alice, "alice-3"),
        (&bob, "bob-1"),
        (&bob, "bob-2"),
    ];
    for (number, (client, marker)) in line.into_iter().enumerate() {
        flights.push(client.launch(marker));
        relay.has_waiting(number + 1).await;
    }
    valve.open();

    for flight in flights {
        assert_eq!(flight.await.unwrap().status, 200);
    }
    assert_eq!(
        valve.order(),
        ["alice-0", "alice-1", "bob-1", "alice-2", "bob-2", "alice-3"]
    );
}

#[tokio::test]
async fn waiters_that_hang_up_leave_nothing_behind() {
    let valve = Valve::closed();
    let relay = generous().transport(valve.clone()).start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);

    let first = alice.launch("gone-0");
    valve.has_sent(1).await;
    let gone: Vec<_> = (1..6).map(|at| alice.launch(&format!("gone-{at}"))).collect();
    relay.has_waiting(5).await;
    let last = bob.launch("stayed");
    relay.has_waiting(6).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    relay.has_waiting(1).await;
    valve.open();

    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(last.await.unwrap().status, 200);
    assert_eq!(valve.order(), ["gone-0", "stayed"]);
    assert_eq!(relay.gate(Class::Submit).in_use, 0);
    assert_eq!(relay.intents().len(), 2, "who was never sent was never written down");
    let all = join_all((0..8).map(async |at| alice.submit(&submit_body(&format!("after-{at}"))).await.status)).await;
    assert_eq!(all, [StatusCode::OK; 8], "the key has all of its places back");
}

#[tokio::test]
async fn starts_of_submits_are_spaced() {
    let valve = Valve::opened();
    let relay = generous()
        .with("UPSTREAM_MAX_CONCURRENT", "8")
        .with("UPSTREAM_SUBMIT_MIN_INTERVAL", "400ms")
        .transport(valve.clone())
        .start()
        .await;
    let alice = relay.client("alice").await;

    let flights = (0..3).map(async |at| alice.submit(&submit_body(&format!("paced-{at}"))).await.status);
    assert_eq!(join_all(flights).await, [StatusCode::OK; 3]);

    let sent = valve.sent();
    for pair in sent.windows(2) {
        // The turn comes before the intent's commit, whose length varies.
        let apart = pair[1].at.duration_since(pair[0].at);
        assert!(apart > Duration::from_millis(200), "{apart:?}");
    }
}

#[tokio::test]
async fn who_waits_is_told_when_the_drain_begins_and_who_flies_lands() {
    let valve = Valve::closed();
    let relay = Relay::build().transport(valve.clone()).start().await;
    let clients = clients(&relay, 3).await;

    let first = clients[0].launch("drain-1");
    valve.has_sent(1).await;
    let waiting = clients[1].launch("drain-2");
    relay.has_waiting(1).await;
    relay.drain();

    waiting.await.unwrap().assert_error(503, "DRAINING");
    clients[2]
        .submit(&submit_body("drain-3"))
        .await
        .assert_error(503, "DRAINING");
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(valve.order(), ["drain-1"]);
}
