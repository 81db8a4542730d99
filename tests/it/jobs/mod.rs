//! Durable jobs over HTTP: what is accepted is done, once, and told truly.

mod batch;
mod cancel;
mod input;
mod keys;
mod limits;
mod owner;
mod poll;
mod queue;
mod repeat;
mod retention;
mod retry;
mod submit;
mod unknown;
mod webhook;

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::model::job::QueueName;
use tollgate::model::job::queue::{QueueMode, QueueRow};
use tollgate::model::key::{Limits, Scope};
use tollgate::sandbox::{Fault, Rule};
use tollgate::store::jobs::queue as rows;

use crate::support::{Builder, Client, Relay, Reply, eventually};

const SECOND: Duration = Duration::from_secs(1);
const PROCESS: &str = "CVProcess";
const SUBMIT: &str = "CVSync2AsyncSubmitTask";
const QUERY: &str = "CVSync2AsyncGetResult";

/// A relay in front of both kinds of upstream, and somebody with a key for calls and jobs.
async fn start() -> (Relay, Client) {
    start_with(Relay::build()).await
}

async fn start_with(builder: Builder) -> (Relay, Client) {
    let relay = builder.with_openai_upstreams().start().await;
    let alice = relay.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
    (relay, alice)
}

/// Somebody who may have so many submits in flight, since one key's own limit is one.
async fn with_room(relay: &Relay, name: &str, concurrency: u32) -> Client {
    let client = relay.client_with(name, [Scope::Relay, Scope::Jobs]).await;
    let limits = Limits {
        concurrency: NonZeroU32::new(concurrency),
        ..Limits::default()
    };
    relay.limit(&client, limits).await;
    client
}

/// A call that the upstream counts under `marker`.
fn call(marker: &str) -> Value {
    asked(PROCESS, marker)
}

/// A submit that the upstream counts under `marker`.
fn task(marker: &str) -> Value {
    asked(SUBMIT, marker)
}

fn asked(operation: &str, marker: &str) -> Value {
    asking(operation, marker, "a lighthouse at dusk")
}

/// The prompt makes the imitation fail where it says so.
fn asking(operation: &str, marker: &str, prompt: &str) -> Value {
    json!({
        "operation": operation,
        "body": { "req_key": "jimeng_t2i_v40", "prompt": prompt, "marker": marker },
    })
}

fn batch(items: impl IntoIterator<Item = Value>) -> Value {
    json!({ "items": items.into_iter().collect::<Vec<_>>() })
}

/// The same job with one more field.
fn with(mut job: Value, field: &str, value: impl Into<Value>) -> Value {
    job[field] = value.into();
    job
}

async fn send(client: &Client, job: &Value) -> Reply {
    client.post("/v1/jobs", &job.to_string()).await
}

/// Submits a job that is accepted, and returns its id.
async fn accept(client: &Client, job: &Value) -> String {
    id_of(&send(client, job).await)
}

#[track_caller]
fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn show(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/jobs/{id}")).await.json()
}

async fn items(client: &Client, id: &str) -> Vec<Value> {
    let page = client.get(&format!("/v1/jobs/{id}/items")).await.json();
    page["items"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
}

async fn item(client: &Client, id: &str, index: usize) -> Value {
    items(client, id).await[index].clone()
}

/// The states of a job's items, in their order.
async fn states(client: &Client, id: &str) -> Vec<String> {
    let word = |item: &Value| item["state"].as_str().unwrap().to_owned();
    items(client, id).await.iter().map(word).collect()
}

/// Waits until every item stands so.
async fn until(client: &Client, id: &str, expected: &[&str]) {
    let what = format!("the items stand {expected:?}");
    eventually(&what, async || states(client, id).await == expected).await;
}

fn is_over(job: &Value) -> bool {
    !job["finished_at"].is_null()
}

/// Waits until a job has ended, without any time passing but the real one.
async fn ended(client: &Client, id: &str) -> Value {
    eventually("the job ends", async || is_over(&show(client, id).await)).await;
    show(client, id).await
}

/// Lets time pass until a job has ended, at most ten minutes.
async fn ended_later(relay: &Relay, client: &Client, id: &str) -> Value {
    let is_over = async || is_over(&show(client, id).await);
    relay.later_until(SECOND, "the job ends", is_over).await;
    show(client, id).await
}

/// From now on the `openai` upstream serves this model.
async fn serve(relay: &Relay, model: &str) {
    let targets = json!({ "targets": [{ "upstream": "openai", "model": model }] }).to_string();
    let path = format!("/admin/models/{model}");
    let reply = relay.operator().send(http::Method::PUT, &path, &targets).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A chat with a model, which the upstream counts under `marker`.
fn chat(model: &str, marker: &str) -> Value {
    let message = json!({ "role": "user", "content": format!("marker-{marker}") });
    json!({ "operation": "chat.completions", "body": { "model": model, "messages": [message] } })
}

/// Orders what goes wrong upstream.
fn order(relay: &Relay, rule: Rule) {
    relay.upstream.faults().push(rule).unwrap();
}

/// From now on the upstream takes this long for what is asked.
fn slowly(relay: &Relay, action: &str, by: Duration) {
    order(relay, Rule::on(action, Fault::None).after(by).always());
}

/// A queue's counts, as they are stored.
fn queue_row(relay: &Relay, queue: &str) -> QueueRow {
    let name: QueueName = queue.parse().unwrap();
    relay.services().store.read(|reader| rows::get(reader, &name)).unwrap()
}

async fn post_to(client: &Client, id: &str, what: &str) -> Reply {
    client.post(&format!("/v1/jobs/{id}/{what}"), "").await
}

async fn pause(relay: &Relay, queue: &str) {
    set_mode(relay, queue, QueueMode::Paused).await;
}

async fn resume(relay: &Relay, queue: &str) {
    set_mode(relay, queue, QueueMode::Open).await;
}

async fn set_mode(relay: &Relay, queue: &str, mode: QueueMode) {
    let queue = queue.parse().unwrap();
    relay.services().jobs.set_mode(&queue, mode).await.unwrap();
}
