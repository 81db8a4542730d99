//! How accounts stand, over restarts.

use super::*;

#[tokio::test]
async fn a_decision_of_a_person_survives_a_restart_and_what_the_pool_saw_does_not_undo_it() {
    let relay = Relay::build().with("OPENAI_API_KEY", CREDENTIAL).start().await;
    let operator = relay.operator();
    let id = text(&accounts(&operator, "openai").await[0]["id"]).to_owned();
    let path = format!("/admin/upstreams/openai/accounts/{id}");

    let disabled = operator.post(&format!("{path}/disable"), "").await.json();
    let seen = Standing::fresh(relay.clock.wall());
    relay.services().curator.standings().persist(id.parse().unwrap(), seen);
    let refused = operator.post(&format!("{path}/reset"), "").await;
    let relay = relay.stop().await.start().await;
    let kept = accounts(&relay.operator(), "openai").await.remove(0);
    let enabled = relay.operator().post(&format!("{path}/enable"), "").await.json();

    assert_eq!(
        (&disabled["state"], &disabled["reason"]),
        (&json!("disabled"), &json!("operator"))
    );
    assert!(refused.text().contains("enable it instead"), "{refused:?}");
    assert_eq!(kept, disabled);
    assert_eq!(
        (&enabled["state"], &enabled["reason"]),
        (&json!("active"), &json!("operator"))
    );
}

#[tokio::test]
async fn what_the_pool_saw_of_an_account_survives_a_restart_and_is_forgotten_on_request() {
    let keys = format!("{CREDENTIAL}-1,{CREDENTIAL}-2,{CREDENTIAL}-3");
    let relay = Relay::build().with("OPENAI_API_KEY", &keys).start().await;
    let ids: Vec<AccountId> = accounts(&relay.operator(), "openai")
        .await
        .iter()
        .map(|account| text(&account["id"]).parse().unwrap())
        .collect();
    let now = relay.clock.wall();
    let standing = |state, reason| Standing {
        state,
        reason,
        since: now,
    };
    let standings = relay.services().curator.standings();
    standings.persist(
        ids[0],
        standing(
            AccountState::Disabled { probe_at: Some(now) },
            StateReason::Unauthorized,
        ),
    );
    standings.persist(
        ids[1],
        standing(AccountState::Exhausted { probe_at: now }, StateReason::Exhausted),
    );

    let relay = relay.stop().await.start().await;
    let before = accounts(&relay.operator(), "openai").await;
    let reset = relay.operator().post("/admin/reset-failed-keys", "").await.json();
    let after = accounts(&relay.operator(), "openai").await;

    let states = |accounts: &[Value]| {
        accounts
            .iter()
            .map(|account| account["state"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&before), ["disabled", "exhausted", "active"]);
    assert_eq!(before[0]["until"], now.to_string());
    assert_eq!(
        (before[0]["since"].as_str(), &before[2]["since"]),
        (Some(now.to_string().as_str()), &Value::Null)
    );
    assert_eq!(reset, json!({ "message": "2 accounts may be used again", "reset": 2 }));
    assert_eq!(states(&after), ["active", "active", "active"]);
}
