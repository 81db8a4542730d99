//! What a new process makes of jobs that the last one left in the middle.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tollgate::model::job::queue::QueueMode;
use tollgate::model::job::{Item, ItemState, QueueName};
use tollgate::sandbox::{Fault, Rule};

use super::{CALL, STEP, SUBMIT, accepted, client, entry, everything, one, only_item, until_ended};
use crate::support::{Brake, Client, Relay, Stop, eventually, submit_body};

/// A relay whose requests stop where a brake stops them.
async fn braked(stop: Stop) -> (Relay, Arc<Brake>, Client) {
    let brake = Arc::new(Brake::new(stop));
    let relay = Relay::build()
        .with("VOLC_DEADLINE", "300s")
        .task_duration(Duration::ZERO)
        .transport(brake.clone())
        .start()
        .await;
    let alice = client(&relay, "alice").await;
    (relay, brake, alice)
}

/// Waits, without letting time pass, until so many items stand so.
async fn until(relay: &Relay, state: ItemState, number: usize) {
    eventually("so many items stand so", async || {
        let everything = everything(&relay.services().store);
        let items = everything.values().flat_map(|(_, items)| items);
        items.filter(|item| item.state == state).count() == number
    })
    .await;
}

async fn killed_and_started(relay: Relay) -> Relay {
    relay.kill().await.start().await
}

#[tokio::test]
async fn what_waited_for_a_place_is_sent_afresh_and_what_may_have_been_sent_is_unknown_without_a_wait() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let items = [entry(SUBMIT, "marker-place-0"), entry(SUBMIT, "marker-place-1")];
    accepted(&alice, &json!({ "items": items })).await;
    brake.until_stopped(1).await;
    until(&relay, ItemState::Running, 2).await;

    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let relay = left.start().await;

    // The leases would have lasted a minute, and nobody moves the clock.
    until(&relay, ItemState::Unknown, 1).await;
    until(&relay, ItemState::Polling, 1).await;
    let sent = [relay.seen("marker-place-0"), relay.seen("marker-place-1")];
    assert_eq!(sent.iter().sum::<u64>(), 1, "{sent:?}");
}

#[tokio::test]
async fn a_submit_that_was_sent_and_not_answered_is_unknown_and_never_sent_again() {
    let (relay, brake, alice) = braked(Stop::AfterReply).await;
    accepted(&alice, &one(SUBMIT, "marker-unanswered")).await;
    brake.until_stopped(1).await;

    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let relay = left.start().await;
    until_ended(&relay).await;

    let item = only_item(&relay);
    assert_eq!(item.state, ItemState::Unknown, "{item:?}");
    assert_eq!(item.error.unwrap().code, "OUTCOME_UNKNOWN");
    assert_eq!(relay.seen("marker-unanswered"), 1);
}

#[tokio::test]
async fn a_task_that_is_polled_goes_on_by_polling_with_one_submit() {
    let relay = Relay::build().task_duration(Duration::from_secs(8)).start().await;
    let alice = client(&relay, "alice").await;
    accepted(&alice, &one(SUBMIT, "marker-polled")).await;
    until(&relay, ItemState::Polling, 1).await;
    let task = only_item(&relay).task.unwrap().task_id;

    let relay = killed_and_started(relay).await;
    until_ended(&relay).await;

    let item = only_item(&relay);
    assert_eq!(item.state, ItemState::Succeeded, "{item:?}");
    assert_eq!(item.task.unwrap().task_id, task);
    assert_eq!(relay.seen("marker-polled"), 1);
    assert_eq!(relay.upstream.seen().action(SUBMIT), 1);
}

#[tokio::test]
async fn a_task_that_was_being_asked_about_is_asked_about_again_at_once() {
    let relay = Relay::build().task_duration(Duration::ZERO).start().await;
    let alice = client(&relay, "alice").await;
    accepted(&alice, &one(SUBMIT, "marker-asked")).await;
    until(&relay, ItemState::Polling, 1).await;
    relay.upstream.faults().push(Rule::on(QUERY, Fault::Hang)).unwrap();
    for _ in 0..6 {
        relay.later(STEP).await;
    }
    eventually("it is asked about", async || relay.upstream.seen().action(QUERY) == 1).await;

    let relay = killed_and_started(relay).await;

    // Nobody moves the clock.
    until(&relay, ItemState::Succeeded, 1).await;
    assert_eq!(relay.seen("marker-asked"), 1);
}

