//! A model with several targets.

use super::*;

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
