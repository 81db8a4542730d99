//! The routes beside the upstreams', which people steer the imitation with. They do not count.

use http::{Method, StatusCode};
use serde_json::json;

use super::World;
use super::call::Call;
use super::faults::Rule;
use super::openai::refusal::Refusal;
use super::reply::{self, Reply};

/// Answers everything under `/__`; `None` for what belongs to an upstream.
pub(super) fn answer(world: &World, call: &Call) -> Option<Reply> {
    let name = call.head.uri.path().strip_prefix("/__")?;
    Some(match (&call.head.method, name) {
        (&Method::GET, "seen") => match serde_json::to_string(&world.witness.snapshot()) {
            Ok(text) => reply::json_text(StatusCode::OK, text),
            Err(cause) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &cause.to_string()),
        },
        (&Method::POST, "faults") => match serde_json::from_slice::<Rule>(&call.body) {
            Ok(rule) => match world.faults.push(rule) {
                Ok(()) => pending_faults(world),
                Err(full) => refuse(StatusCode::TOO_MANY_REQUESTS, &full.to_string()),
            },
            Err(cause) => refuse(StatusCode::BAD_REQUEST, &cause.to_string()),
        },
        (&Method::DELETE, "faults") => {
            match call.query("account") {
                Some(account) => world.faults.heal(account),
                None => world.faults.clear(),
            }
            pending_faults(world)
        }
        _ => reply::not_found(),
    })
}

fn pending_faults(world: &World) -> Reply {
    reply::json(StatusCode::OK, &json!({"pending": world.faults.pending()}))
}

fn refuse(status: StatusCode, message: &str) -> Reply {
    Refusal::new(status, message).render()
}
