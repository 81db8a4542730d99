//! Upstreams, accounts and models over HTTP: what the environment defines, what the operator adds, and what is kept.

mod key_file;
mod models;
mod registry;
mod standing;

use std::fs;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tollgate::catalogue::{By, CurateError};
use tollgate::model::account::{AccountState, Standing, StateReason};
use tollgate::model::caller::Identity;
use tollgate::model::clock::Clock;
use tollgate::model::id::AccountId;
use tollgate::model::record::Event;

use crate::support::{Client, Relay, Reply};

/// No provider's key looks like it.
const CREDENTIAL: &str = "fake-credential-canary-0123456789abcdef";

fn upstream_body(id: &str) -> Value {
    json!({ "id": id, "base_url": "http://10.0.0.7:8000/v1/" })
}

async fn add_upstream(operator: &Client, id: &str) -> Value {
    let reply = operator.post("/admin/upstreams", &upstream_body(id).to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

async fn add_account(operator: &Client, upstream: &str, credential: &str) -> Value {
    let path = format!("/admin/upstreams/{upstream}/accounts");
    let reply = operator
        .post(&path, &json!({ "credential": credential }).to_string())
        .await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(!reply.text().contains(credential));
    reply.json()
}

async fn put_model(operator: &Client, name: &str, body: Value) {
    let path = format!("/admin/models/{name}");
    let reply = operator.send(Method::PUT, &path, &body.to_string()).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn accounts(operator: &Client, upstream: &str) -> Vec<Value> {
    let reply = operator.get(&format!("/admin/upstreams/{upstream}/accounts")).await;
    reply.json()["items"].as_array().unwrap().clone()
}

async fn delete(operator: &Client, path: &str) -> Reply {
    operator.send(Method::DELETE, path, "").await.unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(&item["id"]))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
