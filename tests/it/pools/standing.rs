//! How an account stands after what its provider said.

use super::*;

#[tokio::test]
async fn a_401_disables_the_account_which_is_tried_again_once_an_hour_until_it_is_well() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    provider.always("red", error(401));

    all_served(&client, 6).await;
    assert_eq!(provider.asked("red"), 1);
    assert_eq!(
        relay.states_of("openai").await,
        ["disabled unauthorized", "active fine"]
    );

    relay.later(HOUR.saturating_sub(SECOND)).await;
    all_served(&client, 6).await;
    assert_eq!(provider.asked("red"), 1);

    relay.later(2 * SECOND).await;
    all_served(&client, 6).await;
    assert_eq!(provider.asked("red"), 2);

    provider.heal("red");
    relay.later(HOUR).await;
    all_served(&client, 6).await;
    assert!(provider.asked("red") > 3);
    assert_eq!(relay.states_of("openai").await, ["active fine", "active fine"]);
}

#[tokio::test]
async fn a_403_keeps_the_account_from_that_model_alone_and_no_further_call_fails_for_it() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    provider.order(Rule::any(error(403)).by("red").of_model(MODEL).always());

    all_served(&client, 6).await;
    assert_eq!(provider.asked("red"), 1);
    for _ in 0..4 {
        assert_eq!(client.chat("gpt-4o").await.status, 200);
    }
    let asked = provider.asked("red");
    assert!(asked > 1, "the account serves other models");
    assert_eq!(relay.states_of("openai").await, ["active fine", "active fine"]);

    relay.later(MINUTE).await;
    all_served(&client, 6).await;
    assert_eq!(provider.asked("red"), asked + 1, "a minute later it is asked once more");
}

#[tokio::test]
async fn spent_money_exhausts_the_account_until_it_is_tried_an_hour_later() {
    for fault in [error(402), Fault::quota_spent()] {
        let (provider, relay, client) = scene(&["red", "green"]).await;
        provider.always("red", fault);

        all_served(&client, 6).await;
        assert_eq!(provider.asked("red"), 1);
        assert_eq!(relay.states_of("openai").await, ["exhausted exhausted", "active fine"]);

        provider.heal("red");
        relay.later(HOUR).await;
        all_served(&client, 6).await;
        assert!(provider.asked("red") > 2);
    }
}

#[tokio::test]
async fn a_429_cools_the_account_for_as_long_as_it_asks_and_another_serves() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    provider.order(Rule::any(limited_for(30)).by("red"));

    all_served(&client, 6).await;
    assert_eq!(provider.asked("red"), 1);
    assert_eq!(relay.states_of("openai").await, ["cooling limited", "active fine"]);

    relay.later(Duration::from_secs(29)).await;
    all_served(&client, 2).await;
    assert_eq!(provider.asked("red"), 1);

    relay.later(2 * SECOND).await;
    assert_eq!(relay.states_of("openai").await, ["active fine", "active fine"]);
    all_served(&client, 6).await;
    assert!(provider.asked("red") > 2);
}

#[tokio::test]
async fn a_limited_pool_answers_429_with_the_time_until_it_serves_and_asks_nobody_meanwhile() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    provider.always("red", limited());
    provider.always("green", limited_for(1_000_000_000));

    for _ in 0..5 {
        let reply = client.chat(MODEL).await;
        assert_eq!((reply.status.as_u16(), retry_after(&reply)), (429, 1), "{reply:?}");
    }
    assert_eq!(provider.total(), 2);

    relay.later(SECOND).await;
    let told: Vec<_> = [client.chat(MODEL).await, client.chat(MODEL).await]
        .iter()
        .map(retry_after)
        .collect();
    assert_eq!(
        (told, provider.asked("red"), provider.asked("green")),
        (vec![2, 2], 2, 1)
    );
    let ready = relay.stranger().get("/ready").await;
    ready_with(&relay, 3, 1).await;
    assert_eq!(ready.status, 200, "the first account of all is Volcengine's");
}

