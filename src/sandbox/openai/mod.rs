//! The OpenAI-compatible API, as far as the official clients, and those who rely on them, need it to be content.
//!
//! What a request says decides the answer: `tools` bring a tool call, pictures are acknowledged with type and size, a
//! question in Chinese is answered in Chinese (each frame of a stream in two pieces that part a letter), the word
//! `forbidden` is refused by the content filter, and a model whose name begins with `missing` does not exist.

mod chat;
mod completions;
mod embeddings;
mod images;
mod models;
pub(super) mod refusal;
mod request;
mod responses;
mod schema;
mod speech;
mod vision;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use self::refusal::Refusal;
use super::answer::Answer;
use super::call::Call;
use super::manner::Manner;
use super::reply::{self, Reply};
use super::{Verification, World};

/// Answers everything under `/v1/` and `/compatible-mode/v1/`, and says of everything else that it does not exist.
pub(super) fn answer(world: &World, call: &Call, manner: &Manner) -> Reply {
    let Some(route) = call.action().strip_prefix("/v1/") else {
        return reply::not_found();
    };
    let reply = if world.settings.verification == Verification::Checked && call.account.is_none() {
        Err(Refusal::of_key(&call.head.headers))
    } else {
        serve(world, call, route, manner)
    };
    with_request_id(world, reply.unwrap_or_else(|refusal| refusal.render()))
}

/// An error told by [`super::Faults`], in OpenAI's words.
pub(super) fn error(world: &World, call: &Call, told: &Answer) -> Reply {
    let refusal = Refusal::told(told.status, told.error.as_deref(), call.model.as_deref());
    with_request_id(world, refusal.render())
}

fn serve(world: &World, call: &Call, route: &str, manner: &Manner) -> Result<Reply, Refusal> {
    if let Some(models) = route.strip_prefix("models") {
        return match call.head.method {
            Method::GET => models::answer(models),
            _ => Err(wrong_method(call)),
        };
    }
    let answer: fn(&Asked<'_>) -> Result<Reply, Refusal> = match route {
        "chat/completions" => chat::answer,
        "completions" => completions::answer,
        "embeddings" => embeddings::answer,
        "responses" => responses::answer,
        "images/generations" => images::answer,
        _ => return Ok(reply::not_found()),
    };
    if call.head.method != Method::POST {
        return Err(wrong_method(call));
    }
    let Ok(request) = serde_json::from_slice::<Value>(&call.body) else {
        let message = "We could not parse the JSON body of your request.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    };
    let Some(model) = request.get("model").and_then(Value::as_str) else {
        return Err(Refusal::invalid("you must provide a model parameter", "model"));
    };
    if model.starts_with("missing") {
        return Err(Refusal::unknown_model(model));
    }
    answer(&Asked {
        world,
        request: &request,
        model,
        manner,
    })
}

/// A call that got as far as its route.
struct Asked<'a> {
    world: &'a World,
    request: &'a Value,
    model: &'a str,
    manner: &'a Manner,
}

impl Asked<'_> {
    /// A field of the request; `null` counts as absent.
    fn field(&self, name: &str) -> Option<&Value> {
        self.request.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is `true`.
    fn is_set(&self, name: &str) -> bool {
        self.field(name) == Some(&Value::Bool(true))
    }

    /// A number that says how many, of which there are sensible ones only up to `most`.
    fn count(&self, name: &str, most: u64) -> Option<usize> {
        let count = self.field(name)?.as_u64()?.min(most);
        usize::try_from(count).ok()
    }

    /// An id that no other answer has.
    fn id(&self, kind: &str) -> String {
        format!("{kind}{}", self.world.next_serial())
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        self.world.clock.wall().as_seconds()
    }
}

fn wrong_method(call: &Call) -> Refusal {
    let message = format!("Not allowed to {} on {}.", call.head.method, call.action());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, &message)
}

fn with_request_id(world: &World, mut reply: Reply) -> Reply {
    if let Ok(id) = HeaderValue::try_from(format!("req_sandbox_{}", world.next_serial())) {
        reply.headers_mut().insert(REQUEST_ID, id);
    }
    reply
}

/// The header by which OpenAI's support finds a call.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
