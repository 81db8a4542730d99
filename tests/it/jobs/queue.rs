//! Waiting: in the queue, at our own gates, and behind whoever holds a connection open.

use std::time::Duration;

use tollgate::model::job::queue::Standing;
use tollgate::model::operation::Class;

use super::*;
use crate::support::{Valve, submit_body};

#[tokio::test]
async fn a_queue_runs_no_more_at_once_than_it_may() {
    let (relay, alice) = start_with(Relay::build().with("JOB_QUEUES", "default:3,other:2")).await;
    slowly(&relay, PROCESS, Duration::from_millis(100));
    let one = accept(&alice, &batch((0..20).map(|at| call(&format!("peak-{at}"))))).await;
    assert_eq!(ended(&alice, &one).await["state"], "succeeded");
    assert_eq!(relay.upstream.seen().peak_in_flight, 3);

    let other = with(batch((0..10).map(|at| call(&format!("other-{at}")))), "queue", "other");
    let (one, other) = (
        accept(&alice, &batch((0..10).map(|at| call(&format!("more-{at}"))))).await,
        accept(&alice, &other).await,
    );
    ended(&alice, &one).await;
    ended(&alice, &other).await;
    assert_eq!(relay.upstream.seen().peak_in_flight, 5);
}

#[tokio::test]
async fn an_accounts_limit_holds_for_jobs_as_for_calls() {
    let builder = Relay::build()
        .with("JOB_QUEUES", "default:20")
        .with("UPSTREAM_MAX_CONCURRENT", "2");
    let (relay, _) = start_with(builder).await;
    let alice = with_room(&relay, "alice", 100).await;
    slowly(&relay, SUBMIT, Duration::from_millis(10));

    let id = accept(&alice, &batch((0..12).map(|at| task(&format!("narrow-{at}"))))).await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    let seen: Vec<u64> = (0..12).map(|at| relay.seen(&format!("narrow-{at}"))).collect();
    assert_eq!(seen, [1; 12]);
    assert!(items(&alice, &id).await.iter().all(|item| item["attempts"] == 1));
}

#[tokio::test]
async fn a_busy_key_makes_its_items_wait_and_costs_them_no_attempt() {
    let valve = Valve::closed();
    let (relay, alice) = start_with(Relay::build().transport(valve.clone())).await;
    let job = with(
        batch((0..3).map(|at| task(&format!("busy-{at}")))),
        "retry",
        json!({ "max_attempts": 1 }),
    );
    let id = accept(&alice, &job).await;
    valve.has_sent(1).await;
    for _ in 0..20 {
        relay.later(Duration::from_secs(1)).await;
        show(&alice, &id).await;
    }
    assert_eq!(valve.sent().len(), 1);
    let waiting = items(&alice, &id).await;
    assert!(waiting.iter().all(|item| item["attempts"] == 0), "{waiting:?}");

    valve.open();

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert!(items(&alice, &id).await.iter().all(|item| item["attempts"] == 1));
}

#[tokio::test]
async fn a_key_at_its_quota_makes_its_items_wait_for_the_next_minute() {
    let (relay, alice) = start().await;
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(2),
        ..Limits::default()
    };
    relay.limit(&alice, limits).await;
    let job = with(
        batch((0..5).map(|at| call(&format!("quota-{at}")))),
        "retry",
        json!({ "max_attempts": 1 }),
    );
    let begun = relay.wall();

    let id = accept(&alice, &job).await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert!(relay.wall().since(begun) >= Duration::from_mins(1));
    let seen: Vec<u64> = (0..5).map(|at| relay.seen(&format!("quota-{at}"))).collect();
    assert_eq!(seen, [1; 5]);
}

#[tokio::test]
async fn items_wait_while_no_account_can_be_used() {
    let (relay, alice) = start().await;
    let account = relay.accounts_of("openai").await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/upstreams/openai/accounts/{account}");
    let disabled = relay.operator().post(&format!("{path}/disable"), "").await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    serve(&relay, "gpt-4o").await;
    let job = with(chat("gpt-4o", "none"), "retry", json!({ "max_attempts": 1 }));
    let id = accept(&alice, &job).await;
    relay
        .later_until(SECOND, "it was turned away", async || {
            item(&alice, &id, 0).await["error"]["code"] == "NO_ACCOUNT"
        })
        .await;
    relay.later(Duration::from_mins(1)).await;
    assert_eq!(item(&alice, &id, 0).await["attempts"], 0);

    relay.operator().post(&format!("{path}/enable"), "").await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("marker-none"), 1);
}

#[tokio::test]
async fn items_wait_while_the_disk_has_no_room_for_their_record() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &with(call("no-room"), "retry", json!({ "max_attempts": 1 }))).await;
    relay.services().recorder.set_room(false);
    resume(&relay, "default").await;
    let turned_away = async || !item(&alice, &id, 0).await["error"].is_null();
    eventually("it was turned away", turned_away).await;
    let waits = item(&alice, &id, 0).await;
    assert_eq!(
        (&waits["state"], &waits["attempts"], relay.seen("no-room")),
        (&json!("queued"), &json!(0), 0)
    );

    relay.services().recorder.set_room(true);

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("no-room"), 1);
}

#[tokio::test]
async fn an_interactive_call_goes_before_items_that_wait_longer() {
    let valve = Valve::closed();
    let builder = Relay::build()
        .transport(valve.clone())
        .with("UPSTREAM_MAX_CONCURRENT", "1");
    let relay = builder.start().await;
    let alice = with_room(&relay, "alice", 10).await;
    let bob = with_room(&relay, "bob", 10).await;
    let id = accept(&alice, &batch((0..3).map(|at| task(&format!("item-{at}"))))).await;
    valve.has_sent(1).await;
    eventually("the others wait for the account", async || {
        relay.gate(Class::Submit).waiting_background == 2
    })
    .await;
    let interactive = {
        let (bob, body) = (bob.clone(), submit_body("interactive"));
        tokio_util::task::TaskTracker::new().spawn(async move { bob.submit(&body).await })
    };
    relay.has_waiting(1).await;

    valve.open();

    assert_eq!(interactive.await.unwrap().status, 200);
    ended_later(&relay, &alice, &id).await;
    assert_eq!(valve.order()[1], "interactive");
}

