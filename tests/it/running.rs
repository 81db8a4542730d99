//! The limit of unfinished tasks: taken with the intent, kept until a task is seen to have ended, never lost or leaked.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::json;
use tollgate::admission::running::RunningTasks;
use tollgate::model::task::RunningTask;
use tollgate::record::UNKNOWN_HOLDS;
use tollgate::sandbox::{Answer, Fault, Rule};
use tollgate::store::tasks;

use crate::support::{Builder, Client, Relay, Valve, eventually, query_body, submit_body};

const SUBMIT: &str = "CVSync2AsyncSubmitTask";
const QUERY: &str = "CVSync2AsyncGetResult";

/// A relay whose account may have so many unfinished tasks. Tasks take an hour, and keys are not in the way.
fn limited(tasks: u32) -> Builder {
    Relay::build()
        .with("UPSTREAM_MAX_RUNNING_TASKS", &tasks.to_string())
        .with("UPSTREAM_MAX_CONCURRENT", "8")
        .with("PER_KEY_MAX_CONCURRENT", "8")
        .with("PER_KEY_MAX_QUEUE", "8")
        .task_duration(Duration::from_hours(1))
}

/// The slots in memory.
fn slots(relay: &Relay) -> Arc<RunningTasks> {
    let admission = &relay.services().admission;
    let [account] = admission.limited_accounts()[..] else {
        panic!("there is one account")
    };
    admission.running(account).unwrap()
}

/// The slots on the disk.
fn rows(relay: &Relay) -> Vec<RunningTask> {
    let all = relay.services().store.read(tasks::running_tasks).unwrap();
    all.into_iter().map(|(_, _, task)| task).collect()
}

/// Waits until so many slots are taken, in memory and on the disk.
async fn has_taken(relay: &Relay, number: usize) {
    let taken = async || slots(relay).taken() == number && rows(relay).len() == number;
    eventually("so many slots are taken", taken).await;
}

/// An answer of Volcengine with this code, after which nothing need be waited for.
fn answer(status: u16, code: u32) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        code: Some(code),
        retry_after: Some(HeaderValue::from_static("0")),
        ..Answer::default()
    }
}

/// An answer to a query that tells of a task in this state.
fn told(status: &str) -> Answer {
    let body = json!({"code": 10_000, "data": {"status": status}, "message": "Success", "status": 10_000});
    Answer {
        body: Some(body.to_string()),
        ..Answer::default()
    }
}

/// Queries until the rule is used up get this answer.
fn answers(relay: &Relay, action: &str, answer: Answer) {
    let rule = Rule::on(action, Fault::Answer(answer)).times(NonZeroU32::new(3).unwrap());
    relay.upstream.faults().push(rule).unwrap();
}

async fn submitted(client: &Client, marker: &str) -> String {
    let reply = client.submit(&submit_body(marker)).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.task_id()
}

#[tokio::test]
async fn a_slot_is_taken_in_the_commit_of_the_intent() {
    let valve = Valve::closed();
    let relay = limited(2).transport(valve.clone()).start().await;
    let alice = relay.client("alice").await;

    let flight = alice.launch("taken-1");
    valve.has_sent(1).await;

    assert_eq!(slots(&relay).taken(), 1);
    let row = rows(&relay).pop().unwrap();
    assert_eq!((row.task_id, row.req_key.as_deref()), (None, Some("jimeng_t2i_v40")));
    valve.open();
    let task = flight.await.unwrap().task_id();
    assert_eq!(rows(&relay)[0].task_id.as_deref(), Some(task.as_str()));
    assert_eq!(slots(&relay).taken(), 1, "the task is not finished");
}

#[tokio::test]
async fn when_all_are_taken_tollgate_asks_about_the_stalest_task_itself() {
    let relay = limited(2).task_duration(Duration::ZERO).start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);

    let oldest = submitted(&alice, "stale-1").await;
    let newer = submitted(&bob, "stale-2").await;
    let third = alice.submit(&submit_body("stale-3")).await;

    assert_eq!(third.status, 200);
    assert_eq!(relay.upstream.seen().action(QUERY), 1, "asked once, of its own accord");
    let held: Vec<_> = rows(&relay).into_iter().filter_map(|row| row.task_id).collect();
    assert!(held.contains(&newer) && !held.contains(&oldest));
    assert_eq!(relay.intents().len(), 3, "to ask is free and leaves no intent");
}

