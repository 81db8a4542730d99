//! Promise 8: nothing is anonymous but what is meant to be, and nobody learns of another's things.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tollgate::api::console::Console;
use tollgate::auth::KeySpec;
use tollgate::model::clock::Clock;
use tollgate::model::key::{Limits, Schemes, Scope, Scopes};

use crate::support::{Client, Relay, Reply, document_operations, query_body, submit_body};

/// What anybody may ask, beside the files of the console. `/metrics` has rules of its own.
const OPEN: [&str; 6] = [
    "/health",
    "/ready",
    "/api/vision/health",
    "/docs",
    "/openapi.json",
    "/console",
];

/// One operation of the document, ready to be asked for.
struct Route {
    method: Method,
    path: String,
    needs: Scope,
    documented: Vec<u16>,
}

impl Route {
    /// Every operation that is not open.
    fn guarded() -> Vec<Self> {
        let document: Value = serde_json::from_str(&tollgate::api::document()).unwrap();
        let operations = document_operations(&document);
        let guarded = operations.filter(|(path, ..)| !OPEN.contains(&path.as_str()) && path != "/metrics");
        let route = |(path, method, operation): (String, Method, &Value)| {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let query = if path == "/" {
                "?Action=CVProcess&Version=2022-08-31"
            } else {
                ""
            };
            Self {
                needs: match path.as_str() {
                    admin if admin.starts_with("/admin") => Scope::Admin,
                    jobs if jobs.starts_with("/v1/jobs") => Scope::Jobs,
                    _ => Scope::Relay,
                },
                documented: statuses.map(|status| status.parse().unwrap()).collect(),
                path: path.replace("{id}", "1") + query,
                method,
            }
        };
        guarded.map(route).collect()
    }

    /// Asks, and sees to it that the answer is one that the document names.
    async fn ask(&self, client: &Client) -> Reply {
        let body = if self.method == Method::GET { "" } else { "{}" };
        let reply = client.send(self.method.clone(), &self.path, body).await.unwrap();
        let status = reply.status.as_u16();
        assert!(
            self.documented.contains(&status),
            "{} {}: {status} is not documented",
            self.method,
            self.path
        );
        // What the upstream refuses passes as it is.
        if status >= 400 && self.path.starts_with("/admin") {
            assert_eq!(
                reply.json()["error"]["request_id"],
                reply.header("x-request-id").unwrap()
            );
        }
        reply
    }

    async fn refuses(&self, client: &Client, status: u16, code: &str) {
        let reply = self.ask(client).await;
        let place = format!("{} {}", self.method, self.path);
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (status, code),
            "{place}"
        );
    }
}