#[tokio::test]
async fn a_higher_priority_is_taken_first_and_within_one_the_older() {
    let (relay, alice) = start_with(Relay::build().with("JOB_QUEUES", "default:1")).await;
    pause(&relay, "default").await;
    let mut ids = Vec::new();
    for (marker, priority) in [("middle-1", 5), ("low", 0), ("high", 9), ("middle-2", 5)] {
        ids.push(accept(&alice, &with(call(marker), "priority", priority)).await);
    }
    resume(&relay, "default").await;
    for id in &ids {
        ended(&alice, id).await;
    }

    let seen = relay.upstream.seen();
    let order: Vec<&str> = seen.recent.iter().filter_map(|one| one.marker.as_deref()).collect();
    assert_eq!(order, ["high", "middle-1", "middle-2", "low"]);
}

#[tokio::test]
async fn a_paused_queue_takes_in_and_gives_nothing_out() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &call("paused")).await;
    relay.later(Duration::from_mins(2)).await;
    assert_eq!(
        (&show(&alice, &id).await["state"], relay.seen("paused")),
        (&json!("queued"), 0)
    );

    resume(&relay, "default").await;

    assert_eq!(ended(&alice, &id).await["state"], "succeeded");
}

#[tokio::test]
async fn a_draining_queue_takes_nothing_in_and_finishes_what_it_has() {
    let (relay, alice) = start_with(Relay::build().with("JOB_QUEUES", "default:1")).await;
    slowly(&relay, PROCESS, Duration::from_millis(50));
    let id = accept(&alice, &batch((0..4).map(|at| call(&format!("drains-{at}"))))).await;

    set_mode(&relay, "default", QueueMode::Draining).await;

    send(&alice, &call("refused")).await.assert_error(503, "DRAINING");
    assert_eq!(ended(&alice, &id).await["state"], "succeeded");
    let elsewhere = accept(&alice, &with(call("elsewhere"), "queue", "media")).await;
    ended(&alice, &elsewhere).await;
    assert_eq!(relay.seen("refused"), 0);
}

/// The gauge and both counters of a queue that no other test has.
async fn told(relay: &Relay, queue: &str) -> (u64, u64, u64) {
    let text = relay.operator().get("/metrics").await.text();
    let of = |name: &str, standing: &str| -> u64 {
        let wanted = |line: &&str| {
            line.starts_with(name)
                && line.contains(&format!("queue=\"{queue}\""))
                && (standing.is_empty() || line.contains(&format!("\"{standing}\"")))
        };
        let line = text
            .lines()
            .find(wanted)
            .unwrap_or_else(|| panic!("{name} {standing}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let waiting = ["ready", "delayed", "retrying", "held"];
    let backlog = waiting.map(|standing| of("tollgate_jobs{", standing)).iter().sum();
    (
        backlog,
        of("tollgate_job_enqueued_total", ""),
        of("tollgate_job_taken_total", ""),
    )
}

#[tokio::test]
async fn the_backlog_is_what_came_minus_what_was_taken_at_every_step() {
    let (relay, alice) = start_with(Relay::build().with("JOB_QUEUES", "backlog_of_spec:2")).await;
    let queue = "backlog_of_spec";
    let into = |job: Value| with(job, "queue", queue);
    let agrees = async |step: &str, expected: Option<u64>| {
        let row = queue_row(&relay, queue);
        assert_eq!(row.backlog(), row.enqueued - row.taken, "{step}: {row:?}");
        let (backlog, enqueued, taken) = told(&relay, queue).await;
        assert_eq!(backlog, enqueued - taken, "{step}");
        if let Some(expected) = expected {
            assert_eq!((row.backlog(), backlog), (expected, expected), "{step}");
        }
    };
    pause(&relay, queue).await;
    agrees("at first", Some(0)).await;
    let mixed = accept(
        &alice,
        &into(batch([call("b-0"), task("b-1"), asking(PROCESS, "b-2", "fail-50411")])),
    )
    .await;
    agrees("accepted", Some(3)).await;
    let delayed = accept(&alice, &into(with(call("b-3"), "delay", 30))).await;
    agrees("delayed", Some(4)).await;
    let gone = accept(&alice, &into(batch([call("b-4"), call("b-5")]))).await;
    post_to(&alice, &gone, "cancel").await;
    agrees("cancelled", Some(4)).await;
    order(
        &relay,
        Rule::on(SUBMIT, Fault::concurrency_limit()).times(NonZeroU32::new(3).unwrap()),
    );
    resume(&relay, queue).await;
    relay
        .later_until(SECOND, "all have ended", async || {
            agrees("running", None).await;
            is_over(&show(&alice, &mixed).await) && is_over(&show(&alice, &delayed).await)
        })
        .await;
    agrees("ended", Some(0)).await;
    pause(&relay, queue).await;
    post_to(&alice, &mixed, "retry").await;
    agrees("retried", Some(1)).await;
    resume(&relay, queue).await;
    ended(&alice, &mixed).await;
    agrees("ended again", Some(0)).await;
    let row = queue_row(&relay, queue);
    assert_eq!(
        (
            row.of(Standing::Succeeded),
            row.of(Standing::Failed),
            row.of(Standing::Cancelled)
        ),
        (3, 1, 2)
    );
}
