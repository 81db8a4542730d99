//! The limit of a client's address on `/api/*`: who is counted as whom, and what is told.

use tollgate::model::record::Event;

use crate::support::{Builder, Client, Relay, Reply};

/// Any path that is limited, whether there is something or not.
const LIMITED: &str = "/api/vision/nothing";

/// Two requests a minute, behind so many proxies.
fn two_a_minute(hops: &str) -> Builder {
    Relay::build()
        .with("RATE_LIMIT_WINDOW_MS", "60000")
        .with("RATE_LIMIT_MAX_REQUESTS", "2")
        .with("TRUSTED_PROXY_HOPS", hops)
}

/// A client whose request came with these forwarded addresses.
fn from(relay: &Relay, forwarded: &str) -> Client {
    relay.stranger().header("x-forwarded-for", forwarded)
}

async fn is_let_in(client: &Client) -> bool {
    client.get(LIMITED).await.status != 429
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let relay = two_a_minute("1").start().await;
    let clients = ["203.0.113.1", "203.0.113.2", "2001:db8:1::1", "2001:db8:2::1"].map(|ip| from(&relay, ip));

    for client in &clients {
        assert!(is_let_in(client).await && is_let_in(client).await);
    }
    for client in &clients {
        client.get(LIMITED).await.is_limited("RATE_LIMITED");
    }
    assert!(is_let_in(&from(&relay, "203.0.113.3")).await);
    assert!(!is_let_in(&from(&relay, "2001:db8:1::ffff")).await, "the same /64");
}

#[tokio::test]
async fn an_address_that_the_client_wrote_itself_counts_for_nothing() {
    for (hops, behind) in [("0", ""), ("1", "203.0.113.1"), ("2", "203.0.113.1, 10.0.0.7")] {
        let relay = two_a_minute(hops).start().await;
        let spoofed = |number: u8| from(&relay, format!("6.6.6.{number}, {behind}").trim_end_matches(", "));

        assert!(is_let_in(&spoofed(1)).await && is_let_in(&spoofed(2)).await);

        assert!(!is_let_in(&spoofed(3)).await, "{hops} hops");
    }
}

#[tokio::test]
async fn every_limited_answer_tells_how_the_address_stands() {
    let relay = two_a_minute("0").start().await;
    let told = |reply: &Reply| {
        [
            "ratelimit-policy",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
        ]
        .map(|name| reply.header(name).unwrap_or_default().to_owned())
    };

    let first = relay.stranger().get(LIMITED).await;
    let second = relay.stranger().get(LIMITED).await;
    let third = relay.stranger().get(LIMITED).await;

    assert_eq!(told(&first), ["2;w=60", "2", "1", "30"]);
    assert_eq!(told(&second)[..3], ["2;w=60", "2", "0"]);
    third.is_limited("RATE_LIMITED");
    assert_eq!(told(&third)[..3], ["2;w=60", "2", "0"]);
    let after: u64 = third.header("retry-after").unwrap().parse().unwrap();
    assert!((29..=30).contains(&after), "{after}");
}

#[tokio::test]
async fn health_and_everything_outside_is_never_limited() {
    let relay = two_a_minute("0").start().await;
    let alice = relay.client("alice").await;
    while is_let_in(&relay.stranger()).await {}

    for path in ["/api/vision/health", "/health", "/ready", "/openapi.json", "/docs"] {
        let reply = relay.stranger().get(path).await;
        assert_ne!(reply.status, 429, "{path}");
        assert_eq!(reply.header("ratelimit-limit"), None, "{path}");
    }
    assert_eq!(alice.get("/v1/tasks").await.status, 200);
    relay
        .stranger()
        .post("/api/vision/analyze", "{}")
        .await
        .is_limited("RATE_LIMITED");
}

#[tokio::test]
async fn refused_addresses_are_counted_in_the_log_book() {
    let relay = two_a_minute("0").start().await;
    for _ in 0..5 {
        relay.stranger().get(LIMITED).await;
    }
    relay.services().recorder.flush_refusals().await.unwrap();

    let counted = relay.log_book().into_iter().find_map(|(_, entry)| match entry.event {
        Event::Refusals(refusals) => Some((refusals.reason.label(), refusals.count)),
        _ => None,
    });
    assert_eq!(counted, Some(("rate_limited", 3)));
}

#[tokio::test]
async fn zero_requests_is_no_limit() {
    let relay = two_a_minute("0").with("RATE_LIMIT_MAX_REQUESTS", "0").start().await;
    for _ in 0..5 {
        let reply = relay.stranger().get(LIMITED).await;
        assert_eq!((reply.status.as_u16(), reply.header("ratelimit-limit")), (404, None));
    }
}

#[tokio::test]
async fn another_spelling_of_a_path_is_another_path() {
    let relay = Relay::start().await;
    for path in ["/%68ealth", "//health", "/./health%2f"] {
        let mut wire = crate::support::Wire::to(&relay).await;
        wire.send(crate::support::head(&relay, "GET", path, &[])).await;
        assert_eq!(wire.reply().await.status, 404, "{path}");
    }
}
