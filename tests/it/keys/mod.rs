//! Client keys over HTTP: their shapes, their life, and what they may do.

mod old;
mod rotation;

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tollgate::model::clock::Clock;
use tollgate::model::record::Event;
use tollgate::model::secret::Secret;

use crate::support::{Client, Relay, Reply, query_body, submit_body};

/// The fields that jimeng-relay's `key create` printed, and ours beside them.
const ISSUED: [&str; 10] = [
    "access_key",
    "created_at",
    "description",
    "id",
    "owner",
    "schemes",
    "scopes",
    "secret_key",
    "status",
    "expires_at",
];

#[tokio::test]
async fn a_new_key_has_the_old_relays_formats_and_shows_its_secret_once() {
    let relay = Relay::start().await;
    let body = json!({ "description": "studio", "expires_at": "2999-01-01T00:00:00Z" });
    let reply = relay.operator().post("/admin/keys", &body.to_string()).await;

    assert_eq!(reply.status, 201);
    let key = reply.json();
    assert_eq!(fields(&key), BTreeSet::from(ISSUED));
    assert!(is_named(&key["id"], "key_", 16), "{key}");
    assert!(is_named(&key["access_key"], "ak_", 16), "{key}");
    assert!(is_named(&key["secret_key"], "sk_", 32), "{key}");
    assert_eq!(key["status"], "active");
    assert_eq!(key["scopes"], json!(["relay"]));
    assert_eq!(key["schemes"], json!(["signed", "bearer"]));
    let shown = relay
        .operator()
        .get(&format!("/admin/keys/{}", text(&key["id"])))
        .await
        .json();
    assert_eq!(shown.get("secret_key"), None);
    assert_eq!(shown["expires_at"], "2999-01-01T00:00:00Z");
    assert!(shown["updated_at"].is_string());
}

