//! The same submission twice: an idempotency key makes one job of it.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn the_same_key_and_body_are_the_same_job() {
    let (relay, alice) = start().await;
    let alice = alice.idempotent("order-1");
    let first = accept(&alice, &call("repeat")).await;

    let reply = send(&alice, &call("repeat")).await;

    assert_eq!(
        (id_of(&reply), reply.header("idempotency-replayed")),
        (first.clone(), Some("true"))
    );
    assert_eq!(reply.header("location"), Some(format!("/v1/jobs/{first}").as_str()));
    ended(&alice, &first).await;
    assert_eq!(send(&alice, &call("repeat")).await.json()["state"], "succeeded");
    assert_eq!(relay.seen("repeat"), 1);
}

#[tokio::test]
async fn the_same_key_and_another_body_are_a_conflict() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let alice = alice.idempotent("order-1");
    let job = task("conflict");
    accept(&alice, &job).await;
    let deadline = relay.wall().plus(Duration::from_secs(600)).to_string();
    for (what, other) in [
        ("another body", task("another")),
        ("another operation", with(job.clone(), "operation", PROCESS)),
        ("two items", batch([job.clone(), job.clone()])),
        ("its own queue", with(job.clone(), "queue", "media")),
        ("a priority", with(job.clone(), "priority", 9)),
        ("a policy", with(job.clone(), "retry", json!({ "max_attempts": 7 }))),
        (
            "a policy for unknown calls",
            with(job.clone(), "retry", json!({ "unknown_calls": "retry" })),
        ),
        ("limits", with(job.clone(), "limits", json!({ "hard": 7, "soft": 7 }))),
        ("metadata", with(job.clone(), "metadata", json!({ "a": 1 }))),
        ("a deadline", with(job.clone(), "deadline", deadline)),
        (
            "another question",
            batch([with(job.clone(), "req_json", json!({ "a": 1 }))]),
        ),
    ] {
        let reply = send(&alice, &other).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (409, "IDEMPOTENCY_CONFLICT"),
            "{what}"
        );
    }
    assert_eq!(queue_row(&relay, "default").enqueued, 1);
}

#[tokio::test]
async fn of_many_at_once_one_is_new_and_all_are_the_same_job() {
    let (relay, alice) = start().await;
    let alice = alice.idempotent("order-1");
    let job = call("at-once");

    let replies = join_all((0..12).map(|_| send(&alice, &job))).await;

    let first = id_of(&replies[0]);
    assert!(replies.iter().all(|reply| id_of(reply) == first));
    let fresh = replies
        .iter()
        .filter(|reply| reply.header("idempotency-replayed").is_none());
    assert_eq!(fresh.count(), 1);
    ended(&alice, &first).await;
    assert_eq!((relay.seen("at-once"), queue_row(&relay, "default").enqueued), (1, 1));
}

#[tokio::test]
async fn a_key_is_its_owners_and_lives_as_long_as_any_other() {
    let (relay, alice) = start_with(Relay::build().with("IDEMPOTENCY_TTL", "24h")).await;
    let bob = relay.client_with("bob", [Scope::Jobs]).await.idempotent("order-1");
    let alice = alice.idempotent("order-1");
    let hers = accept(&alice, &call("hers")).await;
    let his = accept(&bob, &call("his")).await;
    assert_ne!(hers, his);

    relay.clock.forward(Duration::from_hours(23));
    assert_eq!(accept(&alice, &call("hers")).await, hers);
    relay.clock.forward(Duration::from_hours(2));
    let reply = send(&alice, &call("hers")).await;

    assert_ne!(id_of(&reply), hers);
    assert_eq!(reply.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn the_key_of_a_submission_outlives_the_process() {
    let (relay, alice) = start().await;
    let alice = alice.idempotent("order-1");
    let first = accept(&alice, &call("outlives")).await;

    let relay = relay.lose_power().await.start().await;
    let alice = alice.at(&relay.url);

    let reply = send(&alice, &call("outlives")).await;
    assert_eq!(
        (id_of(&reply), reply.header("idempotency-replayed")),
        (first, Some("true"))
    );
}

#[tokio::test]
async fn a_job_and_a_call_may_use_the_same_key() {
    let (relay, alice) = start().await;
    let alice = alice.idempotent("order-1");
    assert_eq!(alice.submit(&crate::support::submit_body("direct")).await.status, 200);

    let id = accept(&alice, &call("in-a-job")).await;

    ended(&alice, &id).await;
    assert_eq!((relay.seen("direct"), relay.seen("in-a-job")), (1, 1));
}
