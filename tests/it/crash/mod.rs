//! Every place where a paid call can break, and what a repeat of its idempotency key then gets: one test or more for
//! each row of the product's table.

mod intent;
mod recovery;
mod reply;
mod sent;
mod unsent;
mod waiting;

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tollgate::model::operation::Class;
use tollgate::model::outcome::Outcome;
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Brake, Builder, Client, Disk, Relay, Reply, Stop, eventually, query_body, submit_body};

/// A relay whose requests stop where a brake stops them, and a client with an idempotency key.
async fn braked(stop: Stop) -> (Relay, Arc<Brake>, Client) {
    let brake = Arc::new(Brake::new(stop));
    let relay = Relay::build().transport(brake.clone()).start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    (relay, brake, alice)
}

/// One whose upstream spoils the next submit.
async fn spoiled(fault: Fault) -> (Relay, Client) {
    let relay = Relay::start().await;
    relay.upstream.faults().push(Rule::any(fault)).unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");
    (relay, alice)
}

async fn restart(left: Builder, alice: &Client) -> (Relay, Client) {
    let relay = left.start().await;
    let alice = alice.at(&relay.url);
    (relay, alice)
}

/// The repeat is told that nobody knows, and where to look.
fn assert_unknown(reply: &Reply, relay: &Relay, body: &str) -> u64 {
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (409, "OUTCOME_UNKNOWN"));
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    let calls = relay.book().calls(body);
    assert_eq!(calls, [(reply.audit_id(), Some(Outcome::Unknown))]);
    reply.audit_id()
}

fn assert_fresh(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("idempotency-replayed"), None);
}

fn assert_replay(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("idempotency-replayed"), Some("true"));
}

/// Waits until so many repeats wait behind the first call with their key.
async fn until_repeats_wait(relay: &Relay, number: usize) {
    let waiting = async || relay.services().recorder.repeats_waiting() == number;
    eventually("the repeats wait", waiting).await;
}

async fn resolve(relay: &Relay, intent: u64, verdict: &str) {
    let admin = relay.admin().await;
    let resolved = admin.post(&format!("/admin/audit/{intent}/resolve"), verdict).await;
    assert_eq!(resolved.status, 200, "{resolved:?}");
}