#[tokio::test]
async fn an_item_that_was_in_a_workers_hands_at_four_kills_is_dead() {
    let (mut relay, brake, _) = braked(Stop::BeforeSending).await;
    for kill in 1..=4 {
        // Another call has the only place, so the item is not sent, and the record knows nothing of it.
        let bob = relay.client(&format!("bob-{kill}")).await;
        let _holding = bob.try_submitting(&submit_body("held"));
        brake.until_stopped(kill).await;
        if kill == 1 {
            accepted(&client(&relay, "alice").await, &one(SUBMIT, "marker-poison")).await;
        } else {
            let woken = only_item(&relay);
            assert!(woken.lost < 4, "{woken:?}");
        }
        let queue = QueueName::default_queue();
        let set = async |mode| relay.services().jobs.set_mode(&queue, mode).await.unwrap();
        set(QueueMode::Open).await;
        until(&relay, ItemState::Running, 1).await;
        // In the next process it must not be let in before the other call is.
        set(QueueMode::Paused).await;
        relay = killed_and_started(relay).await;
    }

    until(&relay, ItemState::Dead, 1).await;
    let item = only_item(&relay);
    assert_eq!((item.lost, item.attempts), (4, 0));
    assert_eq!(item.error.unwrap().code, "LEASE_LOST");
    assert_eq!(relay.seen("marker-poison"), 0);
}

#[tokio::test]
async fn what_was_first_tried_longer_ago_than_keys_live_is_unknown_and_not_sent() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let _holding = relay.client("bob").await.try_submitting(&submit_body("held"));
    brake.until_stopped(1).await;
    accepted(&alice, &one(SUBMIT, "marker-old")).await;
    until(&relay, ItemState::Running, 1).await;

    relay.clock.forward(Duration::from_hours(25));
    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let relay = left.start().await;

    until(&relay, ItemState::Unknown, 1).await;
    assert_eq!(only_item(&relay).error.unwrap().code, "OUTCOME_UNKNOWN");
    assert_eq!(relay.seen("marker-old"), 0);
}

#[tokio::test]
async fn a_deadline_that_passed_while_no_process_ran_fails_what_waits_and_a_retry_pays_nothing_twice() {
    let (relay, brake, alice) = braked(Stop::AfterReply).await;
    let deadline = relay.wall().plus(Duration::from_hours(1)).to_string();
    let items = [entry(SUBMIT, "marker-late-0"), entry(SUBMIT, "marker-late-1")];
    let id = accepted(&alice, &json!({ "items": items, "deadline": deadline })).await;
    brake.until_stopped(1).await;
    until(&relay, ItemState::Running, 2).await;

    relay.clock.forward(Duration::from_hours(2));
    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let relay = left.start().await;
    until(&relay, ItemState::Failed, 2).await;

    let sent = || ["marker-late-0", "marker-late-1"].map(|marker| relay.seen(marker));
    assert_eq!(sent().iter().sum::<u64>(), 1, "nothing is sent beyond the deadline");
    let (_, items) = everything(&relay.services().store).into_values().next().unwrap();
    let code = |item: &Item| item.error.as_ref().unwrap().code.clone();
    assert!(items.iter().all(|item| code(item) == "DEADLINE_EXCEEDED"), "{items:?}");

    let retried = alice.at(&relay.url).post(&format!("/v1/jobs/{id}/retry"), "").await;
    assert_eq!(retried.status, 200, "{retried:?}");
    until_ended(&relay).await;

    assert_eq!(sent(), [1, 1], "what was sent before stays what it was");
    until(&relay, ItemState::Unknown, 1).await;
    until(&relay, ItemState::Succeeded, 1).await;
}

#[tokio::test]
async fn a_worker_that_lives_keeps_its_lease_for_as_long_as_its_call_takes() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    accepted(&alice, &one(CALL, "marker-long")).await;
    brake.until_stopped(1).await;
    let lease = only_item(&relay).lease;
    assert!(lease.is_some());

    let begun = relay.wall();
    while relay.wall().since(begun) < Duration::from_secs(150) {
        relay.later(STEP).await;
        assert!(only_item(&relay).wake_at.unwrap() > relay.wall(), "its lease holds");
    }

    let item = only_item(&relay);
    assert_eq!((item.state, item.lease, item.lost), (ItemState::Running, lease, 0));
}

/// The query that belongs to a submit.
const QUERY: &str = "CVSync2AsyncGetResult";
