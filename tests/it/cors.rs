//! Browsers: which pages may read answers, and what every answer tells a browser to beware of.

use http::Method;

use crate::support::{Client, Relay, Reply, submit_body};

const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

async fn relay(origins: &str) -> Relay {
    Relay::build().with("CORS_ORIGINS", origins).start().await
}

fn page(client: &Client, origin: &str) -> Client {
    client.header("origin", origin)
}

/// What a browser asks before a page of `origin` posts with a key.
async fn preflight(relay: &Relay, origin: &str, path: &str) -> Reply {
    page(&relay.stranger(), origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,idempotency-key,x-api-key,x-request-id,x-stainless-os,x-forwarded-for",
        )
        .send(Method::OPTIONS, path, "")
        .await
        .unwrap()
}

fn allowed(reply: &Reply) -> Option<&str> {
    reply.header("access-control-allow-origin")
}

#[tokio::test]
async fn a_star_lets_every_page_read_every_answer_and_never_with_credentials() {
    let relay = relay("*").await;
    let alice = relay.client("alice").await;

    let good = page(&alice, APP).submit(&submit_body("cors-1")).await;
    let refused = page(&relay.stranger(), APP).get("/v1/tasks").await;
    let missing = page(&relay.stranger(), APP).get("/v1/nothing").await;

    assert_eq!(
        [&good, &refused, &missing].map(|reply| reply.status.as_u16()),
        [200, 401, 404]
    );
    for reply in [good, refused, missing] {
        assert_eq!(allowed(&reply), Some("*"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("cross-origin-resource-policy"), Some("cross-origin"));
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for name in [
            "x-request-id",
            "retry-after",
            "ratelimit-remaining",
            "x-ratelimit-remaining-tokens",
            "idempotency-replayed",
            "x-should-retry",
        ] {
            assert!(exposed.split(", ").any(|word| word == name), "{name}: {exposed}");
        }
    }
}

#[tokio::test]
async fn of_a_list_only_the_origin_that_asks_is_named() {
    let relay = relay("https://other.example,https://app.example").await;
    let alice = relay.client("alice").await;

    let listed = page(&alice, APP).get("/v1/tasks").await;
    let unlisted = page(&alice, EVIL).get("/v1/tasks").await;
    let no_page = alice.get("/v1/tasks").await;

    assert_eq!(allowed(&listed), Some(APP));
    assert_eq!((allowed(&unlisted), allowed(&no_page)), (None, None));
    for reply in [listed, unlisted, no_page] {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("vary"), Some("Origin"), "a cache must not mix them up");
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_key() {
    for origins in ["*", APP] {
        let relay = relay(origins).await;
        for path in [
            "/",
            "/?Action=CVProcess&Version=2022-08-31",
            "/v1/submit",
            "/v1/chat/completions",
            "/api/vision/analyze",
        ] {
            let reply = preflight(&relay, APP, path).await;

            assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{path}");
            assert_eq!(allowed(&reply), Some(origins), "{path}");
            assert_eq!(reply.header("access-control-allow-methods"), Some("POST"), "{path}");
            assert_eq!(
                reply.header("access-control-allow-headers"),
                Some("authorization, content-type, idempotency-key, x-api-key, x-request-id, x-stainless-os")
            );
            assert_eq!(reply.header("access-control-max-age"), Some("7200"));
            assert_eq!(reply.header("access-control-allow-credentials"), None);
        }
    }
}

#[tokio::test]
async fn a_preflight_of_another_page_is_answered_without_a_permission() {
    let relay = relay(APP).await;
    let reply = preflight(&relay, EVIL, "/v1/submit").await;
    assert_eq!(reply.status, 204);
    assert!(
        !reply
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control-")),
        "{reply:?}"
    );
}

#[tokio::test]
async fn nothing_but_the_data_plane_is_ever_shared() {
    let relay = relay("*").await;
    let operator = relay.operator();
    for path in [
        "/admin/keys",
        "/admin/info",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/health",
        "/ready",
    ] {
        let read = page(&operator, APP).get(path).await;
        assert_eq!(allowed(&read), None, "{path}");
        assert_eq!(
            read.header("cross-origin-resource-policy"),
            Some("same-origin"),
            "{path}"
        );
        let asked = preflight(&relay, APP, path).await;
        assert_eq!((asked.status.as_u16(), allowed(&asked)), (405, None), "{path}");
    }
    preflight(&relay, APP, "/v1/nothing")
        .await
        .assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn without_origins_no_page_may_read_anything() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let read = page(&alice, APP).get("/v1/tasks").await;
    assert_eq!((allowed(&read), read.header("vary")), (None, None));
    let asked = preflight(&relay, APP, "/v1/submit").await;
    assert_eq!((asked.status.as_u16(), allowed(&asked)), (405, None));
}

#[tokio::test]
async fn every_answer_tells_a_browser_what_to_beware_of() {
    let relay = relay("*").await;
    let alice = relay.client("alice").await;
    let replies = [
        alice.submit(&submit_body("cors-2")).await,
        alice.get("/v1/nothing").await,
        relay.stranger().get("/admin/keys").await,
        relay.stranger().get("/health").await,
        preflight(&relay, APP, "/v1/submit").await,
    ];
    for reply in replies {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{reply:?}");
        }
    }
    let docs = relay.stranger().get("/docs").await;
    assert!(docs.header("content-security-policy").unwrap().contains("script-src"));
}

#[tokio::test]
async fn only_who_came_over_https_by_a_trusted_proxy_is_told_to_stay_there() {
    for (hops, scheme, told) in [("0", "https", false), ("1", "https", true), ("1", "http", false)] {
        let relay = Relay::build().with("TRUSTED_PROXY_HOPS", hops).start().await;
        let client = relay.stranger().header("x-forwarded-proto", scheme);
        let header = client
            .get("/health")
            .await
            .header("strict-transport-security")
            .is_some();
        assert_eq!(header, told, "{hops} {scheme}");
    }
}
