//! What the operator sees of it.

use super::*;

#[tokio::test]
async fn the_operator_sees_the_queues() {
    let valve = Valve::closed();
    let relay = Relay::build().transport(valve.clone()).start().await;
    let (clients, admin) = (clients(&relay, 2).await, relay.admin().await);

    let first = clients[0].launch("shown-1");
    valve.has_sent(1).await;
    let second = clients[1].launch("shown-2");
    relay.has_waiting(1).await;
    let page = admin.get("/admin/queues").await.json();

    let items = page["items"].as_array().unwrap();
    let submits = items.iter().find(|item| item["class"] == "submit").unwrap();
    assert_eq!(submits["upstream"], "volcengine");
    assert_eq!(
        [
            &submits["slots"],
            &submits["in_use"],
            &submits["capacity"],
            &submits["waiting"]
        ],
        [1, 1, 100, 1]
    );
    assert!(submits["oldest_wait_seconds"].as_f64().unwrap() >= 0.0);
    let queries = items.iter().find(|item| item["class"] == "query").unwrap();
    assert_eq!(
        (&queries["in_use"], &queries["oldest_wait_seconds"]),
        (&0.into(), &serde_json::Value::Null)
    );
    // Both are past the gates of their owners, whose lines are empty.
    let owners = page["owners"].as_array().unwrap();
    assert_eq!(owners.len(), 2);
    for client in &clients {
        assert_eq!(submits_of(client, owners), (1, 0));
    }
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(second.await.unwrap().status, 200);
    let quiet = async || admin.get("/admin/queues").await.json()["owners"] == serde_json::json!([]);
    eventually("nobody is there", quiet).await;
}

#[tokio::test]
async fn the_operator_sees_who_waits_behind_their_own_calls() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .transport(valve.clone())
        .with("PER_KEY_MAX_QUEUE", "3")
        .start()
        .await;
    let (alice, admin) = (relay.client("alice").await, relay.admin().await);

    let first = alice.launch("own-1");
    valve.has_sent(1).await;
    let second = alice.launch("own-2");
    let waits = async || {
        let page = admin.get("/admin/queues").await.json();
        submits_of(&alice, page["owners"].as_array().unwrap()) == (1, 1)
    };
    eventually("the second one waits", waits).await;

    let page = admin.get("/admin/queues").await.json();
    assert_eq!(page["owners"][0]["capacity"], 3);
    assert!(page["owners"][0]["oldest_wait_seconds"].as_f64().unwrap() >= 0.0);
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test]
async fn refusals_of_a_minute_are_one_record_for_each_reason() {
    let valve = Valve::closed();
    let relay = Relay::build().transport(valve.clone()).start().await;
    let alice = relay.client("alice").await;

    let first = alice.launch("counted-1");
    valve.has_sent(1).await;
    for _ in 0..3 {
        alice.submit(&submit_body("counted-2")).await.is_limited("RATE_LIMITED");
    }
    relay.services().recorder.flush_refusals().await.unwrap();

    let counted = relay.log_book().into_iter().find_map(|(_, entry)| match entry.event {
        Event::Refusals(refusals) => Some((refusals.reason.label(), refusals.count)),
        _ => None,
    });
    assert_eq!(counted, Some(("rate_limited", 3)));
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
}
