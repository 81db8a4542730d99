//! Pools of accounts, end to end: whom a call is sent to, what a reply changes, and what the client sees of it.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use tollgate::model::outcome::Outcome;
use tollgate::model::record::Event;
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{
    Client, Detour, Provider, Relay, Reply, Way, error, eventually, key_of, limited, limited_for, submit_body,
};

const MODEL: &str = "gpt-4o-mini";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// A provider with these accounts, a relay before it, and a client.
async fn scene(accounts: &[&str]) -> (Provider, Relay, Client) {
    let provider = Provider::with(accounts).await;
    let relay = provider.behind(Relay::build()).start().await;
    let client = relay.client("app").await;
    (provider, relay, client)
}

/// So many calls, one after the other, which all succeed.
async fn all_served(client: &Client, calls: usize) {
    for call in 0..calls {
        let reply = client.chat(MODEL).await;
        assert_eq!(reply.status, 200, "call {call}: {reply:?}");
    }
}

/// The seconds that an answer asks its client to wait.
fn retry_after(reply: &Reply) -> u64 {
    let header = reply.header("retry-after");
    header
        .unwrap_or_else(|| panic!("no Retry-After: {reply:?}"))
        .parse()
        .unwrap()
}

/// Asks beside the test.
fn launch(client: &Client) -> tokio::task::JoinHandle<Reply> {
    let client = client.clone();
    TaskTracker::new().spawn(async move { client.chat(MODEL).await })
}

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

/// What `/ready` counts.
async fn ready_with(relay: &Relay, total: u64, available: u64) {
    let stats = relay.stranger().get("/ready").await.json()["key_stats"].clone();
    let failed = total - available;
    assert_eq!(stats, json!({"total": total, "available": available, "failed": failed}));
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

#[tokio::test]
async fn a_call_that_no_connection_took_goes_on_at_another_account_with_or_without_a_key() {
    for keyed in [true, false] {
        let provider = Provider::with(&["red", "green"]).await;
        let detour = Detour::of([Way::NoConnection]);
        let relay = provider.behind(Relay::build()).transport(detour).start().await;
        let client = relay.client("app").await;
        let client = if keyed { client.idempotent("k") } else { client };
        all_served(&client, 1).await;
        let settled = relay.settled().await;
        assert_eq!(
            (settled.outcome, settled.attempts, provider.total()),
            (Outcome::Succeeded, 2, 1)
        );
    }
}

#[tokio::test]
async fn a_refused_call_goes_on_with_its_idempotency_key_and_a_repeat_is_the_first_answer() {
    for fault in [error(401), error(402), error(403), limited()] {
        let (provider, _relay, client) = scene(&["red", "green"]).await;
        let keyed = client.idempotent("once");
        provider.next(fault);
        let first = keyed.chat(MODEL).await;
        let again = keyed.chat(MODEL).await;
        assert_eq!((first.status.as_u16(), &first.body), (200, &again.body));
        assert_eq!(provider.total(), 2);
    }
}

#[tokio::test]
async fn a_failed_reply_goes_on_at_another_account_only_without_an_idempotency_key() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    provider.next(error(500));
    all_served(&client, 1).await;
    assert_eq!(provider.total(), 2);

    let keyed = client.idempotent("paid-once");
    provider.next(error(500));
    let failed = keyed.chat(MODEL).await;
    let again = keyed.chat(MODEL).await;

    assert_eq!((failed.status.as_u16(), provider.total()), (500, 3));
    again.assert_error(409, "OUTCOME_UNKNOWN");
    assert_eq!(provider.total(), 3);
    let outcomes: Vec<_> = relay.settlements().iter().map(|settled| settled.outcome).collect();
    assert_eq!(outcomes, [Outcome::Succeeded, Outcome::Unknown]);
}

#[tokio::test]
async fn a_call_whose_reply_is_lost_after_its_bytes_left_is_never_sent_again() {
    for fault in [Fault::Reset, Fault::Truncate, Fault::Html] {
        let (provider, _relay, client) = scene(&["red", "green", "blue"]).await;
        provider.next(fault.clone());
        let lost = client.chat(MODEL).await;
        assert_eq!(
            (lost.status.as_u16(), provider.total()),
            (502, 1),
            "{fault:?}: {lost:?}"
        );

        provider.next(fault.clone());
        let keyed = client.idempotent("lost");
        let lost = keyed.chat(MODEL).await;
        let again = keyed.chat(MODEL).await;
        assert_eq!(
            (lost.status.as_u16(), provider.total()),
            (502, 2),
            "{fault:?}: {lost:?}"
        );
        again.assert_error(409, "OUTCOME_UNKNOWN");
        assert_eq!(provider.total(), 2);
    }
}

#[tokio::test]
async fn what_failed_and_may_have_been_paid_stays_unknown_when_the_next_attempt_was_not_sent() {
    let provider = Provider::with(&["red", "green"]).await;
    let detour = Detour::of([Way::Through, Way::NoConnection]);
    let relay = provider.behind(Relay::build()).transport(detour).start().await;
    let client = relay.client("app").await;
    provider.next(error(500));

    let reply = client.chat(MODEL).await;

    reply.assert_error(502, "UPSTREAM_FAILED");
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.attempts), (Outcome::Unknown, 2));
    assert_eq!(reply.audit_id(), settled.intent);
}

