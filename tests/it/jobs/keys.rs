//! Whose call it is: each lease reads what its owner's keys allow now, not what they allowed when the job came.

use tollgate::jobs::{Results, Viewer};
use tollgate::model::job::JobState;

use super::*;

/// A job that waits, and somebody with the operator's token.
async fn waiting() -> (Relay, Client, String, Client) {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &call("whose")).await;
    let operator = relay.operator();
    (relay, alice, id, operator)
}

fn key_path(client: &Client) -> String {
    format!("/admin/keys/{}", client.issued().key.id)
}

/// How the only item of a job ends once the queue runs, and why. Its owner may not be able to look any more.
async fn outcome(relay: &Relay, id: &str) -> (String, String) {
    resume(relay, "default").await;
    let (jobs, id) = (&relay.services().jobs, id.parse().unwrap());
    let patience = Duration::from_secs(10);
    let job = jobs.until_ended(Viewer::Operator, id, patience).await.unwrap();
    assert!(job.state.is_finished());
    let items = jobs.items(Viewer::Operator, id, 0, 1, Results::LeftOut).await.unwrap();
    let item = &items[0].item;
    let code = item.error.as_ref().map(|error| error.code.clone()).unwrap_or_default();
    (item.state.label().to_owned(), code)
}

async fn change(operator: &Client, client: &Client, body: Value) {
    let reply = operator
        .send(http::Method::PATCH, &key_path(client), &body.to_string())
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn a_revoked_keys_items_fail_and_are_not_sent() {
    let (relay, alice, id, operator) = waiting().await;
    operator.post(&format!("{}/revoke", key_path(&alice)), "").await;

    assert_eq!(
        outcome(&relay, &id).await,
        ("failed".to_owned(), "KEY_REVOKED".to_owned())
    );
    assert_eq!(relay.seen("whose"), 0);
}

#[tokio::test]
async fn an_expired_keys_items_fail_and_are_not_sent() {
    let (relay, alice, id, operator) = waiting().await;
    let soon = relay.wall().plus(Duration::from_mins(1)).to_string();
    change(&operator, &alice, json!({ "expires_at": soon })).await;
    relay.later(Duration::from_secs(61)).await;

    assert_eq!(
        outcome(&relay, &id).await,
        ("failed".to_owned(), "KEY_EXPIRED".to_owned())
    );
    assert_eq!(relay.seen("whose"), 0);
}

#[tokio::test]
async fn a_key_that_lost_its_scope_has_no_items_sent() {
    let (relay, alice, id, operator) = waiting().await;
    change(&operator, &alice, json!({ "scopes": ["relay"] })).await;

    assert_eq!(
        outcome(&relay, &id).await,
        ("failed".to_owned(), "SCOPE_DENIED".to_owned())
    );
    assert_eq!(relay.seen("whose"), 0);
}

#[tokio::test]
async fn a_key_whose_models_were_narrowed_has_no_others_sent() {
    let (relay, alice, id, operator) = waiting().await;
    change(&operator, &alice, json!({ "models": ["another_model"] })).await;

    assert_eq!(
        outcome(&relay, &id).await,
        ("failed".to_owned(), "MODEL_DENIED".to_owned())
    );
    assert_eq!(relay.seen("whose"), 0);
}

#[tokio::test]
async fn a_job_goes_on_under_the_key_that_replaced_its_own() {
    let (relay, alice, id, operator) = waiting().await;
    let rotated = operator
        .post(&format!("{}/rotate", key_path(&alice)), r#"{"grace_seconds":0}"#)
        .await;
    assert_eq!(rotated.status, 201, "{rotated:?}");

    assert_eq!(outcome(&relay, &id).await.0, "succeeded");
    assert_eq!(relay.seen("whose"), 1);
}

#[tokio::test]
async fn a_task_that_runs_is_followed_whatever_becomes_of_the_key() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &task("runs")).await;
    until(&alice, &id, &["polling"]).await;
    relay.operator().post(&format!("{}/revoke", key_path(&alice)), "").await;

    let (jobs, id) = (&relay.services().jobs, id.parse().unwrap());
    relay
        .later_until(SECOND, "it ends", async || {
            jobs.get(Viewer::Operator, id).await.unwrap().state == JobState::Succeeded
        })
        .await;
    assert_eq!(relay.seen("runs"), 1);
}

#[tokio::test]
async fn what_failed_with_its_key_can_be_tried_again_with_another() {
    let (relay, alice, id, operator) = waiting().await;
    change(&operator, &alice, json!({ "scopes": ["relay"] })).await;
    outcome(&relay, &id).await;
    change(&operator, &alice, json!({ "scopes": ["relay", "jobs"] })).await;

    // Long after its idempotency key would have been forgotten: it was never used.
    relay.later(Duration::from_hours(30)).await;
    post_to(&alice, &id, "retry").await;

    assert_eq!(ended(&alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("whose"), 1);
}
