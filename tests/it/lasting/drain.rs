//! The end of a process that works at jobs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;
use tollgate::config::MapVars;
use tollgate::model::job::{Item, ItemState};
use tollgate::model::key::Scope;
use tollgate::sandbox::{Fault, Imitation, Rule};
use tollgate::upstream::transport::{Network, Transport};

use super::{CALL, SUBMIT, accepted, entry, everything, one};
use crate::support::{Client, Serving, Valve, eventually, open_file, surroundings};

/// A folder for a store, with what a server over it needs.
struct Place {
    vars: MapVars,
    upstream: Imitation,
    folder: TempDir,
}

impl Place {
    async fn new(drain_timeout: &str) -> Self {
        let (vars, upstream) = surroundings().await;
        Self {
            vars: vars.with("DRAIN_TIMEOUT", drain_timeout),
            upstream,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("tollgate.redb")
    }

    async fn serve(&self) -> (Serving, Client) {
        self.serve_over(Arc::new(Network::new().unwrap())).await
    }

    async fn serve_over(&self, transport: Arc<dyn Transport>) -> (Serving, Client) {
        let mut server = Serving::start(&self.vars, &self.database(), transport);
        let client = server.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
        (server, client)
    }

    /// The items in the file, which nobody has open.
    fn items(&self) -> Vec<Item> {
        let store = open_file(&self.database()).unwrap().store;
        let items = everything(&store).into_values().flat_map(|(_, items)| items).collect();
        store.close();
        items
    }

    async fn has_seen(&self, marker: &str) {
        let seen = async || self.upstream.seen().marker(marker) == 1;
        eventually("the upstream sees it", seen).await;
    }
}

#[tokio::test]
async fn a_process_that_drains_takes_no_jobs_and_records_what_its_workers_finish() {
    let place = Place::new("20s").await;
    let valve = Valve::closed();
    let (server, alice) = place.serve_over(valve.clone()).await;
    let id = accepted(
        &alice,
        &json!({"items": [entry(SUBMIT, "marker-a"), entry(SUBMIT, "marker-b")]}),
    )
    .await;
    valve.has_sent(1).await;
    let events = {
        let (alice, path) = (alice.clone(), format!("/v1/jobs/{id}/events"));
        tokio_util::task::TaskTracker::new().spawn(async move { alice.get(&path).await })
    };
    let logs = format!("/v1/jobs/{id}/logs");
    let written = alice
        .post(
            &logs,
            r#"{"level":"info","category":"test","message":"the last words"}"#,
        )
        .await;
    assert!(written.status.is_success(), "{written:?}");
    let begun = Instant::now();

    server.shutdown.ask();
    server.shutdown.begun().cancelled().await;

    let refused = async || alice.post("/v1/jobs", &one(CALL, "marker-c").to_string()).await;
    let mut reply = refused().await;
    while reply.status == 202 {
        reply = refused().await;
    }
    reply.assert_error(503, "DRAINING");
    let followed = events.await.unwrap();
    assert!(followed.text().contains("the process ends"), "{followed:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "a reader of events holds up the end"
    );
    valve.open();
    server.ended().await.unwrap();

    assert!(begun.elapsed() < Duration::from_secs(10));
    let mut states: Vec<_> = place.items().into_iter().map(|item| (item.state, item.lost)).collect();
    states.sort_unstable();
    assert_eq!(
        states,
        [(ItemState::Queued, 0), (ItemState::Polling, 0)],
        "one of them never had a place"
    );

    let (next, _) = place.serve().await;
    let alice = next.client_like(&alice);
    let found = alice.get(&logs).await;
    assert!(found.text().contains("the last words"), "{found:?}");
    // The next process goes on at once.
    eventually("both are sent", async || {
        place.upstream.seen().marker("marker-a") + place.upstream.seen().marker("marker-b") == 2
    })
    .await;
    next.shutdown.ask();
    next.shutdown.ask();
    next.ended().await.unwrap();
}

#[tokio::test]
async fn what_is_not_done_within_the_drain_timeout_is_given_back_and_the_next_process_learns_what_came_of_it() {
    let place = Place::new("1s").await;
    place
        .upstream
        .faults()
        .push(Rule::on(SUBMIT, Fault::Hang).always())
        .unwrap();
    let (server, alice) = place.serve().await;
    let id = accepted(&alice, &one(SUBMIT, "marker-cut")).await;
    place.has_seen("marker-cut").await;
    let begun = Instant::now();

    server.shutdown.ask();
    server.ended().await.unwrap();

    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "it took {:?}",
        begun.elapsed()
    );
    let [item] = &place.items()[..] else { panic!("one item") };
    assert_eq!((item.state, item.lease, item.lost), (ItemState::Queued, None, 0));

    let (next, _) = place.serve().await;
    let alice = next.client_like(&alice);
    eventually("it is known at once what came of it", async || {
        let job = alice.get(&format!("/v1/jobs/{id}")).await.json();
        job["counts"]["unknown"] == 1
    })
    .await;
    assert_eq!(place.upstream.seen().marker("marker-cut"), 1);
    next.shutdown.ask();
    next.shutdown.ask();
    next.ended().await.unwrap();
}
