//! How long an attempt may take: told of when it is slow, cut when it is too slow, and never paid twice for that.

use super::*;

async fn events(client: &Client, id: &str) -> String {
    client.get(&format!("/v1/jobs/{id}/events")).await.text()
}

#[tokio::test]
async fn an_attempt_beyond_the_soft_limit_is_told_of_in_an_event() {
    let (relay, alice) = start().await;
    slowly(&relay, PROCESS, Duration::from_secs(20));
    let job = with(call("slow"), "limits", json!({ "soft": 5, "hard": 60 }));
    let id = accept(&alice, &job).await;
    eventually("it is upstream", async || relay.seen("slow") == 1).await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");

    let events = events(&alice, &id).await;
    assert_eq!(events.matches("slow").count() > 0, true, "{events}");
    assert_eq!(relay.seen("slow"), 1);
}

#[tokio::test]
async fn an_attempt_that_was_cut_is_looked_up_and_not_made_again() {
    for job in [call("cut"), task("cut")] {
        let (relay, alice) = start().await;
        order(&relay, Rule::any(Fault::None).after(Duration::from_secs(10)));
        let id = accept(&alice, &with(job, "limits", json!({ "soft": 2, "hard": 2 }))).await;
        eventually("it is upstream", async || relay.seen("cut") == 1).await;

        assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");

        assert_eq!(relay.seen("cut"), 1);
        assert_eq!(item(&alice, &id, 0).await["attempts"], 1);
    }
}

#[tokio::test]
async fn what_is_always_cut_is_dead_and_a_retry_waits_for_the_call_that_was_made() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::None).after(Duration::from_secs(22)));
    let id = accept(
        &alice,
        &with(task("patience"), "limits", json!({ "soft": 1, "hard": 1 })),
    )
    .await;
    eventually("it is upstream", async || relay.seen("patience") == 1).await;
    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "dead");
    assert_eq!(item(&alice, &id, 0).await["error"]["code"], "TIME_LIMIT");

    post_to(&alice, &id, "retry").await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("patience"), 1, "it was paid once");
}
