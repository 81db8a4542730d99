//! Jobs that outlast their process: what was accepted is there after any end, ends itself, and is paid once.

mod disk;
mod drain;
mod kill;
mod restart;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::model::id::JobId;
use tollgate::model::job::queue::Standing;
use tollgate::model::job::{Item, ItemState, Job, Tally};
use tollgate::model::key::Scope;
use tollgate::store::jobs::{self, item, queue};
use tollgate::store::{Reader, Store};

use crate::support::{Client, Relay, Reply, submit_body};

/// Every job that is there, with its items.
type Everything = BTreeMap<JobId, (Job, Vec<Item>)>;

fn everything(store: &Store) -> Everything {
    let read = |rows: &mut Reader| {
        let found = jobs::latest(rows, JobId::from_bits(u128::MAX), usize::MAX)?;
        let with_items = found.into_iter().map(|(id, job)| {
            let items = item::of_job(rows, id, 0, usize::MAX)?;
            Ok((id, (job, items.into_iter().map(|(_, item)| item).collect())))
        });
        with_items.collect()
    };
    store.read(read).unwrap()
}

/// Whatever is counted is what a count of all rows says.
fn check_counts(store: &Store) {
    let everything = everything(store);
    for (id, (job, items)) in &everything {
        let mut tally = Tally::queued(u32::try_from(items.len()).unwrap());
        for item in items {
            tally.moved(ItemState::Queued, item.state);
        }
        assert_eq!(job.tally, tally, "{id}");
        assert_eq!(job.state, job.present_state(), "{id}");
    }
    for (name, row) in store.read(queue::all).unwrap() {
        let of_queue = everything.values().filter(|(job, _)| job.queue == name);
        let items: Vec<_> = of_queue.flat_map(|(_, items)| items).collect();
        for standing in Standing::ALL {
            let number = items.iter().filter(|item| Standing::of(item) == standing).count();
            assert_eq!(row.of(standing), number as u64, "{standing:?} in {name}");
        }
        assert_eq!(row.backlog(), row.enqueued - row.taken, "backlog of {name}");
    }
}

fn has_ended(store: &Store) -> bool {
    everything(store).values().all(|(job, _)| job.state.is_finished())
}

/// Lets time pass until every job has ended: a few minutes of it at most.
async fn until_ended(relay: &Relay) {
    let store = &relay.services().store;
    for _ in 0..400 {
        if has_ended(store) {
            return;
        }
        relay.later(STEP).await;
    }
    let open = everything(store);
    let open: Vec<_> = open.values().filter(|(job, _)| !job.state.is_finished()).collect();
    panic!("these never end: {open:#?}");
}

/// A client who may call and submit jobs.
async fn client(relay: &Relay, name: &str) -> Client {
    relay.client_with(name, [Scope::Relay, Scope::Jobs]).await
}

/// Submits a job that is accepted, and returns its id.
async fn accepted(client: &Client, job: &Value) -> String {
    let reply = client.post("/v1/jobs", &job.to_string()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    id_of(&reply)
}

fn id_of(reply: &Reply) -> String {
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// A job of one item.
fn one(operation: &str, marker: &str) -> Value {
    json!({ "items": [entry(operation, marker)] })
}

/// An item that the imitation counts under its marker.
fn entry(operation: &str, marker: &str) -> Value {
    let body: Value = match operation {
        "chat.completions" => json!({"model": "m", "messages": [{"role": "user", "content": marker}]}),
        "embeddings" => json!({"model": "m", "input": marker}),
        _ => serde_json::from_str(&submit_body(marker)).unwrap(),
    };
    json!({"operation": operation, "body": body})
}

/// The only item of the only job.
fn only_item(relay: &Relay) -> Item {
    let everything = everything(&relay.services().store);
    let items: Vec<_> = everything.into_values().flat_map(|(_, items)| items).collect();
    assert_eq!(items.len(), 1);
    items.into_iter().next().unwrap()
}

/// A call that is answered at once, and a submit whose task is polled.
const CALL: &str = "CVProcess";
const SUBMIT: &str = "CVSync2AsyncSubmitTask";

/// How far time is moved at once: less than anything waits for, but polls and retries.
const STEP: Duration = Duration::from_millis(500);
