//! The gate, seen from outside: who goes on, who waits, who is told to come back, and that nothing leaks.

mod line;
mod operator;

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
