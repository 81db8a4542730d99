//! `kill -9` of the real program while it works at jobs, over and over on one file.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tollgate::crypto::entropy::{self, OsEntropy};
use tollgate::model::id::JobId;
use tollgate::model::job::{Item, ItemState};
use tollgate::sandbox::Imitation;
use tollgate::store::Store;

use super::{CALL, SUBMIT, check_counts, entry, everything, has_ended, id_of};
use crate::support::{Client, Process, Program, eventually, imitation, open_file};

/// What clients submitted: by its idempotency key, the id of what was accepted.
type Submitted = Mutex<BTreeMap<String, Option<String>>>;

/// Submits jobs until the server is gone. Each third of them is cancelled again.
async fn load(client: &Client, name: &str, round: u64, submitted: &Submitted) {
    for number in 0.. {
        let key = format!("{name}-{round}-{number}");
        submitted.lock().unwrap().insert(key.clone(), None);
        let Ok(reply) = client.idempotent(&key).send(Method::POST, "/v1/jobs", &job(&key)).await else {
            return;
        };
        assert_eq!(reply.status, 202, "{reply:?}");
        let id = id_of(&reply);
        submitted.lock().unwrap().insert(key, Some(id.clone()));
        if number % 3 == 2 {
            let cancel = format!("/v1/jobs/{id}/cancel");
            if client.send(Method::POST, &cancel, "").await.is_err() {
                return;
            }
        }
        // The next one comes a little later, so that the upstream's pace is not all that is tested.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

fn job(key: &str) -> String {
    let items = [
        entry(CALL, &format!("marker-{key}-0")),
        entry(SUBMIT, &format!("marker-{key}-1")),
        entry(CALL, &format!("marker-{key}-2")),
    ];
    json!({ "items": items, "queue": if key.starts_with('a') { "default" } else { "media" } }).to_string()
}

/// Whoever was not told, and whoever was, repeats: it is one job.
async fn repeat(client: &Client, name: &str, submitted: &Submitted) {
    let known = submitted.lock().unwrap().clone();
    for (key, id) in known.iter().filter(|(key, _)| key.starts_with(name)) {
        let reply = client.idempotent(key).post("/v1/jobs", &job(key)).await;
        assert_eq!(reply.status, 202, "{key}: {reply:?}");
        let found = id_of(&reply);
        assert!(
            id.as_ref().is_none_or(|id| *id == found),
            "{key} was {id:?}, now it is {found}"
        );
        submitted.lock().unwrap().insert(key.clone(), Some(found));
    }
}

/// What the file must hold once everything has ended.
fn check(store: &Store, upstream: &Imitation, submitted: &BTreeMap<String, Option<String>>) {
    check_counts(store);
    let everything = everything(store);
    assert_eq!(everything.len(), submitted.len(), "one job for each submission");
    for (marker, seen) in upstream.seen().markers {
        assert_eq!(seen.count, 1, "{marker} was sent twice");
    }
    let mut states = BTreeMap::new();
    for (key, id) in submitted {
        let id: JobId = id.as_ref().unwrap().parse().unwrap();
        let (_, items) = everything.get(&id).unwrap_or_else(|| panic!("{key} is lost"));
        for (number, item) in items.iter().enumerate() {
            let sent = upstream.seen().marker(&format!("marker-{key}-{number}"));
            assert!(fits(item, sent), "{key}-{number} was sent {sent} times: {item:?}");
            *states.entry(item.state.label()).or_insert(0) += 1;
        }
    }
    eprintln!("{} jobs: {states:?}", submitted.len());
    assert!(states.contains_key("succeeded"));
}

/// Whether an item may stand so when it was sent so often.
fn fits(item: &Item, sent: u64) -> bool {
    match item.state {
        ItemState::Succeeded => sent == 1,
        ItemState::Unknown | ItemState::Cancelled => sent <= 1,
        // It was in a worker's hands at four kills in a row.
        ItemState::Dead => item.error.as_ref().is_some_and(|error| error.code == "LEASE_LOST"),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_of_twelve_kills_no_job_is_lost_and_no_item_is_sent_twice() {
    let seed = u64::from_le_bytes(entropy::random(&OsEntropy).unwrap());
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tollgate.redb");
    let upstream = imitation(Duration::from_millis(5)).await;
    let program = Program::on(&database)
        .before(upstream.addr())
        .with("UPSTREAM_MAX_CONCURRENT", "8")
        .with("JOB_QUEUES", "default:8,media:8");
    let clients = ["alice", "bob"].map(|name| (name, holder(&program, name)));
    let submitted = Submitted::default();

    for round in 0..12 {
        let server = program.serve();
        let at = clients.each_ref().map(|(name, client)| (*name, client.at(&server.url)));
        let until = Duration::from_millis(20 + seed.rotate_left(5 * round) % 200);
        let killing = async {
            // No signal, but a random moment of the load: whatever it cuts must come out right.
            tokio::time::sleep(until).await;
            server.kill();
        };
        let [(a, alice), (b, bob)] = &at;
        let round = u64::from(round);
        tokio::join!(
            load(alice, a, round, &submitted),
            load(bob, b, round, &submitted),
            killing
        );
    }
    let mut server = program.serve();
    for (name, client) in &clients {
        repeat(&client.at(&server.url), name, &submitted).await;
    }
    for (_, client) in &clients {
        until_ended(&client.at(&server.url)).await;
    }
    end(&mut server).await;

    let submitted = submitted.into_inner().unwrap();
    let store = open_file(&database).unwrap().store;
    assert!(has_ended(&store));
    check(&store, &upstream, &submitted);
}

/// Waits until nothing of a client's is under way any more.
async fn until_ended(client: &Client) {
    let done = async || {
        for state in ["queued", "running"] {
            let page = client.get(&format!("/v1/jobs?state={state}&limit=1000")).await.json();
            if page["items"].as_array().is_none_or(|items| !items.is_empty()) {
                return false;
            }
        }
        true
    };
    eventually("every job ends", done).await;
}

async fn end(server: &mut Process) {
    server.signal("TERM");
    assert_eq!(server.ended().await.code(), Some(0));
}

/// A client whose key is good for jobs.
fn holder(program: &Program, name: &str) -> Client {
    let key: Value = program.json(&["key", "create", "--description", name, "--scope", "jobs"]);
    let secret = key["secret_key"].as_str().unwrap();
    Client::new(String::new(), None).header("authorization", &format!("Bearer {secret}"))
}
