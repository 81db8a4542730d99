use data_encoding::BASE64;

use super::*;

#[tokio::test]
async fn a_chat_completion_counts_its_tokens() {
    let scene = Scene::new().await;
    let reply = scene.bearer(CHAT, &question("Hello there")).await.json();
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
    let mut request = streamed("Hello there");
    request["max_tokens"] = json!(2);
    request["stream_options"] = json!({"include_usage": true});
    let reply = scene.bearer(CHAT, &request).await;
    assert!(
        reply.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let chunks = reply.events();
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
    assert_eq!(chunks[0]["usage"], Value::Null);
    assert!(reply.text().ends_with("}\n\ndata: [DONE]\n\n"));

    request["stream_options"] = Value::Null;
    let reply = scene.bearer(CHAT, &request).await;
    assert!(!reply.text().contains("usage"));
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
    let mut request = json!({"model": "wanx-v1", "prompt": "a cat", "n": 2});
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
    for id in ["deepseek-ai/deepseek-v3.1", "deepseek-ai%2Fdeepseek-v3.1"] {
        let found = scene.get(&format!("{base}/{id}")).await.json();
        assert_eq!(found["id"], "deepseek-ai/deepseek-v3.1");
    }
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
    for (reply, status) in [
        (ask("Bearer sk_nobody", CHAT, "{}").await, 401),
        (
            ask("Bearer sk_team", CHAT, r#"{"model":"missing-1","messages":[1]}"#).await,
            404,
        ),
        (ask("Bearer sk_team", CHAT, r#"{"model":"m","messages":[]}"#).await, 400),
        (ask("Bearer sk_team", CHAT, "{").await, 400),
        (ask("Bearer sk_team", CHAT, r#"{"messages":[]}"#).await, 400),
        (ask("Bearer sk_team", CHAT, r#"{"model":"m"}"#).await, 400),
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

fn weather_tool() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": "weather", "parameters": parameters}})
}

#[tokio::test]
async fn offered_tools_are_called_and_their_answer_is_heard() {
    let scene = Scene::new().await;
    let mut request = question("How is the weather?");
    request["tools"] = json!([weather_tool()]);
    let whole = scene.bearer(CHAT, &request).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &whole["choices"][0]["finish_reason"]),
        (&Value::Null, &json!("tool_calls"))
    );
    let function = &message["tool_calls"][0]["function"];
    assert_eq!(
        function,
        &json!({"name": "weather", "arguments": r#"{"city":"sandbox"}"#})
    );

    request["stream"] = json!(true);
    let chunks = scene.bearer(CHAT, &request).await.events();
    let arguments: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, r#"{"city":"sandbox"}"#);

    request["stream"] = json!(false);
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(message.clone());
    messages.push(json!({"role": "tool", "tool_call_id": "call_1", "content": "rain"}));
    let answered = scene.bearer(CHAT, &request).await.json();
    assert_eq!(answered["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn pictures_are_acknowledged_by_type_and_size() {
    let scene = Scene::new().await;
    let see = |url: &str| {
        let mut request = question("");
        request["messages"][0]["content"] =
            json!([{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]);
        request
    };
    let said = |reply: &Reply| {
        reply.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let inline = scene.bearer(CHAT, &see("data:image/png;base64,AAAA")).await;
    assert_eq!(said(&inline), "I see 1 picture(s): image/png of 3 bytes.");
    let link = scene.bearer(CHAT, &see("https://example.com/a.png?b=c")).await;
    assert_eq!(said(&link), "I see 1 picture(s): a link to example.com.");
    for wrong in ["data:image/png;base64,A_", "file:///etc/passwd", "AAAA"] {
        let refused = scene.bearer(CHAT, &see(wrong)).await;
        assert_eq!(refused.json()["error"]["code"], "invalid_image_format", "{wrong}");
    }
}

#[tokio::test]
async fn the_older_completions_come_at_once_or_as_a_stream() {
    let scene = Scene::new().await;
    let mut request = json!({"model": "m", "prompt": "Once upon", "max_tokens": 2});
    let whole = scene.bearer("/v1/completions", &request).await.json();
    assert_eq!(
        (
            &whole["object"],
            &whole["choices"][0]["text"],
            &whole["choices"][0]["finish_reason"]
        ),
        (&json!("text_completion"), &json!("This is "), &json!("length"))
    );
    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    let chunks = scene.bearer("/v1/completions", &request).await.events();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(said, "This is ");
    let last = chunks.last().unwrap();
    assert_eq!(
        (&last["choices"], &last["usage"]["completion_tokens"]),
        (&json!([]), &json!(2))
    );
}

#[tokio::test]
async fn responses_come_at_once_or_as_numbered_events_with_names() {
    let scene = Scene::new().await;
    let mut request = json!({"model": "m", "input": "Hello"});
    let whole = scene.bearer("/v1/responses", &request).await.json();
    let text = whole["output"][0]["content"][0]["text"].as_str().unwrap();
    assert_eq!(
        (&whole["status"], text.starts_with("This is")),
        (&json!("completed"), true)
    );

    request["stream"] = json!(true);
    let reply = scene.bearer("/v1/responses", &request).await;
    assert!(reply.text().starts_with("event: response.created\ndata: "));
    let events = reply.events();
    let said: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(said, text);
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"], whole["usage"]);

    request["tools"] = json!([{"type": "function", "name": "weather", "parameters": {"type": "object"}}]);
    let events = scene.bearer("/v1/responses", &request).await.events();
    let item = &events.last().unwrap()["response"]["output"][0];
    assert_eq!(
        (&item["type"], &item["name"], &item["arguments"]),
        (&json!("function_call"), &json!("weather"), &json!("{}"))
    );
}