#[tokio::test]
async fn where_a_call_goes_on_is_on_the_disk_before_it_is_sent_there() {
    let provider = Provider::with(&["red", "green"]).await;
    let detour = Detour::of([Way::Through, Way::Held]);
    let relay = provider.behind(Relay::build()).transport(detour.clone()).start().await;
    let client = relay.client("app").await;
    provider.next(error(401));

    let asking = launch(&client);
    eventually("the second attempt hangs", async || detour.left() == 0).await;
    let relay = relay.lose_power().await.start().await;
    asking.abort();

    let (intent, first) = relay.intents().remove(0);
    let rerouted = relay.log_book().into_iter().find_map(|(_, entry)| match entry.event {
        Event::Rerouted(reroute) => Some(reroute),
        _ => None,
    });
    let rerouted = rerouted.expect("the way is recorded");
    assert_eq!(rerouted.intent, intent);
    assert_ne!(rerouted.account, first.account);
}

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

/// Two providers, and a model that leads to the first and, failing that, to the second.
async fn two_targets() -> (Provider, Provider, Relay, Client) {
    let (first, second) = (Provider::with(&["red"]).await, Provider::with(&["green"]).await);
    let relay = second.as_dashscope(first.behind(Relay::build())).start().await;
    let target = |upstream: &str| json!({"upstream": upstream, "model": MODEL});
    let body = json!({"targets": [target("openai"), target("dashscope")]}).to_string();
    let path = format!("/admin/models/{MODEL}");
    let put = relay.operator().send(Method::PUT, &path, &body).await.unwrap();
    assert!(put.status.is_success(), "{put:?}");
    let client = relay.client("app").await;
    (first, second, relay, client)
}

#[tokio::test]
async fn a_call_falls_back_to_the_next_target_of_its_model_and_later_calls_go_straight_there() {
    for fault in [error(401), error(402), error(403), limited_for(5)] {
        let (first, second, relay, client) = two_targets().await;
        first.always("red", fault.clone());
        let begun = tokio::time::Instant::now();

        all_served(&client, 3).await;

        assert_eq!((first.total(), second.total()), (1, 3), "{fault:?}");
        assert!(begun.elapsed() < 4 * SECOND, "nobody waited for {fault:?}");
        let rerouted = relay.events().iter().filter(|event| **event == "rerouted").count();
        assert_eq!(rerouted, 1);
        first.heal("red");
        relay.later(HOUR).await;
        all_served(&client, 1).await;
        assert_eq!(first.total(), 2, "the first is preferred once it is well");
    }
}

#[tokio::test]
async fn a_failing_target_is_left_for_the_next_one_without_a_key_and_once_its_breaker_is_open_with_one() {
    let (first, second, _relay, client) = two_targets().await;
    first.always("red", error(503));
    let keyed = client.idempotent("keyed").chat(MODEL).await;
    assert_eq!((keyed.status.as_u16(), second.total()), (503, 0));

    all_served(&client, 6).await;
    assert_eq!((first.total(), second.total()), (5, 6));
    all_served(&client.idempotent("keyed-2"), 1).await;
    assert_eq!((first.total(), second.total()), (5, 7));
}

#[tokio::test]
async fn when_no_target_serves_the_wait_is_that_of_the_first_to_serve_again() {
    let (first, second, _relay, client) = two_targets().await;
    first.always("red", error(401));
    second.always("green", limited_for(30));
    for _ in 0..3 {
        let reply = client.chat(MODEL).await;
        assert_eq!(reply.status, 429, "{reply:?}");
        assert!((29..=30).contains(&retry_after(&reply)), "{reply:?}");
    }
    assert_eq!((first.total(), second.total()), (1, 1));
}

#[tokio::test]
async fn a_refused_call_keeps_its_place_while_it_goes_on_elsewhere() {
    let provider = Provider::with(&["red", "green"]).await;
    let build = Relay::build()
        .with("PER_KEY_MAX_CONCURRENT_CALLS", "1")
        .with("PER_KEY_MAX_QUEUE_CALLS", "1");
    let relay = provider.behind(build).start().await;
    let client = relay.client("app").await;
    provider.order(Rule::any(error(401)).after(Duration::from_millis(200)));

    let first = launch(&client);
    eventually("the first is at the provider", async || provider.in_flight() == 1).await;
    let (second, third) = tokio::join!(client.chat(MODEL), client.chat(MODEL));

    let first = first.await.unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    let mut others = [second.status.as_u16(), third.status.as_u16()];
    others.sort_unstable();
    assert_eq!(others, [200, 429], "one waited, one found the queue full");
}

#[tokio::test]
async fn a_probe_whose_stream_has_begun_lets_other_calls_through() {
    let (provider, relay, client) = scene(&["red"]).await;
    provider.always("red", error(500));
    for _ in 0..5 {
        client.chat(MODEL).await;
    }
    provider.heal("red");
    relay.later(MINUTE).await;
    provider.next(Fault::Stall { frames: 2 });
    let body = json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": "Hello"}]});

    let streaming = {
        let (client, body) = (client.clone(), body.to_string());
        TaskTracker::new().spawn(async move { client.post("/v1/chat/completions", &body).await })
    };
    eventually("the stream is open", async || provider.in_flight() == 1).await;
    let served = async || client.chat(MODEL).await.status == 200;
    eventually("calls are served beside it", served).await;
    streaming.abort();
}

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
