//! The harness: it owns the ports, the clock, the store and the imitation of the upstream.

mod backend;
mod book;
mod brake;
mod by_hand;
mod client;
mod clock;
mod job;
mod openai;
mod pool;
mod program;
mod relay;
mod script;
mod serving;
mod store;
mod surroundings;
mod time;
mod valve;
mod wire;

pub(crate) use backend::{Crash, Disk};
pub(crate) use book::Book;
pub(crate) use brake::{Brake, Stop};
pub(crate) use by_hand::{ByHand, Exchange};
pub(crate) use client::{Client, REGION, Reply};
pub(crate) use clock::ManualClock;
pub(crate) use openai::{OPENAI_KEY, openai_imitation};
pub(crate) use pool::{Detour, Provider, Way, error, key_of, limited, limited_for};
pub(crate) use program::{Process, Program, imitation, line_with, open_file};
pub(crate) use relay::{Builder, Relay, spec as key_spec};
pub(crate) use script::{Heard, Say, Script, accepted, replying};
pub(crate) use serving::Serving;
pub(crate) use store::{MASTER, open_disk};
pub(crate) use surroundings::surroundings;
pub(crate) use time::{at_once, pass};
pub(crate) use valve::Valve;
pub(crate) use wire::{Wire, head};

/// A body for a submit, which the imitation counts under `marker`.
pub(crate) fn submit_body(marker: &str) -> String {
    format!(r#"{{"req_key":"jimeng_t2i_v40","prompt":"a lighthouse at dusk","marker":"{marker}"}}"#)
}

/// A body for a query.
pub(crate) fn query_body(task_id: &str) -> String {
    format!(r#"{{"req_key":"jimeng_t2i_v40","task_id":"{task_id}"}}"#)
}

/// Polls until `done` holds, at most ten seconds: for what another task or process brings about.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let attempts = 1000;
    for _ in 0..attempts {
        if done().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

/// Every operation of an OpenAPI document: its path, its method, what it says.
pub(crate) fn document_operations(
    document: &serde_json::Value,
) -> impl Iterator<Item = (String, http::Method, &serde_json::Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, operation)| {
            let method = method.to_uppercase().parse().unwrap();
            (path.clone(), method, operation)
        })
    })
}
