//! Pools of accounts, end to end: whom a call is sent to, what a reply changes, and what the client sees of it.

mod journey;
mod operator;
mod standing;
mod targets;
mod volcengine;

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use tollgate::model::outcome::Outcome;
use tollgate::model::record::Event;
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{
    Client, Detour, Provider, Relay, Reply, Way, error, eventually, key_of, limited, limited_for, submit_body,
};

const MODEL: &str = "gpt-4o-mini";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// A provider with these accounts, a relay before it, and a client.
async fn scene(accounts: &[&str]) -> (Provider, Relay, Client) {
    let provider = Provider::with(accounts).await;
    let relay = provider.behind(Relay::build()).start().await;
    let client = relay.client("app").await;
    (provider, relay, client)
}

/// So many calls, one after the other, which all succeed.
async fn all_served(client: &Client, calls: usize) {
    for call in 0..calls {
        let reply = client.chat(MODEL).await;
        assert_eq!(reply.status, 200, "call {call}: {reply:?}");
    }
}

/// The seconds that an answer asks its client to wait.
fn retry_after(reply: &Reply) -> u64 {
    let header = reply.header("retry-after");
    header
        .unwrap_or_else(|| panic!("no Retry-After: {reply:?}"))
        .parse()
        .unwrap()
}

/// Asks beside the test.
fn launch(client: &Client) -> tokio::task::JoinHandle<Reply> {
    let client = client.clone();
    TaskTracker::new().spawn(async move { client.chat(MODEL).await })
}

/// What `/ready` counts.
async fn ready_with(relay: &Relay, total: u64, available: u64) {
    let stats = relay.stranger().get("/ready").await.json()["key_stats"].clone();
    let failed = total - available;
    assert_eq!(stats, json!({"total": total, "available": available, "failed": failed}));
}
