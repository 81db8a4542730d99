use data_encoding::BASE64;

use super::*;

fn question() -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello there"}]})
}

#[tokio::test]
async fn a_chat_completion_counts_its_tokens() {
    let scene = Scene::new().await;
    let reply = scene.bearer("/v1/chat/completions", &question()).await.json();
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let usage = &reply["usage"];
    assert_eq!(usage["prompt_tokens"], 3);
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

#[tokio::test]
async fn a_streamed_chat_ends_with_usage_if_asked_for_and_done() {
    let scene = Scene::new().await;
    let mut request = question();
    request["stream"] = json!(true);
    request["max_tokens"] = json!(2);
    request["stream_options"] = json!({"include_usage": true});
    let reply = scene.bearer("/v1/chat/completions", &request).await;
    assert!(
        reply.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let events: Vec<&str> = reply
        .text()
        .split_terminator("\n\n")
        .map(|event| &event["data: ".len()..])
        .collect();
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "This is ");
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "length");
    assert_eq!(
        (&chunks[4]["choices"], &chunks[4]["usage"]["completion_tokens"]),
        (&json!([]), &json!(2))
    );
    assert_eq!(events.last(), Some(&"[DONE]"));

    request["stream_options"] = Value::Null;
    let reply = scene.bearer("/v1/chat/completions", &request).await;
    assert!(!reply.text().contains("completion_tokens"));
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_as_base64_of_the_same_numbers() {
    let scene = Scene::new().await;
    let mut request = json!({"model": "text-embedding-3-small", "input": ["one", "two"]});
    let numbers = scene.bearer("/v1/embeddings", &request).await.json();
    assert_eq!(numbers["data"].as_array().unwrap().len(), 2);
    request["encoding_format"] = json!("base64");
    let encoded = scene.bearer("/v1/embeddings", &request).await.json();
    let bytes = BASE64
        .decode(encoded["data"][1]["embedding"].as_str().unwrap().as_bytes())
        .unwrap();
    let decoded: Vec<f32> = bytes
        .chunks(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    let plain: Vec<f32> = serde_json::from_value(numbers["data"][1]["embedding"].clone()).unwrap();
    assert_eq!(plain, decoded);
}

#[tokio::test]
async fn images_come_as_links_or_as_base64() {
    let scene = Scene::new().await;
    let mut request = json!({"model": "gpt-image-1", "prompt": "a cat", "n": 2});
    let links = scene.bearer("/v1/images/generations", &request).await.json();
    assert_eq!(links["data"].as_array().unwrap().len(), 2);
    let picture = scene.get(links["data"][0]["url"].as_str().unwrap()).await;
    request["response_format"] = json!("b64_json");
    let inline = scene.bearer("/v1/images/generations", &request).await.json();
    let decoded = BASE64
        .decode(inline["data"][1]["b64_json"].as_str().unwrap().as_bytes())
        .unwrap();
    assert_eq!(decoded, picture.body);
}

#[tokio::test]
async fn models_are_listed_and_found_by_id() {
    let scene = Scene::new().await;
    let base = format!("http://{}/v1/models", scene.host());
    let list = scene.get(&base).await.json();
    let first = list["data"][0]["id"].as_str().unwrap();
    assert_eq!(scene.get(&format!("{base}/{first}")).await.json()["id"], first);
    assert_eq!(scene.get(&format!("{base}/nobody")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_error_is_a_json_object() {
    let scene = Scene::with(|settings| {
        settings
            .bearer_keys
            .push(("team".to_owned(), Secret::new("sk_team".to_owned())));
    })
    .await;
    let ask = |token: &str, path: &str, body: &'static str| {
        let request = Request::post(format!("http://{}{path}", scene.host())).header("authorization", token);
        scene.send(request.body(Full::from(body)).unwrap())
    };
    let chat = "/v1/chat/completions";
    for (reply, status) in [
        (ask("Bearer sk_nobody", chat, "{}").await, 401),
        (ask("Bearer sk_team", chat, "{").await, 400),
        (ask("Bearer sk_team", chat, r#"{"messages":[]}"#).await, 400),
        (ask("Bearer sk_team", chat, r#"{"model":"m"}"#).await, 400),
        (ask("Bearer sk_team", "/v1/audio/speech", "{}").await, 404),
        (ask("Bearer sk_team", "/nowhere", "{}").await, 404),
        (scene.get(&format!("http://{}/media/film.avi", scene.host())).await, 404),
    ] {
        assert_eq!(reply.status, status);
        assert!(reply.json()["error"]["message"].is_string());
    }
    let accounts: Vec<_> = scene
        .imitation
        .seen()
        .recent
        .into_iter()
        .map(|sighting| sighting.account)
        .collect();
    assert_eq!(accounts[..2], [None, Some(Arc::from("team"))]);
}
