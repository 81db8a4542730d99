//! Models by their names, which may hold slashes: written as they are, or as `%2F`.

use http::Method;
use serde_json::json;

use crate::support::{Client, Relay};

/// Both spellings of one name.
const SPELLINGS: [&str; 2] = ["acme/seer/v2", "acme%2Fseer%2Fv2"];
const NAME: &str = "acme/seer/v2";

/// A relay that knows the model, and a client of it.
async fn knowing() -> (Relay, Client) {
    let relay = Relay::build()
        .with("CORS_ORIGINS", "*")
        .with_openai_upstreams()
        .start()
        .await;
    let model = json!({ "targets": [{ "upstream": "openai", "model": "seer" }], "context_length": 8000 });
    let registered = relay
        .operator()
        .send(
            Method::PUT,
            &format!("/admin/models/{}", SPELLINGS[1]),
            &model.to_string(),
        )
        .await
        .unwrap();
    assert_eq!(registered.status, 200, "{registered:?}");
    let client = relay.client("seer").await;
    (relay, client)
}

#[tokio::test]
async fn a_model_is_shown_under_both_spellings_of_its_name() {
    let (_relay, client) = knowing().await;
    for name in SPELLINGS {
        let shown = client.get(&format!("/v1/models/{name}")).await;
        let info = client.get(&format!("/v1/models/{name}/info")).await;
        assert_eq!((shown.status.as_u16(), &shown.json()["id"]), (200, &json!(NAME)));
        assert_eq!((info.status.as_u16(), &info.json()["id"]), (200, &json!(NAME)));
        assert_eq!(info.json()["usable_limit"], 7200);
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_is_not_found_under_either_spelling() {
    let (_relay, client) = knowing().await;
    for path in ["acme/other", "acme%2Fother", "acme/other/info", "acme%2Fother/info"] {
        let reply = client.get(&format!("/v1/models/{path}")).await;
        reply.assert_error(404, "MODEL_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_signature_counts_over_the_address_as_it_was_sent() {
    let (relay, client) = knowing().await;
    for name in SPELLINGS {
        let path = format!("/v1/models/{name}");
        let reply = client.signing(relay.wall(), "GET", &path, "").get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn a_head_and_a_wrong_method_find_the_route_of_both_spellings() {
    let (_relay, client) = knowing().await;
    for name in SPELLINGS {
        for path in [format!("/v1/models/{name}"), format!("/v1/models/{name}/info")] {
            let head = client.send(Method::HEAD, &path, "").await.unwrap();
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
            let asked = client.send(Method::OPTIONS, &path, "").await.unwrap();
            asked.assert_error(405, "METHOD_NOT_ALLOWED");
            assert_eq!(asked.header("allow"), Some("GET, HEAD"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_page_may_ask_for_both_spellings() {
    let (relay, _) = knowing().await;
    let page = relay
        .stranger()
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    for name in SPELLINGS {
        for path in [format!("/v1/models/{name}"), format!("/v1/models/{name}/info")] {
            let reply = page.send(Method::OPTIONS, &path, "").await.unwrap();
            assert_eq!(reply.status, 204, "{path}: {reply:?}");
            let methods = reply.header("access-control-allow-methods").unwrap();
            assert!(methods.split(", ").any(|method| method == "GET"), "{path}: {methods}");
        }
    }
}

#[tokio::test]
async fn the_operator_changes_a_model_under_both_spellings() {
    let (relay, client) = knowing().await;
    let operator = relay.operator();
    for name in SPELLINGS {
        let path = format!("/admin/models/{name}");
        let model = json!({ "targets": [{ "upstream": "openai", "model": name }] }).to_string();
        let put = operator.send(Method::PUT, &path, &model).await.unwrap();
        assert_eq!((put.status.as_u16(), &put.json()["id"]), (200, &json!(NAME)));
        assert_eq!(operator.get(&path).await.json()["targets"][0]["model"], name);
        let removed = operator.send(Method::DELETE, &path, "").await.unwrap();
        assert_eq!(removed.status, 200, "{removed:?}");
        assert_eq!(operator.get(&path).await.status, 404);
        assert_eq!(client.get(&format!("/v1/models/{name}")).await.status, 404);
    }
}

#[tokio::test]
async fn metrics_tell_such_calls_by_their_route() {
    let (relay, client) = knowing().await;
    client.get(&format!("/v1/models/{NAME}/info")).await;
    let metrics = relay.stranger().get("/metrics").await.text();
    assert!(metrics.contains(r#"route="/v1/models/{id}/info""#), "{metrics}");
    assert!(!metrics.contains("acme"), "a name would be a series of its own");
}