#[tokio::test]
async fn a_task_that_runs_keeps_its_slot_however_often_it_is_asked_about() {
    let relay = limited(1).with("UPSTREAM_QUEUE_TIMEOUT", "1500ms").start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);

    let task = submitted(&alice, "runs-1").await;
    let late = bob.submit(&submit_body("runs-2")).await;

    late.is_limited("QUEUE_TIMEOUT");
    assert!(relay.upstream.seen().action(QUERY) >= 1);
    assert_eq!(rows(&relay)[0].task_id.as_deref(), Some(task.as_str()));
    assert_eq!(relay.seen("runs-2"), 0);
}

#[tokio::test]
async fn every_end_of_a_task_gives_its_slot_back() {
    let relay = limited(1).start().await;
    let alice = relay.client("alice").await;
    let ends = [
        told("done"),
        told("not_found"),
        told("expired"),
        told("cancelled"),
        answer(400, 50_411),
        answer(400, 50_511),
        answer(500, 50_512),
    ];

    for (at, end) in ends.into_iter().enumerate() {
        let task = submitted(&alice, &format!("end-{at}")).await;
        assert_eq!(slots(&relay).taken(), 1);
        relay
            .upstream
            .faults()
            .push(Rule::on(QUERY, Fault::Answer(end)))
            .unwrap();
        alice.query(&query_body(&task)).await;
        has_taken(&relay, 0).await;
    }
}

#[tokio::test]
async fn an_answer_that_tells_nothing_of_the_task_gives_nothing_back() {
    let relay = limited(1).start().await;
    let alice = relay.client("alice").await;
    let task = submitted(&alice, "silent-1").await;

    for said in [
        answer(429, 50_429),
        answer(429, 50_430),
        answer(500, 50_500),
        answer(500, 50_501),
        answer(401, 50_400),
        told("in_queue"),
        told("generating"),
        told("something new"),
    ] {
        answers(&relay, QUERY, said);
        alice.query(&query_body(&task)).await;
        relay.upstream.faults().clear();
        assert_eq!((slots(&relay).taken(), rows(&relay).len()), (1, 1));
    }
}

#[tokio::test]
async fn a_cancelled_task_gives_its_slot_back() {
    let relay = limited(1).start().await;
    let alice = relay.client("alice").await;
    let task = submitted(&alice, "cancel-1").await;

    let path = "/?Action=CVCancelTask&Version=2024-06-06";
    assert_eq!(alice.post(path, &query_body(&task)).await.status, 200);

    has_taken(&relay, 0).await;
}

#[tokio::test]
async fn a_submit_that_made_no_task_gives_its_slot_back_at_once() {
    let valve = Valve::opened();
    let relay = limited(1).transport(valve.clone()).start().await;
    let alice = relay.client("alice").await;

    answers(&relay, SUBMIT, answer(429, 50_430));
    assert_eq!(alice.submit(&submit_body("none-1")).await.status, 429);
    assert_eq!((slots(&relay).taken(), rows(&relay).len()), (0, 0), "refused");

    relay.upstream.faults().clear();
    relay
        .upstream
        .faults()
        .push(Rule::on(SUBMIT, Fault::Answer(answer(400, 50_411))))
        .unwrap();
    assert_eq!(alice.submit(&submit_body("none-2")).await.status, 400);
    assert_eq!((slots(&relay).taken(), rows(&relay).len()), (0, 0), "rejected");

    valve.cut_off();
    assert_eq!(alice.submit(&submit_body("none-3")).await.status, 502);
    assert_eq!((slots(&relay).taken(), rows(&relay).len()), (0, 0), "not sent");
    valve.reconnect();
    submitted(&alice, "none-4").await;
}

