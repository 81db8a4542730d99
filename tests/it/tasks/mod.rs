//! Tasks: who may ask about one, which account is asked, and what is written down of it.

mod list;

use std::time::Duration;

use tollgate::model::record::{Event, TaskChange};
use tollgate::model::task::TaskState;
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Builder, Client, Relay, Reply, eventually, pass, query_body, submit_body};

const CANCEL: &str = "/?Action=CVCancelTask&Version=2024-06-06";
const DAY: Duration = Duration::from_hours(24);

/// A relay with two accounts, whose tasks are done at once.
fn two_accounts() -> Builder {
    Relay::build()
        .task_duration(Duration::ZERO)
        .accounts([("AKONE", "first-secret"), ("AKTWO", "second-secret")])
}

/// A task of each of the two accounts.
async fn one_task_each(relay: &Relay, client: &Client) -> [String; 2] {
    let mut of_account = std::collections::HashMap::new();
    for marker in ["first", "second"] {
        let task = client.submit(&submit_body(marker)).await.task_id();
        of_account.insert(last_account(relay), task);
    }
    // Idle accounts take turns, so each has one.
    ["AKONE", "AKTWO"].map(|account| of_account.remove(account).unwrap())
}

/// Who the upstream was last called by.
fn last_account(relay: &Relay) -> String {
    let seen = relay.upstream.seen();
    seen.recent.last().unwrap().account.as_deref().unwrap().to_owned()
}

fn state(reply: &Reply) -> String {
    reply.json()["data"]["status"].as_str().unwrap_or_default().to_owned()
}

/// The changes of tasks that were written down.
fn changes(relay: &Relay) -> Vec<TaskChange> {
    let change = |(_, entry): (u64, tollgate::model::record::Entry)| match entry.event {
        Event::Task(change) => Some(change),
        _ => None,
    };
    relay.log_book().into_iter().filter_map(change).collect()
}

async fn recorded(relay: &Relay, states: &[TaskState]) {
    let seen = || {
        changes(relay)
            .into_iter()
            .map(|change| change.state)
            .collect::<Vec<_>>()
    };
    eventually("the change is recorded", async || seen().len() >= states.len()).await;
    assert_eq!(seen(), states);
}

#[tokio::test]
async fn a_query_goes_to_the_account_that_submitted_its_task() {
    let relay = two_accounts().start().await;
    let alice = relay.client("alice").await;
    let [first, second] = one_task_each(&relay, &alice).await;

    for (task, account) in [(&first, "AKONE"), (&second, "AKTWO"), (&first, "AKONE")] {
        assert_eq!(state(&alice.query(&query_body(task)).await), "done");
        assert_eq!(last_account(&relay), account);
    }
}

#[tokio::test]
async fn a_task_stays_with_its_account_over_a_restart() {
    let relay = two_accounts().start().await;
    let alice = relay.client("alice").await;
    let [_, second] = one_task_each(&relay, &alice).await;
    let issued = alice.issued().clone();

    let relay = relay.stop().await.start().await;

    let alice = relay.client_of(issued);
    assert_eq!(state(&alice.query(&query_body(&second)).await), "done");
    assert_eq!(last_account(&relay), "AKTWO");
}

#[tokio::test]
async fn a_task_of_an_account_that_is_gone_is_asked_of_another() {
    let relay = two_accounts().start().await;
    let alice = relay.client("alice").await;
    let [_, second] = one_task_each(&relay, &alice).await;
    let issued = alice.issued().clone();

    let relay = relay.stop().await.accounts([("AKONE", "first-secret")]).start().await;

    let reply = relay.client_of(issued).query(&query_body(&second)).await;
    assert_eq!((reply.status.as_u16(), state(&reply).as_str()), (200, "not_found"));
    assert_eq!(last_account(&relay), "AKONE");
}

#[tokio::test]
async fn nobody_but_its_owner_may_ask_about_a_task() {
    for unknown in ["migrate", "allow", "refuse"] {
        let relay = Relay::build().with("UNKNOWN_TASKS", unknown).start().await;
        let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
        let task = alice.submit(&submit_body("x")).await.task_id();

        for path in ["/v1/get-result", "/?Action=CVGetResult&Version=2022-08-31", CANCEL] {
            let reply = bob.post(path, &query_body(&task)).await;
            reply.assert_error(404, "NOT_FOUND");
            assert_eq!(reply.json()["error"]["param"], "task_id");
        }
        assert_eq!(relay.upstream.seen().total, 1);
        assert_eq!(alice.query(&query_body(&task)).await.status, 200);
    }
}

#[tokio::test]
async fn a_rotated_key_still_owns_its_tasks() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let task = alice.submit(&submit_body("x")).await.task_id();

    let successor = relay.rotated(&alice).await;

    assert_eq!(successor.query(&query_body(&task)).await.status, 200);
    assert_eq!(
        successor.get("/v1/tasks").await.json()["items"][0]["task_id"].as_str(),
        Some(task.as_str())
    );
    alice.query(&query_body(&task)).await.assert_error(401, "KEY_REVOKED");
}

