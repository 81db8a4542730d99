//! Pictures and films of Jimeng's in OpenAI's shapes, from outside.

mod content;
mod films;
mod pictures;

use std::num::NonZeroU32;
use std::time::Duration;

use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tollgate::auth::KeySpec;
use tollgate::model::key::Scope;
use tollgate::sandbox::{Course, Ends, Fault, Rule};

use crate::support::{Client, Relay, Reply, Say, Script, accepted, eventually, key_spec, pass, replying};

const SECOND: Duration = Duration::from_secs(1);
const IMAGES: &str = "/v1/images/generations";
const VIDEOS: &str = "/v1/videos";
const SUBMIT: &str = "CVSync2AsyncSubmitTask";
const QUERY: &str = "CVSync2AsyncGetResult";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn picture(marker: &str, fields: &Value) -> Value {
    let mut body = json!({ "model": "jimeng_t2i_v40", "prompt": format!("a lighthouse, marker-{marker}") });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn film(marker: &str) -> Value {
    json!({ "model": "t2v-720", "prompt": format!("waves, marker-{marker}"), "seconds": "4", "size": "1280x720" })
}

/// How often a body with this marker was submitted.
fn submits(relay: &Relay, marker: &str) -> u64 {
    relay.seen(&format!("marker-{marker}"))
}

/// Asks for pictures beside the test.
fn drawing(client: &Client, body: &Value) -> JoinHandle<Reply> {
    let (client, body) = (client.clone(), body.to_string());
    TaskTracker::new().spawn(async move { client.post(IMAGES, &body).await })
}

/// Asks for pictures, and lets time pass until they are answered.
async fn draw(relay: &Relay, client: &Client, body: &Value) -> Reply {
    let before = relay.upstream.seen().action(SUBMIT);
    let drawing = drawing(client, body);
    let sent = async || drawing.is_finished() || relay.upstream.seen().action(SUBMIT) > before;
    eventually("it is submitted or answered", sent).await;
    relay
        .later_until(SECOND, "it is answered", async || drawing.is_finished())
        .await;
    drawing.await.unwrap()
}

/// Orders a film, and says under which id.
async fn order(client: &Client, body: &Value) -> String {
    let reply = client.post(VIDEOS, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn show(client: &Client, id: &str) -> Value {
    let reply = client.get(&format!("{VIDEOS}/{id}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// A film once it is made, or has failed.
async fn finished(relay: &Relay, client: &Client, id: &str) -> Value {
    let sent = async || show(client, id).await["status"] != "queued";
    eventually("its turn has come", sent).await;
    let is_over = async || ["completed", "failed"].contains(&show(client, id).await["status"].as_str().unwrap());
    relay.later_until(SECOND, "it is made, or has failed", is_over).await;
    show(client, id).await
}

async fn content(client: &Client, id: &str) -> Reply {
    client.get(&format!("{VIDEOS}/{id}/content")).await
}

/// A relay, a client of it, and a film that was made.
async fn made(marker: &str) -> (Relay, Client, String) {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    let id = order(&client, &film(marker)).await;
    let film = finished(&relay, &client, &id).await;
    assert_eq!(film["status"], "completed", "{film}");
    (relay, client, id)
}