#[tokio::test]
async fn an_unknown_outcome_holds_its_slot_for_ten_minutes() {
    let relay = limited(1).start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    relay.upstream.faults().push(Rule::on(SUBMIT, Fault::Reset)).unwrap();

    assert_eq!(alice.submit(&submit_body("unknown-1")).await.status, 502);
    assert_eq!((slots(&relay).taken(), rows(&relay).len()), (1, 1));
    relay.clock.forward(Duration::from_mins(9));
    assert_eq!(slots(&relay).lapsed(relay.wall()), [0; 0], "not yet");
    relay.clock.forward(Duration::from_mins(1));

    submitted(&bob, "unknown-2").await;
    assert_eq!(rows(&relay).len(), 1);
}

#[tokio::test]
async fn resolving_an_unknown_outcome_frees_its_slot_or_ties_it_to_the_task() {
    let relay = limited(2).start().await;
    let (alice, admin) = (relay.client("alice").await, relay.admin().await);
    relay.upstream.faults().push(Rule::on(SUBMIT, Fault::Reset)).unwrap();
    let unknown = alice.submit(&submit_body("resolve-1")).await.json()["error"]["audit_id"].clone();
    let path = format!("/admin/audit/{unknown}/resolve");
    assert_eq!(admin.post(&path, r#"{"outcome":"not_sent"}"#).await.status, 200);
    assert_eq!((slots(&relay).taken(), rows(&relay).len()), (0, 0));

    relay.upstream.faults().push(Rule::on(SUBMIT, Fault::Reset)).unwrap();
    let unknown = alice.submit(&submit_body("resolve-2")).await.json()["error"]["audit_id"].clone();
    let path = format!("/admin/audit/{unknown}/resolve");
    assert_eq!(
        admin.post(&path, r#"{"task_id":"7392616336519610409"}"#).await.status,
        200
    );
    let row = rows(&relay).pop().unwrap();
    assert_eq!(
        (row.task_id.as_deref(), row.lapses_at),
        (Some("7392616336519610409"), None)
    );
    alice.query(&query_body("7392616336519610409")).await;
    has_taken(&relay, 0).await;
}

#[tokio::test]
async fn one_owner_cannot_hold_every_slot() {
    let valve = Valve::opened();
    let relay = limited(3).transport(valve.clone()).start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);

    submitted(&alice, "greedy-1").await;
    submitted(&alice, "greedy-2").await;
    let third = alice.launch("greedy-3");
    eventually("Tollgate asks about her tasks", async || {
        relay.upstream.seen().action(QUERY) >= 1
    })
    .await;

    submitted(&bob, "modest-1").await;
    assert!(!third.is_finished());
    assert_eq!(valve.order(), ["greedy-1", "greedy-2", "modest-1"]);
    third.abort();
}

#[tokio::test]
async fn slots_survive_a_kill_and_a_restart() {
    let relay = limited(1).start().await;
    let alice = relay.client("alice").await;
    let task = submitted(&alice, "kill-1").await;
    let issued = alice.issued().clone();

    let relay = relay.kill().await.start().await;
    let alice = relay.client_of(issued);
    assert_eq!((slots(&relay).taken(), rows(&relay).len()), (1, 1));
    relay
        .upstream
        .faults()
        .push(Rule::on(QUERY, Fault::Answer(told("done"))))
        .unwrap();
    alice.query(&query_body(&task)).await;
    has_taken(&relay, 0).await;

    let relay = relay.stop().await.start().await;
    assert_eq!(
        (slots(&relay).taken(), rows(&relay).len()),
        (0, 0),
        "what was given back stays so"
    );
}

#[tokio::test]
async fn a_submit_that_a_kill_interrupted_holds_its_slot_as_unknown() {
    let valve = Valve::closed();
    let relay = limited(1).transport(Arc::clone(&valve) as _).start().await;
    let flight = relay.client("alice").await.launch("kill-2");
    valve.has_sent(1).await;

    let relay = relay.kill().await.start().await;

    drop(flight);
    assert_eq!(slots(&relay).taken(), 1);
    assert!(rows(&relay)[0].lapses_at.is_some());
    relay.clock.forward(UNKNOWN_HOLDS + Duration::from_mins(1));
    valve.open();
    submitted(&relay.client("bob").await, "kill-3").await;
}