#[tokio::test]
async fn unknown_tasks_are_asked_about_in_the_first_day_of_a_store() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;

    assert_eq!(
        state(&alice.query(&query_body("7000000000000000001")).await),
        "not_found"
    );
    relay.clock.forward(DAY);

    alice
        .query(&query_body("7000000000000000001"))
        .await
        .assert_error(404, "NOT_FOUND");
    assert_eq!(relay.upstream.seen().total, 1);
    assert_eq!(changes(&relay), []);
}

#[tokio::test]
async fn unknown_tasks_are_asked_about_always_or_never_as_the_operator_says() {
    let allowing = Relay::build().with("UNKNOWN_TASKS", "allow").start().await;
    let refusing = Relay::build().with("UNKNOWN_TASKS", "refuse").start().await;
    allowing.clock.forward(3 * DAY);
    let (alice, bob) = (allowing.client("alice").await, refusing.client("bob").await);

    let allowed = alice.query(&query_body("7000000000000000001")).await;
    let refused = bob.query(&query_body("7000000000000000001")).await;

    assert_eq!((allowed.status.as_u16(), state(&allowed).as_str()), (200, "not_found"));
    refused.assert_error(404, "NOT_FOUND");
    assert_eq!(refusing.upstream.seen().total, 0);
}

#[tokio::test]
async fn an_unknown_task_is_never_cancelled() {
    for unknown in ["migrate", "allow", "refuse"] {
        let relay = Relay::build().with("UNKNOWN_TASKS", unknown).start().await;
        let alice = relay.client("alice").await;

        let reply = alice.post(CANCEL, &query_body("7000000000000000001")).await;

        reply.assert_error(404, "NOT_FOUND");
        assert_eq!(relay.upstream.seen().total, 0);
    }
}

#[tokio::test]
async fn a_task_is_remembered_for_two_days() {
    let relay = Relay::build().with("UNKNOWN_TASKS", "refuse").start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    let task = alice.submit(&submit_body("x")).await.task_id();

    relay.later(2 * DAY).await;

    assert_eq!(alice.query(&query_body(&task)).await.status, 200);
    bob.query(&query_body(&task)).await.assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn every_change_of_a_task_is_written_down_once() {
    let relay = Relay::build().task_duration(Duration::from_secs(30)).start().await;
    let alice = relay.client("alice").await;
    let task = alice.submit(&submit_body("x")).await.task_id();
    let mut states = Vec::new();

    for (word, seen) in [
        ("in_queue", TaskState::InQueue),
        ("generating", TaskState::Generating),
        ("done", TaskState::Done),
    ] {
        for _ in 0..3 {
            assert_eq!(state(&alice.query(&query_body(&task)).await), word);
        }
        states.push(seen);
        recorded(&relay, &states).await;
        assert_eq!(alice.get("/v1/tasks").await.json()["items"][0]["state"], word);
        pass(Duration::from_secs(15)).await;
    }
    let changes = changes(&relay);
    let intent = relay.intents()[0].0;
    assert!(
        changes
            .iter()
            .all(|change| change.task_id == task && change.intent == intent)
    );
}

#[tokio::test]
async fn a_task_that_failed_is_told_with_its_code() {
    let relay = Relay::build().task_duration(Duration::ZERO).start().await;
    let alice = relay.client("alice").await;
    let body = r#"{"req_key":"jimeng_t2i_v40","prompt":"a cat, fail-50511"}"#;
    let task = alice.submit(body).await.task_id();

    let reply = alice.query(&query_body(&task)).await;

    assert_eq!(
        (reply.status.as_u16(), reply.json()["code"].as_u64()),
        (400, Some(50_511))
    );
    assert_eq!(reply.header("x-should-retry"), None);
    recorded(&relay, &[TaskState::Failed]).await;
    assert_eq!(changes(&relay)[0].code, Some(50_511));
}

#[tokio::test]
async fn the_older_pair_of_actions_works_the_same() {
    let relay = Relay::build().task_duration(Duration::ZERO).start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    let task = alice
        .post("/?Action=CVSubmitTask&Version=2022-08-31", &submit_body("x"))
        .await
        .task_id();

    let path = "/?Action=CVGetResult&Version=2022-08-31";

    assert_eq!(state(&alice.post_signed(path, &query_body(&task)).await), "done");
    bob.post(path, &query_body(&task)).await.assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_waiting_task_can_be_cancelled_by_its_owner() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let task = alice.submit(&submit_body("x")).await.task_id();

    let reply = alice.post_signed(CANCEL, &query_body(&task)).await;

    assert_eq!((reply.status.as_u16(), state(&reply).as_str()), (200, "cancelled"));
    recorded(&relay, &[TaskState::Cancelled]).await;
    assert_eq!(alice.get("/v1/tasks").await.json()["items"][0]["state"], "cancelled");
}

#[tokio::test]
async fn a_cancel_that_came_too_late_changes_nothing() {
    let relay = Relay::build().task_duration(Duration::ZERO).start().await;
    let alice = relay.client("alice").await;
    let task = alice.submit(&submit_body("x")).await.task_id();

    let reply = alice.post(CANCEL, &query_body(&task)).await;

    assert_eq!(
        (reply.status.as_u16(), reply.json()["code"].as_u64()),
        (400, Some(50_215))
    );
    assert_eq!(state(&alice.query(&query_body(&task)).await), "done");
    recorded(&relay, &[TaskState::Done]).await;
}
