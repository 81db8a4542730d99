//! The end of a process, in its numbered order, and the beginning of the next one.

mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tollgate::app::StartError;
use tollgate::config::MapVars;
use tollgate::crypto::entropy::OsEntropy;
use tollgate::crypto::keyring::MasterKey;
use tollgate::model::clock::SystemClock;
use tollgate::model::outcome::Outcome;
use tollgate::model::record::Event;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Answer, Fault, Imitation, Rule};
use tollgate::store::audit::{self, Order};
use tollgate::store::{Missing, OpenOptions, Store};
use tollgate::upstream::transport::Network;

use crate::support::{Client, MASTER, Program, Serving, Valve, eventually, submit_body, surroundings};

const SUBMIT: &str = "CVSync2AsyncSubmitTask";

/// A folder for a store, with what a server over it needs.
struct Place {
    vars: MapVars,
    upstream: Imitation,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let (vars, upstream) = surroundings().await;
        Self {
            vars,
            upstream,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.vars = self.vars.with(name, value);
        self
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("tollgate.redb")
    }

    fn serve(&self) -> Serving {
        self.serve_over(Arc::new(Network::new().unwrap()))
    }

    fn serve_over(&self, transport: Arc<dyn tollgate::upstream::transport::Transport>) -> Serving {
        Serving::start(&self.vars, &self.database(), transport)
    }

    /// The program itself, to be run as processes of their own.
    fn program(&self) -> Program {
        Program::on(&self.database()).with_all(&self.vars)
    }

    /// Submits never get an answer.
    fn hang(&self) {
        self.upstream
            .faults()
            .push(Rule::on(SUBMIT, Fault::Hang).always())
            .unwrap();
    }

    /// Waits until the upstream has this submit in hand.
    async fn has_seen(&self, marker: &str) {
        let seen = async || self.upstream.seen().marker(marker) == 1;
        eventually("the upstream sees the submit", seen).await;
    }
}

/// Whether the last opening in this test binary had to check a file first.
static REPAIRED: AtomicBool = AtomicBool::new(false);

/// What became of every submit, as a file tells that must need no check.
fn outcomes_after_a_clean_end(database: &Path) -> Vec<Outcome> {
    let keys = |_| Ok(vec![MasterKey::from_base64(&Secret::new(MASTER.to_owned())).unwrap()]);
    REPAIRED.store(false, Ordering::Relaxed);
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: 1 << 20,
        missing: Missing::Refuse,
        progress: |_| REPAIRED.store(true, Ordering::Relaxed),
        clock: Arc::new(SystemClock),
        entropy: &OsEntropy,
    };
    let store = Store::open(database, &options).unwrap().store;
    assert!(!REPAIRED.load(Ordering::Relaxed), "the file was not closed");
    let book = store
        .read(|rows| audit::page(rows, 0, Order::Rising, usize::MAX))
        .unwrap();
    let outcome = |entry| match entry {
        Event::Settlement(settlement) => Some(settlement.outcome),
        _ => None,
    };
    book.into_iter()
        .filter_map(|logged| outcome(logged.entry.event))
        .collect()
}

