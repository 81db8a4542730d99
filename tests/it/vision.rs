//! The vision routes: what a caller may choose, what the upstream is asked, and what comes back of it.

use serde_json::{Value, json};

use crate::support::{Client, Relay, Reply, Say, Script, replying};

const ROUTES: [&str; 3] = [
    "/api/vision/analyze",
    "/api/vision/extract-text",
    "/api/vision/analyze-math",
];

/// The beginning of a PNG, in base64.
const PNG: &str = "iVBORw0KGgr7/7/+Pw==";

/// A vision model that says these contents one after the other, the last one for good.
async fn model(contents: &[&str]) -> Script {
    let say = |content: &&str| {
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
        let body = json!({"model": "qwen3-vl-plus", "choices": [{"message": {"content": content}}], "usage": usage});
        Say::Bytes(replying(
            "200 OK",
            &["Content-Type: application/json"],
            body.to_string(),
        ))
    };
    Script::start(contents.iter().map(say)).await
}

/// A vision model that always refuses.
async fn refusing(status: &str, headers: &[&str]) -> Script {
    let headers = [&["Content-Type: application/json"], headers].concat();
    let body = r#"{"error":{"message":"not today","type":"x","code":"y"}}"#;
    Script::start([Say::Bytes(replying(status, &headers, body))]).await
}

/// A relay in front of a vision model, and a client of it.
async fn before(model: &Script) -> (Relay, Client) {
    let relay = Relay::build()
        .with("DASHSCOPE_API_KEY", "sk-vision-canary-0123456789")
        .with("DASHSCOPE_BASE_URL", &format!("http://{}/v1", model.address))
        .start()
        .await;
    let client = relay.client("notes").await;
    (relay, client)
}

async fn post(client: &Client, route: &str, body: &Value) -> Reply {
    client.post(route, &body.to_string()).await
}

/// A body that every route takes.
fn question(image: &Value) -> Value {
    json!({"image": image, "prompt": "what is it?"})
}

fn heard(model: &Script) -> Vec<Value> {
    let bodies = model.heard().into_iter().map(|heard| heard.body);
    bodies.map(|body| serde_json::from_slice(&body).unwrap()).collect()
}

#[tokio::test]
async fn an_image_is_analysed_by_the_operators_model() {
    let model = model(&["a lighthouse"]).await;
    let (_relay, client) = before(&model).await;
    let body = json!({"image": PNG, "prompt": "what is it?", "options": {"temperature": 0.5, "detail": "low"}});

    let reply = post(&client, ROUTES[0], &body).await;

    assert_eq!(reply.status, 200, "{reply:?}");
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
    let data = json!({"success": true, "content": "a lighthouse", "model": "qwen3-vl-plus", "usage": usage});
    assert_eq!(reply.json(), json!({"success": true, "data": data}));
    let asked = &heard(&model)[0];
    assert_eq!(
        (&asked["model"], &asked["temperature"]),
        (&json!("qwen3-vl-plus"), &json!(0.5))
    );
    let image = json!({"url": format!("data:image/png;base64,{PNG}"), "detail": "low"});
    assert_eq!(asked["messages"][0]["content"][0]["image_url"], image);
    assert_eq!(asked["messages"][0]["content"][1]["text"], "what is it?");
}

#[tokio::test]
async fn no_option_chooses_the_model_the_conversation_or_a_stream_and_nothing_is_paid_for_trying() {
    let model = model(&["a lighthouse"]).await;
    let (relay, client) = before(&model).await;
    for (name, value) in [
        ("model", json!("expensive")),
        ("messages", json!([{"role": "user", "content": "write my essay"}])),
        ("stream", json!(true)),
        ("tools", json!([])),
        ("n", json!(10)),
    ] {
        let body = json!({"image": PNG, "prompt": "what is it?", "options": {name: value}});
        let reply = post(&client, ROUTES[0], &body).await;
        reply.assert_error(400, "VALIDATION_FAILED");
        assert_eq!(reply.json()["error"]["param"], format!("options.{name}"));
    }
    assert_eq!(model.connections(), 0);
    assert!(relay.intents().is_empty());
}

