//! At most once: what a repeat of an idempotency key gets, for every way in which its first use can end.

mod life;
mod repeat;
mod twins;
mod unknown;

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Client, Relay, Reply, Wire, eventually, pass, submit_body};

const PROCESS: &str = "/?Action=CVProcess&Version=2022-08-31";
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);
const ALMOST_A_DAY: Duration = Duration::from_mins(24 * 60 - 1);
const LONG: Duration = Duration::from_secs(10);

/// A relay with a client who repeats herself.
async fn with_alice() -> (Relay, Client) {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    (relay, alice)
}

/// A relay whose first submit, of `marker`, ended with nobody knowing how.
async fn with_unknown(marker: &str) -> (Relay, Client, u64) {
    let (relay, alice) = with_alice().await;
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    alice
        .submit(&submit_body(marker))
        .await
        .assert_error(502, "UPSTREAM_FAILED");
    let intent = relay.intents()[0].0;
    (relay, alice, intent)
}

/// Holds the next call upstream, and sends a keyed submit of `marker` into it.
async fn in_flight(relay: &Relay, alice: &Client, then: Fault, marker: &str) -> Wire {
    relay.upstream.faults().push(Rule::any(then).after(LONG)).unwrap();
    let wire = Wire::posting(
        relay,
        alice,
        "/v1/submit",
        &["Idempotency-Key: order-1"],
        &submit_body(marker),
    )
    .await;
    eventually("the first is upstream", async || relay.seen(marker) == 1).await;
    wire
}
