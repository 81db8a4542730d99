//! Calls of which nobody can know whether they were paid.

use tollgate::sandbox::Answer;

use super::*;

fn ambiguous() -> [Fault; 6] {
    [
        Fault::internal_error(),
        Fault::status(http::StatusCode::BAD_GATEWAY),
        Fault::Reset,
        Fault::ResetMidBody,
        Fault::Truncate,
        Fault::Answer(Answer {
            status: http::StatusCode::OK,
            body: Some("{}".to_owned()),
            ..Answer::default()
        }),
    ]
}

async fn resolve(relay: &Relay, item: &Value, verdict: &Value) {
    let path = format!("/admin/audit/{}/resolve", item["audit_id"].as_u64().unwrap());
    let reply = relay.operator().post(&path, &verdict.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A job of one item whose outcome is unknown.
async fn unknown(relay: &Relay, alice: &Client, job: &Value) -> String {
    order(relay, Rule::any(Fault::Reset));
    let id = accept(alice, job).await;
    until(alice, &id, &["unknown"]).await;
    id
}

#[tokio::test]
async fn an_ambiguous_submit_is_unknown_and_never_sent_again() {
    for fault in ambiguous() {
        let (relay, alice) = start().await;
        order(&relay, Rule::on(SUBMIT, fault.clone()));
        let job = with(
            task("once"),
            "retry",
            json!({ "unknown_calls": "retry", "max_attempts": 20, "backoff": 1 }),
        );
        let id = accept(&alice, &job).await;
        let job = ended(&alice, &id).await;

        assert_eq!(
            (&job["state"], &job["counts"]["unknown"]),
            (&json!("failed"), &json!(1)),
            "{fault:?}"
        );
        assert_eq!(job["failed_ratio"], 0.0, "nobody knows that it failed");
        post_to(&alice, &id, "retry")
            .await
            .assert_error(400, "VALIDATION_FAILED");
        relay.later(Duration::from_mins(5)).await;

        let item = item(&alice, &id, 0).await;
        assert_eq!(
            (&item["state"], relay.seen("once")),
            (&json!("unknown"), 1),
            "{fault:?}"
        );
        assert_eq!(item["audit_id"].as_u64(), Some(relay.intents()[0].0));
    }
}

#[tokio::test]
async fn an_ambiguous_call_is_unknown_unless_its_submitter_says_otherwise() {
    for (unknown_calls, state, sent) in [("leave", "unknown", 1), ("retry", "succeeded", 2)] {
        let (relay, alice) = start().await;
        order(&relay, Rule::on(PROCESS, Fault::Reset));
        let job = with(
            call("call"),
            "retry",
            json!({ "unknown_calls": unknown_calls, "backoff": 1 }),
        );
        let id = accept(&alice, &job).await;

        ended_later(&relay, &alice, &id).await;

        assert_eq!(
            (states(&alice, &id).await, relay.seen("call")),
            (vec![state.to_owned()], sent)
        );
    }
}

#[tokio::test]
async fn a_retry_of_a_batch_leaves_what_is_unknown_alone() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::Reset));
    let id = accept(&alice, &batch([task("open"), asking(PROCESS, "shut", "fail-50411")])).await;
    ended(&alice, &id).await;

    assert_eq!(post_to(&alice, &id, "retry").await.status, 200);

    ended(&alice, &id).await;
    assert_eq!(states(&alice, &id).await, ["unknown", "failed"]);
    assert_eq!((relay.seen("open"), relay.seen("shut")), (1, 2));
}

#[tokio::test]
async fn once_a_person_found_its_task_a_retry_follows_it() {
    let (relay, alice) = start().await;
    let found = alice.submit(&crate::support::submit_body("another")).await.task_id();
    let id = unknown(&relay, &alice, &task("found")).await;
    let item_before = item(&alice, &id, 0).await;
    resolve(&relay, &item_before, &json!({ "task_id": found })).await;

    assert_eq!(post_to(&alice, &id, "retry").await.status, 200);

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    let item = item(&alice, &id, 0).await;
    assert_eq!((&item["task_id"], relay.seen("found")), (&json!(found), 1));
    assert_eq!(item["result"]["body"]["data"]["status"], "done");
}

#[tokio::test]
async fn once_a_person_found_that_it_was_not_sent_a_retry_sends_it() {
    for job in [task("never"), call("never")] {
        let (relay, alice) = start().await;
        let id = unknown(&relay, &alice, &job).await;
        let before = item(&alice, &id, 0).await;
        resolve(&relay, &before, &json!({ "outcome": "not_sent" })).await;

        assert_eq!(post_to(&alice, &id, "retry").await.status, 200);

        assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
        assert_eq!(relay.seen("never"), 2);
    }
}