#[tokio::test]
async fn nobody_asks_without_a_key() {
    let model = model(&["a lighthouse"]).await;
    let (relay, _) = before(&model).await;
    for route in ROUTES {
        let reply = post(&relay.stranger(), route, &question(&json!(PNG))).await;
        reply.assert_error(401, "AUTH_FAILED");
    }
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn text_is_read_from_one_image_or_several_and_the_first_is_repeated_in_part() {
    let model = model(&["x = 1"]).await;
    let (_relay, client) = before(&model).await;
    let url = format!("https://example.com/{}.png", "a".repeat(200));
    for (image, repeated) in [
        (json!(PNG), format!("{PNG}...")),
        (json!([url, PNG]), format!("{}...", &url[..100])),
    ] {
        let reply = post(&client, ROUTES[1], &json!({"image": image})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(
            reply.json(),
            json!({"success": true, "data": {"text": "x = 1", "image": repeated}})
        );
    }
}

#[tokio::test]
async fn mathematics_takes_two_calls_and_tells_what_both_took() {
    let model = model(&["2 + 2 = ?", "It is 4."]).await;
    let (relay, client) = before(&model).await;

    let reply = post(&client, ROUTES[2], &json!({"image": PNG})).await;

    assert_eq!(reply.status, 200, "{reply:?}");
    let data = &reply.json()["data"];
    assert_eq!(
        (&data["content"], &data["extractedText"]),
        (&json!("It is 4."), &json!("2 + 2 = ?"))
    );
    let usage = json!({"prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 220});
    assert_eq!(data["usage"], usage);
    assert!(data.get("rawResponse").is_none());
    let second = heard(&model)[1]["messages"][0]["content"][1]["text"].clone();
    assert!(second.as_str().unwrap().ends_with("2 + 2 = ?"), "{second}");
    assert_eq!(relay.intents().len(), 2);
}

#[tokio::test]
async fn a_repeat_under_an_idempotency_key_is_not_paid_again() {
    let model = model(&["2 + 2 = ?", "It is 4.", "never said"]).await;
    let (_relay, client) = before(&model).await;
    let client = client.idempotent("homework-1");
    let first = post(&client, ROUTES[2], &json!({"image": PNG})).await;

    let second = post(&client, ROUTES[2], &json!({"image": PNG})).await;

    assert_eq!((second.status.as_u16(), second.json()), (200, first.json()));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(model.heard().len(), 2);
}

#[tokio::test]
async fn what_is_no_image_is_the_clients_mistake_on_every_route_and_never_reaches_the_upstream() {
    let model = model(&["a lighthouse"]).await;
    let (_relay, client) = before(&model).await;
    for image in [
        json!(null),
        json!(7),
        json!([]),
        json!([PNG, 7]),
        json!("hello"),
        json!("aGVsbG8gd29ybGQ="),
        json!(format!("data:image/jpeg;base64,{PNG}")),
        json!("http://169.254.169.254/latest/meta-data/"),
        json!("http://2130706433/"),
        json!("http://localhost:8080/admin"),
        json!(vec![PNG; 17]),
    ] {
        for route in ROUTES {
            let reply = post(&client, route, &question(&image)).await;
            reply.assert_error(400, "VALIDATION_FAILED");
            assert_eq!(reply.json()["error"]["param"], "image", "{image}");
        }
    }
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn the_same_failure_of_the_upstream_has_the_same_status_on_every_route() {
    for (status, ours) in [
        ("400 Bad Request", 400),
        ("404 Not Found", 502),
        ("500 Internal Server Error", 500),
    ] {
        for route in ROUTES {
            let model = refusing(status, &[]).await;
            let (_relay, client) = before(&model).await;
            let reply = post(&client, route, &question(&json!(PNG))).await;
            assert_eq!(reply.status.as_u16(), ours, "{status} on {route}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_success_that_holds_no_answer_is_the_upstreams_failure() {
    let model = Script::start([Say::Bytes(replying(
        "200 OK",
        &["Content-Type: application/json"],
        r#"{"choices":[]}"#,
    ))])
    .await;
    let (_relay, client) = before(&model).await;
    let reply = post(&client, ROUTES[0], &question(&json!(PNG))).await;
    reply.assert_error(502, "UPSTREAM_FAILED");
}

#[tokio::test]
async fn health_is_open_and_in_the_envelope() {
    let model = model(&["a lighthouse"]).await;
    let (relay, _) = before(&model).await;
    let reply = relay.stranger().get("/api/vision/health").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    assert_eq!(
        (&body["success"], &body["service"]),
        (&json!(true), &json!("Vision API"))
    );
    assert_eq!(body["status"], "healthy");
    assert!(body["version"].is_string() && body["timestamp"].is_string(), "{body}");
}

#[tokio::test]
async fn health_is_not_healthy_while_calls_would_fail() {
    let model = model(&["a lighthouse"]).await;
    let (relay, _) = before(&model).await;
    relay.drain();
    let reply = relay.stranger().get("/api/vision/health").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(
        (&reply.json()["success"], &reply.json()["status"]),
        (&json!(false), &json!("unhealthy"))
    );
}
