//! What a person decides about accounts, and what is remembered of them.

use super::*;

#[tokio::test]
async fn how_accounts_stand_survives_a_restart() {
    let (provider, relay, client) = scene(&["red", "orange", "yellow", "green"]).await;
    provider.always("red", error(401));
    provider.always("orange", error(402));
    provider.always("yellow", limited_for(600));
    all_served(&client, 8).await;
    let before = relay.accounts_of("openai").await;

    let relay = relay.stop().await.start().await;
    let client = relay.client("app").await;
    all_served(&client, 8).await;

    assert_eq!(relay.accounts_of("openai").await, before);
    assert_eq!(
        ["red", "orange", "yellow"].map(|account| provider.asked(account)),
        [1, 1, 1]
    );
    relay.later(10 * MINUTE).await;
    all_served(&client, 8).await;
    assert_eq!(
        ["red", "orange", "yellow"].map(|account| provider.asked(account)),
        [1, 1, 2]
    );
}

#[tokio::test]
async fn what_a_person_decides_is_in_force_on_the_next_call() {
    let (provider, relay, client) = scene(&["red"]).await;
    let id = relay.accounts_of("openai").await[0]["id"].as_str().unwrap().to_owned();
    let decide = async |decision: &str| {
        let path = format!("/admin/upstreams/openai/accounts/{id}/{decision}");
        assert_eq!(relay.operator().post(&path, "").await.status, 200);
    };

    decide("disable").await;
    client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
    assert_eq!(provider.total(), 0);

    decide("enable").await;
    all_served(&client, 1).await;

    provider.always("red", error(401));
    client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
    provider.heal("red");
    client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
    decide("reset").await;
    all_served(&client, 1).await;
}

#[tokio::test]
async fn a_reset_forgets_open_breakers_and_forbidden_models_as_often_as_it_is_asked_to() {
    let (provider, relay, client) = scene(&["red"]).await;
    let id = relay.accounts_of("openai").await[0]["id"].as_str().unwrap().to_owned();
    let one = format!("/admin/upstreams/openai/accounts/{id}/reset");
    for path in [
        one.as_str(),
        one.as_str(),
        "/admin/reset-failed-keys",
        "/admin/reset-failed-keys",
    ] {
        provider.always("red", error(403));
        client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
        provider.heal("red");
        client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
        assert_eq!(relay.operator().post(path, "").await.status, 200);
        all_served(&client, 1).await;

        provider.always("red", error(500));
        for _ in 0..5 {
            assert_eq!(client.chat(MODEL).await.status, 500);
        }
        provider.heal("red");
        client.chat(MODEL).await.assert_error(503, "NO_ACCOUNT");
        assert_eq!(relay.operator().post(path, "").await.status, 200);
        all_served(&client, 1).await;
    }
}

#[tokio::test]
async fn the_key_file_is_read_again_on_request_and_in_force_on_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    std::fs::write(&file, format!("# the first\n{}\n", key_of("red"))).unwrap();
    let provider = Provider::with(&["red", "green"]).await;
    let relay = Relay::build()
        .with("MEGALLM_BASE_URL", &provider.url())
        .with("KEY_FILE_PATH", file.to_str().unwrap())
        .start()
        .await;
    let client = relay.client("app").await;
    provider.always("red", error(401));
    client
        .chat("minimaxai/minimax-m2")
        .await
        .assert_error(503, "NO_ACCOUNT");

    std::fs::write(&file, format!("{}\n{}\n", key_of("red"), key_of("green"))).unwrap();
    let reloaded = relay.operator().post("/admin/reload-keys", "").await;
    assert_eq!(reloaded.json()["accounts"], 2, "{reloaded:?}");
    assert_eq!(client.chat("minimaxai/minimax-m2").await.status, 200);
    assert_eq!(
        relay.states_of("megallm").await,
        ["disabled unauthorized", "active fine"]
    );

    provider.heal("red");
    let reset = relay.operator().post("/admin/reset-failed-keys", "").await;
    assert_eq!(reset.json()["reset"], 1, "{reset:?}");
    for _ in 0..4 {
        assert_eq!(client.chat("minimaxai/minimax-m2").await.status, 200);
    }
    assert_eq!((provider.asked("red"), provider.asked("green")), (3, 3));

    std::fs::write(&file, format!("{}\n", key_of("green"))).unwrap();
    relay.operator().post("/admin/reload-keys", "").await;
    for _ in 0..4 {
        assert_eq!(client.chat("minimaxai/minimax-m2").await.status, 200);
    }
    assert_eq!((provider.asked("red"), provider.asked("green")), (3, 7));
}
