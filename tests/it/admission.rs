//! The gate, seen from outside: who goes on, who waits, who is told to come back, and that nothing leaks.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use http::StatusCode;
use tollgate::model::key::Limits;
use tollgate::model::operation::Class;
use tollgate::model::record::Event;
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Builder, Client, Relay, Valve, eventually, query_body, submit_body};

const SUBMIT: &str = "CVSync2AsyncSubmitTask";

/// A relay whose keys may have eight submits in flight and eight waiting, so that only its accounts limit them.
fn generous() -> Builder {
    Relay::build()
        .with("PER_KEY_MAX_CONCURRENT", "8")
        .with("PER_KEY_MAX_QUEUE", "8")
}

async fn clients(relay: &Relay, number: usize) -> Vec<Client> {
    join_all((0..number).map(async |at| relay.client(&format!("client {at}")).await)).await
}

/// How many submits of a client's are in flight, and how many wait, by what the operator sees of owners.
fn submits_of(client: &Client, owners: &[serde_json::Value]) -> (u64, u64) {
    let owner = client.issued().key.owner.to_string();
    let is_it = |gate: &&serde_json::Value| gate["owner"] == owner && gate["class"] == "submit";
    let gate = owners.iter().find(is_it).unwrap();
    (gate["in_use"].as_u64().unwrap(), gate["waiting"].as_u64().unwrap())
}

fn limits(concurrency: u32, queue: u32) -> Limits {
    Limits {
        concurrency: NonZeroU32::new(concurrency),
        queue: Some(queue),
        ..Limits::default()
    }
}

fn slowly(by: Duration) -> Rule {
    Rule::on(SUBMIT, Fault::None).after(by).always()
}

#[tokio::test]
async fn a_key_that_is_busy_is_told_at_once_as_jimeng_relay_did() {
    let valve = Valve::closed();
    let relay = Relay::build().transport(valve.clone()).start().await;
    let alice = relay.client("alice").await;

    let first = alice.launch("busy-1");
    valve.has_sent(1).await;
    let second = alice.submit(&submit_body("busy-2")).await;

    second.is_limited("RATE_LIMITED");
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(alice.submit(&submit_body("busy-3")).await.status, 200);
    assert_eq!(relay.seen("busy-2"), 0);
}

#[tokio::test]
async fn a_poll_or_a_call_never_waits_for_a_submit() {
    let valve = Valve::closed();
    let relay = Relay::build().transport(valve.clone()).start().await;
    let alice = relay.client("alice").await;
    valve.pass(1);
    let task = alice.submit(&submit_body("poll-1")).await.task_id();

    let held = alice.launch("poll-2");
    valve.has_sent(2).await;

    assert_eq!(alice.query(&query_body(&task)).await.status, 200);
    assert_eq!(alice.process(&submit_body("poll-3")).await.status, 200);
    assert!(!held.is_finished());
    valve.open();
    assert_eq!(held.await.unwrap().status, 200);
}

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
async fn the_upstream_never_sees_more_at_once_than_the_account_may() {
    let relay = generous().with("UPSTREAM_MAX_CONCURRENT", "3").start().await;
    let clients = clients(&relay, 4).await;
    relay.upstream.faults().push(slowly(Duration::from_millis(10))).unwrap();

    let submits = (0..40).map(async |at: usize| {
        let body = submit_body(&format!("peak-{at}"));
        clients[at % clients.len()].submit(&body).await.status
    });

    assert!(join_all(submits).await.into_iter().all(|status| status == 200));
    assert_eq!(relay.upstream.seen().peak_in_flight, 3);
    assert_eq!(relay.gate(Class::Submit).in_use, 0);
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
async fn of_two_accounts_the_freer_one_serves() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .accounts([("AKONE", "secret-one"), ("AKTWO", "secret-two")])
        .transport(valve.clone())
        .start()
        .await;
    let clients = clients(&relay, 2).await;

    let first = clients[0].launch("account-1");
    valve.has_sent(1).await;
    let second = clients[1].launch("account-2");
    valve.has_sent(2).await;
    valve.open();

    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(second.await.unwrap().status, 200);
    let markers = relay.upstream.seen().markers;
    let account = |marker: &str| markers[marker].account.clone().unwrap();
    assert_ne!(account("account-1"), account("account-2"));
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

#[tokio::test]
async fn a_keys_own_limits_go_before_the_defaults() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .with("UPSTREAM_MAX_CONCURRENT", "8")
        .transport(valve.clone())
        .start()
        .await;
    let alice = relay.client_limited("alice", limits(2, 1)).await;

    let flights = [alice.launch("own-1"), alice.launch("own-2")];
    valve.has_sent(2).await;
    let (refused, _, waiting) = select_all([alice.launch("own-3"), alice.launch("own-4")]).await;

    refused.unwrap().is_limited("RATE_LIMITED");
    valve.open();
    for flight in waiting.into_iter().chain(flights) {
        assert_eq!(flight.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn new_limits_of_a_key_are_in_force_at_once() {
    let valve = Valve::closed();
    let relay = Relay::build()
        .with("UPSTREAM_MAX_CONCURRENT", "8")
        .transport(valve.clone())
        .start()
        .await;
    let alice = relay.client("alice").await;

    let first = alice.launch("new-1");
    valve.has_sent(1).await;
    alice.submit(&submit_body("new-2")).await.is_limited("RATE_LIMITED");
    relay.limit(&alice, limits(2, 0)).await;
    let second = alice.launch("new-3");
    valve.has_sent(2).await;
    relay.limit(&alice, limits(1, 0)).await;

    alice.submit(&submit_body("new-4")).await.is_limited("RATE_LIMITED");
    valve.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(alice.submit(&submit_body("new-5")).await.status, 200);
}

#[tokio::test]
async fn a_submit_that_backs_off_lends_its_place_to_others() {
    let valve = Valve::opened();
    let relay = Relay::build().transport(valve.clone()).start().await;
    let clients = clients(&relay, 2).await;
    let refusal = Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: Some(50_430),
        retry_after: Some(http::HeaderValue::from_static("1")),
        ..Answer::default()
    };
    relay
        .upstream
        .faults()
        .push(Rule::on(SUBMIT, Fault::Answer(refusal)))
        .unwrap();

    let first = clients[0].launch("lent-1");
    let backs_off = async || relay.seen("lent-1") == 1 && relay.gate(Class::Submit).in_use == 0;
    eventually("the first one backs off", backs_off).await;
    let second = clients[1].submit(&submit_body("lent-2")).await;

    assert_eq!(second.status, 200);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(valve.order(), ["lent-1", "lent-2", "lent-1"]);
}

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
