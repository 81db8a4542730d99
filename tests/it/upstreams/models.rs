//! Where models lead, and what cannot be.

use super::*;

#[tokio::test]
async fn a_model_leads_where_it_is_put_and_one_of_ours_comes_back_when_its_replacement_goes() {
    let relay = Relay::build()
        .with("MEGALLM_BASE_URL", "http://127.0.0.1:9/v1")
        .start()
        .await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    let path = "/admin/models/qwen%2Fqwen3-next-80b-a3b-instruct";
    let body = json!({
        "targets": [
            { "upstream": "local", "model": "qwen3", "weight": 3 },
            { "upstream": "megallm", "model": "qwen/qwen3-next-80b-a3b-instruct" },
        ],
        "context_length": 32_000,
        "max_tokens": 4_000,
        "price": { "currency": "USD", "input": 150_000, "output": 600_000 },
    });

    let put = operator
        .send(Method::PUT, path, &body.to_string())
        .await
        .unwrap()
        .json();
    let in_use = delete(&operator, "/admin/upstreams/local").await;
    let shown = operator.get(path).await.json();
    let relay = relay.stop().await.start().await;
    let kept = relay.operator().get(path).await.json();
    let removed = delete(&relay.operator(), path).await;
    let ours = relay.operator().get(path).await.json();

    let mut expected = body;
    expected["id"] = json!("qwen/qwen3-next-80b-a3b-instruct");
    expected["source"] = json!("store");
    assert_eq!((&put, &shown, &kept), (&expected, &expected, &expected));
    assert!(in_use.text().contains("leads there"), "{in_use:?}");
    assert_eq!(removed.json()["status"], "removed");
    assert_eq!(
        (&ours["context_length"], &ours["source"]),
        (&json!(262_000), &json!("environment"))
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_name_of_the_field() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    let upstream = |field: &str, value: Value| {
        let mut body = upstream_body("other");
        body[field] = value;
        ("/admin/upstreams", Method::POST, body)
    };
    let account = |body: Value| ("/admin/upstreams/local/accounts", Method::POST, body);
    let model = |body: Value| ("/admin/models/small", Method::PUT, body);
    let target = json!({ "upstream": "local", "model": "tiny" });
    let cases = [
        (upstream("id", json!("Other")), "id"),
        (upstream("base_url", json!("https://user:pass-canary@host")), "base_url"),
        (upstream("base_url", json!("ftp://host")), "base_url"),
        (upstream("base_url", json!("https://host?x=1")), "base_url"),
        (upstream("base_url", json!("https://host/#x")), "base_url"),
        (upstream("timeout_seconds", json!(0)), "timeout_seconds"),
        (upstream("max_attempts", json!(101)), "max_attempts"),
        (account(json!({ "credential": "" })), "credential"),
        (account(json!({ "credential": "two words" })), "credential"),
        (account(json!({ "credential": "x", "weight": 0 })), "weight"),
        (account(json!({ "credential": "x", "weight": 1001 })), "weight"),
        (model(json!({ "targets": [] })), "targets"),
        (
            model(json!({ "targets": [{ "upstream": "nobody", "model": "x" }] })),
            "targets.upstream",
        ),
        (
            model(json!({ "targets": [{ "upstream": "volcengine", "model": "x" }] })),
            "targets.model",
        ),
        (
            model(json!({ "targets": [{ "upstream": "volcengine", "model": "t2v-720" }, target] })),
            "targets",
        ),
        (
            model(json!({ "targets": [{ "upstream": "local", "model": "" }] })),
            "targets.model",
        ),
        (
            model(json!({ "targets": [target], "context_length": 0 })),
            "context_length",
        ),
        (
            model(json!({ "targets": [target], "price": { "currency": "usd", "input": 1, "output": 1 } })),
            "price.currency",
        ),
    ];
    for ((path, method, body), param) in cases {
        let reply = operator.send(method, path, &body.to_string()).await.unwrap();
        reply.assert_error(400, "VALIDATION_FAILED");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
        assert!(!reply.text().contains("canary"), "{reply:?}");
    }
    for (path, body) in [
        ("/admin/upstreams", upstream_body("local")),
        ("/admin/upstreams", upstream_body("volcengine")),
    ] {
        operator
            .post(path, &body.to_string())
            .await
            .assert_error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    for path in [
        "/admin/upstreams/nobody/accounts",
        "/admin/upstreams/No-Body/accounts",
        "/admin/models/nothing",
    ] {
        operator.get(path).await.assert_error(404, "NOT_FOUND");
    }
    for path in [
        "/admin/upstreams/nobody",
        "/admin/upstreams/local/accounts/acc_0000000000000000",
        "/admin/upstreams/local/accounts/nonsense",
        "/admin/models/nothing",
    ] {
        delete(&operator, path).await.assert_error(404, "NOT_FOUND");
    }
    let path = "/admin/upstreams/local/accounts/acc_0000000000000000/enable";
    operator.post(path, "").await.assert_error(404, "NOT_FOUND");
}
