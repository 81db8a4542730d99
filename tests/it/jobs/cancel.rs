//! Cancelling: what has not ended is withdrawn, and what was sent is in the record.

use tollgate::model::outcome::Outcome;
use tollgate::sandbox::Ends;

use super::*;

#[tokio::test]
async fn what_waits_is_cancelled_and_never_sent() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &batch([call("waits-0"), task("waits-1")])).await;

    let reply = post_to(&alice, &id, "cancel").await;

    let job = reply.json();
    assert_eq!(
        (reply.status.as_u16(), &job["state"]),
        (200, &json!("cancelled")),
        "{reply:?}"
    );
    assert_eq!(states(&alice, &id).await, ["cancelled", "cancelled"]);
    resume(&relay, "default").await;
    relay.later(Duration::from_mins(1)).await;
    let after = accept(&alice, &call("after")).await;
    ended(&alice, &after).await;
    assert_eq!((relay.seen("waits-0"), relay.seen("waits-1")), (0, 0));
}

#[tokio::test]
async fn what_waits_for_its_next_attempt_is_not_attempted_again() {
    let (relay, alice) = start().await;
    order(&relay, Rule::any(Fault::concurrency_limit()).always());
    let id = accept(&alice, &with(call("again"), "retry", json!({ "backoff": 30 }))).await;
    let waits = async || item(&alice, &id, 0).await["attempts"] == 1;
    relay.later_until(SECOND, "it was refused", waits).await;

    assert_eq!(post_to(&alice, &id, "cancel").await.json()["state"], "cancelled");

    relay.later(Duration::from_mins(2)).await;
    show(&alice, &id).await;
    assert_eq!(
        (states(&alice, &id).await, relay.seen("again")),
        (vec!["cancelled".to_owned()], 3)
    );
}

#[tokio::test]
async fn a_submit_that_was_sent_is_in_the_record_when_its_job_is_cancelled() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::None).after(Duration::from_secs(5)));
    let id = accept(&alice, &task("sent")).await;
    eventually("it is upstream", async || relay.seen("sent") == 1).await;

    post_to(&alice, &id, "cancel").await;

    assert_eq!(ended(&alice, &id).await["state"], "cancelled");
    relay.later(Duration::from_secs(6)).await;
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, relay.seen("sent")), (Outcome::Succeeded, 1));
}

#[tokio::test]
async fn a_polled_task_is_cancelled_and_the_provider_asked_to_withdraw_it() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::task(Ends::Never)));
    let id = accept(&alice, &task("polled")).await;
    until(&alice, &id, &["polling"]).await;

    let job = post_to(&alice, &id, "cancel").await.json();

    assert_eq!(
        (&job["state"], &job["counts"]["cancelled"]),
        (&json!("cancelled"), &json!(1))
    );
    eventually("the provider was asked", async || {
        relay.upstream.seen().traffic.cancels == 1
    })
    .await;
    let asked = relay.upstream.seen().action(QUERY);
    relay.later(Duration::from_mins(1)).await;
    show(&alice, &id).await;
    assert_eq!(
        relay.upstream.seen().action(QUERY),
        asked,
        "nobody asks about it any more"
    );
}

#[tokio::test]
async fn a_cancel_does_not_wait_for_a_provider_that_does_not_answer() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::task(Ends::Never)));
    order(&relay, Rule::on("CVCancelTask", Fault::Hang).always());
    let id = accept(&alice, &task("deaf")).await;
    until(&alice, &id, &["polling"]).await;

    let reply = tokio::time::timeout(Duration::from_secs(5), post_to(&alice, &id, "cancel")).await;

    assert_eq!(reply.expect("an answer at once").json()["state"], "cancelled");
}

#[tokio::test]
async fn what_has_ended_stays_when_the_rest_is_cancelled() {
    let (relay, alice) = start_with(Relay::build().with("JOB_QUEUES", "default:1")).await;
    order(&relay, Rule::on(SUBMIT, Fault::Hang));
    let id = accept(
        &alice,
        &batch([call("ended"), with(call("waits"), "operation", SUBMIT), call("never")]),
    )
    .await;
    eventually("the second is upstream", async || relay.seen("waits") == 1).await;

    post_to(&alice, &id, "cancel").await;

    let job = ended(&alice, &id).await;
    assert_eq!(job["state"], "cancelled");
    assert_eq!(states(&alice, &id).await, ["succeeded", "cancelled", "cancelled"]);
    assert_eq!(relay.seen("never"), 0);
}

#[tokio::test]
async fn a_cancelled_job_is_neither_retried_nor_cancelled_again() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &call("cancelled")).await;
    post_to(&alice, &id, "cancel").await;

    post_to(&alice, &id, "retry")
        .await
        .assert_error(400, "VALIDATION_FAILED");
    post_to(&alice, &id, "cancel")
        .await
        .assert_error(400, "VALIDATION_FAILED");
}
