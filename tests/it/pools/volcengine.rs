//! The same on Volcengine, whose submits stay where they are.

use super::*;

/// What Volcengine's gateway says to a signature that it refuses.
fn unsigned() -> Fault {
    let error = json!({"Code": "SignatureDoesNotMatch", "CodeN": 100_010, "Message": "refused"});
    Fault::Answer(Answer {
        status: StatusCode::UNAUTHORIZED,
        body: Some(json!({"ResponseMetadata": {"RequestId": "1", "Error": error}}).to_string()),
        ..Answer::default()
    })
}

#[tokio::test]
async fn on_volcengine_a_401_disables_the_account_for_later_submits_and_moves_none() {
    let accounts = [("AKONE", "secret-one"), ("AKTWO", "secret-two")];
    let relay = Relay::build()
        .accounts(accounts)
        .with("UPSTREAM_MAX_RUNNING_TASKS", "50")
        .start()
        .await;
    let client = relay.client("app").await;
    let faults = relay.upstream.faults();
    faults.push(Rule::any(unsigned()).by("AKONE").always()).unwrap();

    let mut statuses = Vec::new();
    for number in 0..6 {
        let reply = client.submit(&submit_body(&format!("pool-{number}"))).await;
        statuses.push(reply.status.as_u16());
        assert_eq!(relay.seen(&format!("pool-{number}")), 1, "it is sent once");
    }

    assert_eq!(
        statuses.iter().filter(|status| **status == 401).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(relay.upstream.seen().account("AKONE").total, 1);
    assert_eq!(relay.upstream.seen().account("AKTWO").total, 5);
    assert!(!relay.events().contains(&"rerouted"));
    ready_with(&relay, 2, 1).await;
}

#[tokio::test]
async fn on_volcengine_50400_is_the_clients_own_and_changes_no_account() {
    let relay = Relay::start().await;
    let client = relay.client("app").await;
    let denied = Fault::Answer(Answer {
        status: StatusCode::FORBIDDEN,
        code: Some(50_400),
        ..Answer::default()
    });
    for number in 0..6 {
        relay.upstream.faults().push(Rule::any(denied.clone())).unwrap();
        let reply = client.submit(&submit_body(&format!("denied-{number}"))).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["code"]),
            (403, &Value::from(50_400))
        );
    }
    assert_eq!(client.submit(&submit_body("after")).await.status, 200);
    ready_with(&relay, 1, 1).await;
}

#[tokio::test]
async fn a_submit_that_waited_for_an_account_is_not_sent_there_once_that_was_disabled() {
    let relay = Relay::build()
        .with("PER_KEY_MAX_CONCURRENT", "4")
        .with("PER_KEY_MAX_QUEUE", "4")
        .start()
        .await;
    let client = relay.client("app").await;
    let slow = Rule::any(unsigned()).after(Duration::from_millis(300));
    relay.upstream.faults().push(slow).unwrap();

    let first = client.launch("first");
    eventually("the first is at the provider", async || {
        relay.upstream.seen().in_flight == 1
    })
    .await;
    let waiting = client.launch("waiting");
    relay.has_waiting(1).await;

    assert_eq!(first.await.unwrap().status, 401);
    waiting.await.unwrap().assert_error(503, "NO_ACCOUNT");
    assert_eq!(relay.seen("waiting"), 0);
}