#[tokio::test]
async fn dead_accounts_cost_no_attempts_and_the_first_call_finds_the_one_that_lives() {
    let dead = ["red", "orange", "yellow", "blue"];
    let (provider, relay, client) = scene(&["red", "orange", "yellow", "blue", "green"]).await;
    for (account, status) in dead.iter().zip([401, 402, 403, 401]) {
        provider.always(account, error(status));
    }

    all_served(&client, 10).await;

    assert!(dead.iter().all(|account| provider.asked(account) <= 1));
    assert_eq!(provider.asked("green"), 10);
    // The 403 was for the model.
    ready_with(
        &relay,
        6,
        6 - u64::try_from(
            relay
                .states_of("openai")
                .await
                .iter()
                .filter(|state| *state != "active fine")
                .count(),
        )
        .unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_pool_of_dead_accounts_says_the_same_to_the_first_call_and_to_every_later_one() {
    let (provider, _relay, client) = scene(&["red", "green"]).await;
    provider.always("red", error(401));
    provider.always("green", error(402));

    for call in 0..5 {
        let reply = client.chat(MODEL).await;
        reply.assert_error(503, "NO_ACCOUNT");
        let wait = retry_after(&reply);
        assert!((3590..=3600).contains(&wait), "call {call}: {wait}");
    }
    assert_eq!(provider.total(), 2);
}

#[tokio::test]
async fn the_only_account_is_held_to_its_401_and_its_words_about_its_key_do_not_reach_the_client() {
    let (provider, _relay, client) = scene(&["red"]).await;
    provider.always("red", error(401));
    for _ in 0..3 {
        client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
    }
    assert_eq!(provider.total(), 1);
}

#[tokio::test]
async fn what_every_account_says_to_a_call_is_the_calls_own_fault_and_passes_through() {
    for status in [401, 402, 403] {
        let (provider, relay, client) = scene(&["red", "green", "blue"]).await;
        for account in ["red", "green", "blue"] {
            provider.always(account, error(status));
        }
        for call in 1..=3 {
            let reply = client.chat(MODEL).await;
            assert_eq!(reply.status, status, "{reply:?}");
            assert!(
                reply.json()["error"]["message"].is_string(),
                "the provider's own words: {reply:?}"
            );
            assert_eq!(provider.total(), 3 * call);
        }
        assert_eq!(relay.states_of("openai").await, ["active fine"; 3]);
    }
}

#[tokio::test]
async fn a_clients_own_mistake_passes_through_with_its_status_after_one_attempt() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    for (status, asked) in [(400, 1), (404, 2), (422, 3)] {
        provider.next(error(status));
        let reply = client.chat(MODEL).await;
        assert_eq!((reply.status.as_u16(), provider.total()), (status, asked), "{reply:?}");
    }
    assert_eq!(relay.states_of("openai").await, ["active fine"; 2]);
    all_served(&client, 2).await;
}

#[tokio::test]
async fn five_failures_open_the_breaker_and_one_probe_at_a_time_closes_it() {
    let (provider, relay, client) = scene(&["red"]).await;
    provider.always("red", error(500));
    for _ in 0..5 {
        assert_eq!(client.chat(MODEL).await.status, 500);
    }
    let refused = client.chat(MODEL).await;
    refused.assert_error(503, "NO_ACCOUNT");
    assert!((55..=60).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    assert_eq!(provider.total(), 5);
    ready_with(&relay, 2, 1).await;

    relay.later(MINUTE).await;
    assert_eq!(client.chat(MODEL).await.status, 500);
    client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
    assert_eq!(provider.total(), 6, "a failed probe opens it again");

    provider.heal("red");
    provider.order(Rule::any(Fault::None).after(Duration::from_millis(300)));
    relay.later(MINUTE).await;
    let probe = launch(&client);
    eventually("the probe is under way", async || provider.in_flight() == 1).await;
    client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
    assert_eq!(probe.await.unwrap().status, 200);
    all_served(&client, 3).await;
    ready_with(&relay, 2, 2).await;
}