#[tokio::test]
async fn nothing_else_answers_without_a_key() {
    let relay = Relay::start().await;
    for path in OPEN {
        assert_eq!(relay.stranger().get(path).await.status, 200, "{path}");
    }
    for path in Console::paths() {
        assert_eq!(relay.stranger().get(&path).await.status, 200, "{path}");
    }
    let routes = Route::guarded();
    assert!(routes.len() >= 17);
    for route in routes {
        route.refuses(&relay.stranger(), 401, "AUTH_FAILED").await;
        route
            .refuses(
                &relay.stranger().header("authorization", "Bearer sk_wrong"),
                401,
                "AUTH_FAILED",
            )
            .await;
        route
            .refuses(&relay.stranger().header("x-api-key", "sk_wrong"), 401, "AUTH_FAILED")
            .await;
    }
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_everywhere_and_one_with_it_nowhere() {
    let relay = Relay::start().await;
    for scope in Scope::ALL {
        let client = relay.client_with("scope", [*scope]).await;
        for route in Route::guarded() {
            if route.needs == *scope {
                let reply = route.ask(&client).await;
                let is_let_in =
                    reply.status != 401 && !String::from_utf8_lossy(&reply.body).contains("lacks the scope");
                assert!(is_let_in, "{} {}", route.method, route.path);
            } else {
                route.refuses(&client, 403, "SCOPE_DENIED").await;
            }
        }
    }
}

#[tokio::test]
async fn the_operators_token_administers_and_relays_nothing() {
    let relay = Relay::start().await;
    for route in Route::guarded() {
        let reply = route.ask(&relay.operator()).await;
        assert_eq!(
            reply.status == 403,
            route.needs != Scope::Admin,
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    let relay = Relay::start().await;
    let client = relay.client_with("revoked", Scope::ALL.iter().copied()).await;
    relay
        .operator()
        .post(&format!("/admin/keys/{}/revoke", client.issued().key.id), "")
        .await;
    for route in Route::guarded() {
        route.refuses(&client, 401, "KEY_REVOKED").await;
    }
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let relay = Relay::start().await;
    let client = expiring(&relay).await;
    relay.clock.forward(Duration::from_hours(2));
    for route in Route::guarded() {
        route.refuses(&client, 401, "KEY_EXPIRED").await;
    }
}

#[tokio::test]
async fn the_state_of_a_key_is_told_only_to_its_holder() {
    let relay = Relay::start().await;
    let (revoked, expired) = (relay.client("revoked").await, expiring(&relay).await);
    relay
        .operator()
        .post(&format!("/admin/keys/{}/revoke", revoked.issued().key.id), "")
        .await;
    relay.clock.forward(Duration::from_hours(2));
    let now = relay.clock.wall();
    for (client, code) in [(revoked, "KEY_REVOKED"), (expired, "KEY_EXPIRED")] {
        let signed = client.signing(now, "POST", "/v1/submit", "{}");
        assert_eq!(signed.post("/v1/submit", "{}").await.code(), code);
        // The same signature over another body proves nothing, and is told nothing.
        assert_eq!(
            signed.post("/v1/submit", r#"{"other":1}"#).await.code(),
            "INVALID_SIGNATURE"
        );
    }
}

#[tokio::test]
async fn another_owners_task_does_not_exist() {
    let relay = Relay::start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    let task = alice.submit(&submit_body("census")).await.task_id();

    for path in [
        "/v1/get-result",
        "/?Action=CVSync2AsyncGetResult&Version=2022-08-31",
        "/?Action=CVGetResult&Version=2022-08-31",
        "/?Action=CVCancelTask&Version=2024-06-06",
    ] {
        let reply = bob.post(path, &query_body(&task)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (404, "NOT_FOUND"),
            "{path}"
        );
    }
    assert_eq!(alice.query(&query_body(&task)).await.status, 200);
    assert_eq!(bob.get("/v1/tasks").await.json()["items"], serde_json::json!([]));
    assert_eq!(alice.get("/v1/tasks").await.json()["items"][0]["task_id"], task);
}

#[tokio::test]
async fn another_owners_cursor_leads_nowhere() {
    let relay = Relay::start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    for _ in 0..2 {
        alice.submit(&submit_body("census-page")).await;
    }
    let page = alice.get("/v1/tasks?limit=1").await.json();
    let next = format!("/v1/tasks?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(bob.get(&next).await.code(), "VALIDATION_FAILED");
    assert_eq!(alice.get(&next).await.status, 200);
}

#[tokio::test]
async fn another_owners_idempotency_key_is_another_key() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let bob = relay.client("bob").await.idempotent("order-1");
    let (first, second) = (
        alice.submit(&submit_body("own")).await,
        bob.submit(&submit_body("own")).await,
    );
    assert_eq!(second.header("idempotency-replayed"), None);
    assert_ne!(first.task_id(), second.task_id());
    assert_eq!(relay.seen("own"), 2);
}

#[tokio::test]
async fn everybodys_own_key_is_their_own() {
    let relay = Relay::start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    assert_eq!(
        alice.get("/v1/key").await.json()["id"],
        alice.issued().key.id.to_string()
    );
    assert_eq!(bob.get("/v1/key").await.json()["description"], "bob");
}

#[tokio::test]
async fn an_admin_key_makes_no_key_that_may_do_more_than_itself() {
    let relay = Relay::start().await;
    let admin = relay.admin().await;
    let own = admin.issued().key.id.to_string();
    for (path, method, body) in [
        ("/admin/keys".to_owned(), Method::POST, "{}"),
        ("/admin/keys".to_owned(), Method::POST, r#"{"scopes":["relay"]}"#),
        ("/admin/keys".to_owned(), Method::POST, r#"{"scopes":["admin","jobs"]}"#),
        (
            format!("/admin/keys/{own}"),
            Method::PATCH,
            r#"{"scopes":["admin","relay"]}"#,
        ),
    ] {
        let reply = admin.send(method, &path, body).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (403, "SCOPE_DENIED"),
            "{path} {body}"
        );
        assert_eq!(reply.json()["error"]["param"], "scopes");
    }
    assert_eq!(admin.post("/admin/keys", r#"{"scopes":["admin"]}"#).await.status, 201);
}

#[tokio::test]
async fn an_admin_key_hands_on_none_of_what_its_own_limits_forbid() {
    let relay = Relay::start().await;
    let scopes = r#""scopes":["admin"]"#;
    let made = format!(r#"{{{scopes},"schemes":["bearer"],"models":["a"],"limits":{{"concurrency":1}}}}"#);
    let made = relay.operator().post("/admin/keys", &made).await.json();
    let narrow = relay
        .stranger()
        .header("x-api-key", made["secret_key"].as_str().unwrap());
    for (wider, field) in [
        (r#""models":["a"],"limits":{"concurrency":1}"#, "schemes"),
        (r#""schemes":["bearer"],"limits":{"concurrency":1}"#, "models"),
        (
            r#""schemes":["bearer"],"models":["a","b"],"limits":{"concurrency":1}"#,
            "models",
        ),
        (r#""schemes":["bearer"],"models":["a"]"#, "limits"),
        (
            r#""schemes":["bearer"],"models":["a"],"limits":{"concurrency":2}"#,
            "limits",
        ),
    ] {
        let reply = narrow.post("/admin/keys", &format!("{{{scopes},{wider}}}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["error"]["param"].as_str()),
            (403, Some(field)),
            "{wider}"
        );
    }
}

#[tokio::test]
async fn metrics_want_their_token_where_there_is_one() {
    let relay = Relay::build()
        .with("METRICS_TOKEN", "a-token-for-prometheus")
        .start()
        .await;
    let bearer = |token: &str| relay.stranger().header("authorization", &format!("Bearer {token}"));
    assert_eq!(relay.stranger().get("/metrics").await.status, 401);
    assert_eq!(bearer("another-token").get("/metrics").await.status, 401);
    assert_eq!(relay.client("relay").await.get("/metrics").await.status, 401);
    assert_eq!(relay.operator().get("/metrics").await.status, 401);
    assert_eq!(bearer("a-token-for-prometheus").get("/metrics").await.status, 200);
    // It opens nothing else.
    assert_eq!(bearer("a-token-for-prometheus").get("/admin/info").await.status, 401);
}

#[tokio::test]
async fn metrics_without_a_token_are_for_neighbours_that_came_straight() {
    let relay = Relay::start().await;
    assert_eq!(relay.stranger().get("/metrics").await.status, 200);
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-real-ip",
        "fly-client-ip",
    ] {
        let proxied = relay.stranger().header(name, "127.0.0.1");
        assert_eq!(proxied.get("/metrics").await.status, 401, "{name}");
    }
    let behind = Relay::build().with("TRUSTED_PROXY_HOPS", "1").start().await;
    assert_eq!(behind.stranger().get("/metrics").await.status, 401);
}

/// A client with every scope whose key expires in an hour.
async fn expiring(relay: &Relay) -> Client {
    let spec = KeySpec {
        description: "expiring".to_owned(),
        expires_at: Some(relay.clock.wall().plus(Duration::from_hours(1))),
        scopes: Scopes::all(),
        schemes: Schemes::all(),
        models: None,
        limits: Limits::default(),
    };
    relay.client_of(relay.issue(spec).await)
}
