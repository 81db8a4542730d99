//! A key whose first use nobody knows the end of.

use super::*;

#[tokio::test]
async fn an_unknown_outcome_is_passed_on_once_and_then_told_with_its_audit_id() {
    let (relay, alice) = with_alice().await;
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::internal_error()))
        .unwrap();

    let first = alice.submit(&submit_body("x")).await;
    let again = alice.submit(&submit_body("x")).await;

    assert_eq!(
        (first.status.as_u16(), first.json()["code"].as_u64()),
        (500, Some(50_500))
    );
    assert_eq!(first.header("x-should-retry"), Some("false"));
    again.assert_error(409, "OUTCOME_UNKNOWN");
    assert_eq!(again.header("x-should-retry"), Some("false"));
    assert_eq!(again.json()["error"]["audit_id"], relay.intents()[0].0);
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn duplicates_of_an_unknown_outcome_are_told_so() {
    let (relay, alice) = with_alice().await;
    let mut first = in_flight(&relay, &alice, Fault::Reset, "x").await;
    let line = "Idempotency-Key: order-1";
    let mut duplicate = Wire::posting(&relay, &alice, "/v1/submit", &[line], &submit_body("x")).await;
    alice.get("/v1/key").await;

    pass(LONG).await;

    first.reply().await.assert_error(502, "UPSTREAM_FAILED");
    duplicate.reply().await.assert_error(409, "OUTCOME_UNKNOWN");
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn resolving_as_not_sent_frees_the_key() {
    let (relay, alice, intent) = with_unknown("x").await;
    let admin = relay.admin().await;

    let resolved = admin
        .post(&format!("/admin/audit/{intent}/resolve"), r#"{"outcome":"not_sent"}"#)
        .await;

    assert_eq!(resolved.status, 200, "{}", resolved.text());
    let again = alice.submit(&submit_body("x")).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (200, None)
    );
    assert_eq!(relay.seen("x"), 2);
}

#[tokio::test]
async fn resolving_with_a_task_turns_a_repeat_into_a_replay() {
    let (relay, alice, intent) = with_unknown("x").await;
    let admin = relay.admin().await;

    let resolved = admin
        .post(
            &format!("/admin/audit/{intent}/resolve"),
            r#"{"task_id":"7000000000000000001"}"#,
        )
        .await;

    assert_eq!(resolved.status, 200, "{}", resolved.text());
    let again = alice.submit(&submit_body("x")).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (200, Some("true"))
    );
    assert_eq!(
        (again.json()["code"].as_u64(), again.task_id().as_str()),
        (Some(10_000), "7000000000000000001")
    );
    assert_eq!(
        alice.get("/v1/tasks").await.json()["items"][0]["task_id"],
        "7000000000000000001"
    );
    assert_eq!(relay.seen("x"), 1);
}

#[tokio::test]
async fn only_an_unknown_outcome_can_be_resolved_and_only_once() {
    let (relay, alice, intent) = with_unknown("x").await;
    let admin = relay.admin().await;
    let known = relay.client("bob").await;
    known.submit(&submit_body("known")).await;
    let known = relay.intents()[1].0;
    let not_sent = r#"{"outcome":"not_sent"}"#;

    let path = |intent: u64| format!("/admin/audit/{intent}/resolve");
    admin
        .post(&path(known), not_sent)
        .await
        .assert_error(400, "VALIDATION_FAILED");
    admin.post(&path(9999), not_sent).await.assert_error(404, "NOT_FOUND");
    admin
        .post(&path(intent), "{}")
        .await
        .assert_error(400, "VALIDATION_FAILED");
    alice
        .post(&path(intent), not_sent)
        .await
        .assert_error(403, "SCOPE_DENIED");
    assert_eq!(admin.post(&path(intent), not_sent).await.status, 200);
    admin
        .post(&path(intent), not_sent)
        .await
        .assert_error(400, "VALIDATION_FAILED");
}
