//! Which model is asked, and who may use it.

use super::*;

async fn register(relay: &Relay, name: &str, model: &Value) {
    let path = format!("/admin/models/{name}");
    let reply = relay.operator().send(Method::PUT, &path, &model.to_string()).await;
    assert_eq!(reply.as_ref().unwrap().status, 200, "{reply:?}");
}

/// A client whose key may use only these models.
async fn client_of_models(relay: &Relay, models: &[&str]) -> Client {
    let spec = KeySpec {
        description: "bound".to_owned(),
        expires_at: None,
        scopes: Scopes::of([Scope::Relay]),
        schemes: Schemes::all(),
        models: Some(models.iter().map(|&model| model.to_owned()).collect()),
        limits: Limits::default(),
    };
    relay.client_of(relay.issue(spec).await)
}

/// Names of the models that a client sees.
async fn listed(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap().iter();
    // The others make pictures and films.
    let of_openai = models.filter(|model| model["owned_by"] != "volcengine");
    of_openai
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn for_an_alias_only_the_models_name_changes() {
    let (relay, alice, upstream) = answered().await;
    let target = json!({"targets": [{"upstream": "openai", "model": "vendor/real-1"}]});
    register(&relay, "small", &target).await;

    alice
        .post(CHAT, "{ \"x\":1.50,\"model\" : \"small\" ,\"messages\":[ {} ] }")
        .await;

    assert_eq!(
        bodies(&upstream),
        ["{ \"x\":1.50,\"model\" : \"vendor/real-1\" ,\"messages\":[ {} ] }"]
    );
}

#[tokio::test]
async fn no_name_of_the_limit_of_tokens_passes_the_models_cap() {
    let (relay, alice, upstream) = answered().await;
    let capped = json!({"targets": [{"upstream": "openai", "model": "m"}], "max_tokens": 100});
    register(&relay, "m", &capped).await;
    let body = |name: &str, tokens: u32| format!(r#"{{"model":"m","{name}":{tokens}}}"#);
    let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

    for name in names {
        alice.post("/v1/responses", &body(name, 4000)).await;
    }

    assert_eq!(bodies(&upstream), names.map(|name| body(name, 100)));
}

#[tokio::test]
async fn a_call_that_names_no_model_gets_the_default() {
    let upstream = saying("200 OK", &[JSON], REPLY).await;
    let relay = Relay::build()
        .openai_at(upstream.address)
        .with("DEFAULT_MODEL", "house-model")
        .start()
        .await;
    let alice = relay.client("alice").await;

    let reply = alice.post(CHAT, r#"{"messages":[{}]}"#).await;

    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(bodies(&upstream), [r#"{"model":"house-model","messages":[{}]}"#]);
}

#[tokio::test]
async fn an_unknown_model_passes_or_not_as_the_operator_says() {
    let upstream = saying("200 OK", &[JSON], REPLY).await;
    for (rule, status) in [("pass", 200), ("refuse", 404)] {
        let relay = Relay::build()
            .openai_at(upstream.address)
            .with("UNKNOWN_MODELS", rule)
            .start()
            .await;
        let reply = relay.client("alice").await.post(CHAT, &chat("new-today")).await;
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        if status == 404 {
            reply.assert_error(404, "MODEL_NOT_FOUND");
            assert_eq!(reply.json()["error"]["param"], "model");
            assert!(relay.intents().is_empty());
        }
    }
    assert_eq!(upstream.heard().len(), 1);
}

#[tokio::test]
async fn a_key_uses_and_sees_only_its_models() {
    let (relay, alice, upstream) = answered().await;
    let target = json!({"targets": [{"upstream": "openai", "model": "m"}]});
    for name in ["small", "large", "vendor%2Fhuge"] {
        register(&relay, name, &target).await;
    }
    let bound = client_of_models(&relay, &["small", "vendor/huge"]).await;

    let denied = bound.post(CHAT, &chat("large")).await;

    denied.assert_error(403, "MODEL_DENIED");
    assert!(upstream.heard().is_empty());
    assert_eq!(bound.post(CHAT, &chat("small")).await.status, 200);
    assert_eq!(listed(&bound).await, ["small", "vendor/huge"]);
    assert_eq!(listed(&alice).await, ["large", "small", "vendor/huge"]);
    bound.get("/v1/models/large").await.assert_error(404, "MODEL_NOT_FOUND");
}

#[tokio::test]
async fn a_model_is_shown_whether_its_slashes_stand_as_they_are_or_escaped() {
    let (relay, alice, _upstream) = answered().await;
    let model =
        json!({"targets": [{"upstream": "openai", "model": "m"}], "context_length": 128_000, "max_tokens": 900});
    register(&relay, "vendor%2Fline%2Fmodel-1", &model).await;
    register(&relay, "plain", &model).await;
    for (path, id) in [
        ("vendor/line/model-1", "vendor/line/model-1"),
        ("vendor%2Fline%2fmodel-1", "vendor/line/model-1"),
        ("plain", "plain"),
    ] {
        let shown = alice.get(&format!("/v1/models/{path}")).await;
        assert_eq!(shown.status, 200, "{path}: {shown:?}");
        let shown = shown.json();
        assert_eq!((&shown["id"], &shown["object"]), (&json!(id), &json!("model")));
        assert_eq!(shown["owned_by"], "openai");

        let info = alice.get(&format!("/v1/models/{path}/info")).await;
        assert_eq!(
            info.json(),
            json!({
                "id": id, "context_length": 128_000, "context_length_formatted": "128K", "usable_limit": 115_200,
                "max_tokens": 900,
            })
        );
    }
    alice
        .get("/v1/models/vendor/line")
        .await
        .assert_error(404, "MODEL_NOT_FOUND");
}

#[tokio::test]
async fn a_question_that_fills_the_context_is_refused_before_it_costs_anything() {
    let (relay, alice, upstream) = answered().await;
    let model = json!({"targets": [{"upstream": "openai", "model": "m"}], "context_length": 100});
    register(&relay, "short", &model).await;
    let long = format!(
        r#"{{"model":"short","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "word ".repeat(200)
    );

    let reply = alice.post(CHAT, &long).await;

    reply.assert_error(400, "context_length_exceeded");
    assert!(upstream.heard().is_empty() && relay.intents().is_empty());
}