#[tokio::test]
async fn the_end_comes_in_order() {
    let place = Place::new().await;
    let valve = Valve::closed();
    let mut server = place.serve_over(valve.clone());
    let (alice, bob) = (server.client("alice").await, server.client("bob").await);
    let flight = alice.launch("order-1");
    valve.has_sent(1).await;
    assert_eq!(bob.get("/ready").await.status, 200);

    server.shutdown.ask();
    server.shutdown.begun().cancelled().await;

    eventually("it is not ready", async || bob.get("/ready").await.status == 503).await;
    assert_eq!(
        bob.get("/health").await.status,
        200,
        "it lives, so that nobody kills it"
    );
    bob.submit(&submit_body("order-2")).await.assert_error(503, "DRAINING");
    let refused = async || bob.send(http::Method::GET, "/health", "").await.is_err();
    eventually("the listener is closed", refused).await;
    assert!(!flight.is_finished(), "who was let in is not cut off");
    valve.open();
    assert_eq!(flight.await.unwrap().status, 200);
    server.ended().await.unwrap();
    assert_eq!(outcomes_after_a_clean_end(&place.database()), [Outcome::Succeeded]);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off_and_of_unknown_outcome() {
    let place = Place::new().await.with("DRAIN_TIMEOUT", "1s");
    place.hang();
    let mut server = place.serve();
    let flight = server.client("alice").await.launch("cut-1");
    place.has_seen("cut-1").await;

    server.shutdown.ask();
    server.ended().await.unwrap();

    flight.abort();
    let mut next = place.serve();
    next.until_ready().await;
    next.shutdown.ask();
    next.shutdown.ask();
    next.ended().await.unwrap();
    assert_eq!(outcomes_after_a_clean_end(&place.database()), [Outcome::Unknown]);
}

#[tokio::test]
async fn a_second_request_to_end_hurries_the_first() {
    let place = Place::new().await;
    place.hang();
    let mut server = place.serve();
    let flight = server.client("alice").await.launch("hurry-1");
    place.has_seen("hurry-1").await;

    server.shutdown.ask();
    server.shutdown.ask();

    // The drain alone would take its 40 seconds.
    tokio::time::timeout(Duration::from_secs(8), server.ended())
        .await
        .unwrap()
        .unwrap();
    flight.abort();
}

#[tokio::test]
async fn a_server_that_waits_for_the_store_says_that_it_starts() {
    let place = Place::new().await;
    let mut old = place.serve();
    let alice = old.client("alice").await;

    let mut new = place.serve();

    let early = new.client_like(&alice);
    assert_eq!(early.get("/health").await.status, 200);
    assert_eq!(early.get("/ready").await.status, 503);
    let told = early.submit(&submit_body("starts-1")).await;
    told.assert_error(503, "STARTING");
    assert!(told.header("retry-after").is_some());
    old.shutdown.ask();
    old.ended().await.unwrap();
    new.until_ready().await;
    assert_eq!(early.submit(&submit_body("starts-2")).await.status, 200);
    new.shutdown.ask();
    new.ended().await.unwrap();
}

#[tokio::test]
async fn a_server_that_waits_for_the_store_can_be_ended() {
    let place = Place::new().await;
    let mut old = place.serve();
    old.until_ready().await;
    let new = place.serve();
    eventually("it answers", async || new.stranger().get("/health").await.status == 200).await;

    new.shutdown.ask();

    new.ended().await.unwrap();
    assert_eq!(old.stranger().get("/ready").await.status, 200);
    old.shutdown.ask();
    old.ended().await.unwrap();
}

#[tokio::test]
async fn a_rolling_redeploy_serves_every_request_once() {
    let place = Place::new().await.with("PER_KEY_MAX_CONCURRENT", "64");
    let mut old = place.serve();
    let alice = old.client("alice").await;
    let new = place.serve();
    let servers = [alice.clone(), new.client_like(&alice)];

    let callers = (0..4).map(async |caller| {
        let mut rotation = servers.to_vec();
        for number in 0..10 {
            let marker = format!("redeploy-{caller}-{number}");
            served_by_any(&mut rotation, &marker).await;
        }
    });
    let redeploy = async {
        place.has_seen("redeploy-0-1").await;
        old.shutdown.ask();
        old.ended().await.unwrap();
    };
    futures_util::join!(join_all(callers), redeploy);

    let seen = place.upstream.seen();
    for caller in 0..4 {
        for number in 0..10 {
            assert_eq!(seen.marker(&format!("redeploy-{caller}-{number}")), 1);
        }
    }
    new.shutdown.ask();
    new.ended().await.unwrap();
}

/// Submits as behind a load balancer: who cannot be reached, starts or drains has taken nothing. Who drains or is gone is
/// asked no more: its port may be another test's by then.
async fn served_by_any(rotation: &mut Vec<Client>, marker: &str) {
    let body = submit_body(marker);
    eventually("one of the servers serves it", async || {
        let mut at = 0;
        while let Some(server) = rotation.get(at) {
            match server.send(http::Method::POST, "/v1/submit", &body).await {
                Ok(reply) if reply.status == 200 => return true,
                Ok(reply) if reply.code() == "STARTING" => at += 1,
                Ok(reply) => {
                    assert_eq!(reply.code(), "DRAINING", "{}", reply.text());
                    rotation.remove(at);
                }
                Err(error) => {
                    assert!(error.is_connect(), "{error:?}");
                    rotation.remove(at);
                }
            }
        }
        false
    })
    .await;
}

#[tokio::test]
async fn another_process_on_the_store_is_told_so() {
    let place = Place::new().await;
    let mut server = place.serve();
    server.until_ready().await;

    let second = tollgate::app::offline(tollgate::config::Config::parse(&place.on_disk()).unwrap()).await;

    let error = second.err().unwrap();
    assert!(matches!(&error, StartError::Open(_)) && error.busy() == Some(place.database().as_path()));
    server.shutdown.ask();
    server.shutdown.ask();
    server.ended().await.unwrap();
}

impl Place {
    fn on_disk(&self) -> MapVars {
        self.vars
            .clone()
            .with("DATABASE_URL", self.database().to_str().unwrap())
    }
}