#[tokio::test]
async fn a_list_is_newest_first_and_comes_in_pages() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    for name in ["one", "two", "three"] {
        operator
            .post("/admin/keys", &json!({ "description": name }).to_string())
            .await;
        relay.clock.forward(Duration::from_secs(1));
    }

    let first = operator.get("/admin/keys?limit=2").await.json();
    let next = format!("/admin/keys?limit=2&cursor={}", text(&first["next_cursor"]));
    let second = operator.get(&next).await.json();

    let names = |page: &Value| {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["description"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["three", "two"]);
    assert_eq!(names(&second), ["one"]);
    assert_eq!(second["next_cursor"], Value::Null);
    for wrong in ["limit=0", "limit=1001", "cursor=AAAA", "limit=x"] {
        assert_eq!(
            operator.get(&format!("/admin/keys?{wrong}")).await.code(),
            "VALIDATION_FAILED",
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_name_of_the_field() {
    let relay = Relay::start().await;
    for (body, param) in [
        (r#"{"expires_at":"2001-01-01T00:00:00Z"}"#, "expires_at"),
        (r#"{"expires_at":"tomorrow"}"#, "expires_at"),
        (r#"{"scopes":[]}"#, "scopes"),
        (r#"{"scopes":["root"]}"#, "scopes"),
        (r#"{"schemes":[]}"#, "schemes"),
        (r#"{"schemes":["basic"]}"#, "schemes"),
        (r#"{"limits":{"concurrency":0}}"#, "limits.concurrency"),
        (r#"{"limits":{"requests_per_minute":0}}"#, "limits.requests_per_minute"),
        (r#"{"limits":{"requests_per_day":0}}"#, "limits.requests_per_day"),
        (r#"{"limits":{"tokens_per_minute":0}}"#, "limits.tokens_per_minute"),
    ] {
        let reply = relay.operator().post("/admin/keys", body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["error"]["param"].as_str()),
            (400, Some(param)),
            "{body}"
        );
    }
    for body in ["[]", "{", r#"{"discription":"x"}"#, r#"{"limits":{"rpm":1}}"#] {
        assert_eq!(relay.operator().post("/admin/keys", body).await.status, 400, "{body}");
    }
    let form = relay.operator().header("content-type", "text/plain");
    assert_eq!(form.post("/admin/keys", "{}").await.status, 415);
    assert_eq!(relay.operator().get("/admin/keys").await.json()["items"], json!([]));
}

#[tokio::test]
async fn limits_are_kept_shown_and_handed_on_to_a_successor() {
    let limits = json!({
        "concurrency": 2, "queue": 1, "requests_per_minute": 60, "requests_per_day": 500, "tokens_per_minute": 90_000,
        "budget": { "currency": "USD", "day_microunits": 5, "month_microunits": 70 },
    });
    let relay = Relay::start().await;
    let key = create(&relay, &json!({ "limits": limits })).await;
    assert_eq!(key["limits"], limits);

    let relay = relay.stop().await.start().await;
    let path = format!("/admin/keys/{}", text(&key["id"]));
    assert_eq!(relay.operator().get(&path).await.json()["limits"], limits);
    let successor = relay.operator().post(&format!("{path}/rotate"), "{}").await.json();
    assert_eq!(successor["limits"], limits);
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_not_found() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    for id in ["key_0000000000000000", "nonsense"] {
        let path = format!("/admin/keys/{id}");
        assert_eq!(operator.get(&path).await.code(), "NOT_FOUND");
        assert_eq!(
            operator.send(Method::PATCH, &path, "{}").await.unwrap().code(),
            "NOT_FOUND"
        );
        assert_eq!(operator.post(&format!("{path}/rotate"), "{}").await.code(), "NOT_FOUND");
        assert_eq!(operator.post(&format!("{path}/revoke"), "").await.code(), "NOT_FOUND");
    }
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_null_clears() {
    let relay = Relay::start().await;
    let body = json!({ "description": "old", "models": ["a"], "limits": { "concurrency": 2, "queue": 1 } });
    let key = create(&relay, &body).await;
    let path = format!("/admin/keys/{}", text(&key["id"]));
    let change = async |body: Value| {
        relay
            .operator()
            .send(Method::PATCH, &path, &body.to_string())
            .await
            .unwrap()
            .json()
    };

    let renamed = change(json!({ "description": "new" })).await;
    assert_eq!(
        (&renamed["description"], &renamed["models"]),
        (&json!("new"), &json!(["a"]))
    );
    assert_eq!(renamed["limits"], json!({ "concurrency": 2, "queue": 1 }));
    let cleared = change(json!({ "models": null, "limits": null, "expires_at": null })).await;
    assert_eq!((cleared.get("models"), cleared.get("limits")), (None, None));
    assert_eq!(cleared["secret_key"], Value::Null);
}

#[tokio::test]
async fn a_key_is_presented_only_as_its_schemes_allow() {
    let relay = Relay::start().await;
    let now = relay.clock.wall();
    for (scheme, bearer, signed) in [("signed", 401, 200), ("bearer", 200, 401)] {
        let key = create(&relay, &json!({ "schemes": [scheme] })).await;
        let client = client_of(&relay, &key);
        assert_eq!(client.get("/v1/key").await.status, bearer, "{scheme}");
        assert_eq!(
            client.signing(now, "GET", "/v1/key", "").get("/v1/key").await.status,
            signed,
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn a_key_names_only_its_models() {
    let relay = Relay::start().await;
    let key = create(&relay, &json!({ "models": ["jimeng_t2i_v40"] })).await;
    let client = holder(&relay, &key);

    assert_eq!(client.submit(&submit_body("allowed")).await.status, 200);
    let other = client.submit(r#"{"req_key":"jimeng_i2v","marker":"denied"}"#).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (403, "MODEL_DENIED"));
    for unnamed in [
        r#"{"prompt":"x","marker":"denied"}"#,
        "not json",
        r#"{"req_key":1,"marker":"denied"}"#,
    ] {
        let reply = client.submit(unnamed).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "VALIDATION_FAILED"),
            "{unnamed}"
        );
    }
    assert_eq!((relay.seen("allowed"), relay.seen("denied")), (1, 0));
}

#[tokio::test]
async fn every_change_of_a_key_is_in_the_log_book_with_its_actor_and_request() {
    let relay = Relay::start().await;
    let key = create(&relay, &json!({})).await;
    let path = format!("/admin/keys/{}", text(&key["id"]));
    relay
        .operator()
        .send(Method::PATCH, &path, r#"{"description":"x"}"#)
        .await
        .unwrap();
    let rotated = relay.operator().post(&format!("{path}/rotate"), "{}").await;
    relay.operator().post(&format!("{path}/revoke"), "").await;

    let told: Vec<_> = relay
        .log_book()
        .into_iter()
        .filter_map(|(_, entry)| match entry.event {
            Event::Admin(action) => Some(action),
            _ => None,
        })
        .collect();
    let actions: Vec<_> = told.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(
        actions,
        ["key.create", "key.update", "key.rotate", "key.create", "key.revoke"]
    );
    assert!(told.iter().all(|action| action.actor == "admin_token"));
    assert_eq!(told[3].target, rotated.json()["id"]);
    assert_eq!(
        told[2].request.unwrap().to_string(),
        rotated.header("x-request-id").unwrap()
    );
}

#[tokio::test]
async fn a_signed_admin_request_is_accepted_once() {
    let relay = Relay::start().await;
    let admin = relay.admin().await;
    relay.clock.forward(Duration::from_secs(1));
    let signed = admin.signing(relay.clock.wall(), "POST", "/admin/keys", r#"{"scopes":["admin"]}"#);

    let first = signed.post("/admin/keys", r#"{"scopes":["admin"]}"#).await;
    let second = signed.post("/admin/keys", r#"{"scopes":["admin"]}"#).await;

    assert_eq!(first.status, 201);
    assert_eq!((second.status.as_u16(), second.code().as_str()), (401, "AUTH_FAILED"));
    // On the data plane a repeat within five minutes is allowed, as it was.
    let own = relay
        .client("data")
        .await
        .signing(relay.clock.wall(), "GET", "/v1/key", "");
    for _ in 0..2 {
        assert_eq!(own.get("/v1/key").await.status, 200);
    }
}

async fn create(relay: &Relay, body: &Value) -> Value {
    let reply: Reply = relay.operator().post("/admin/keys", &body.to_string()).await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

/// Somebody who shows the secret of a key as it was answered.
fn holder(relay: &Relay, key: &Value) -> Client {
    relay.stranger().header("x-api-key", text(&key["secret_key"]))
}

/// A client that can sign with a key as it was answered.
fn client_of(relay: &Relay, key: &Value) -> Client {
    let id = text(&key["id"]).parse().unwrap();
    let issued = tollgate::auth::Issued {
        key: relay.services().directory.get(id).unwrap(),
        secret: Secret::new(text(&key["secret_key"]).to_owned()),
    };
    relay.client_of(issued)
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn is_named(value: &Value, prefix: &str, length: usize) -> bool {
    let rest = text(value).strip_prefix(prefix).unwrap_or_default();
    rest.len() == length
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
