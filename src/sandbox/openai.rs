//! The OpenAI-compatible API: chat with and without streaming, embeddings, images and models, as far as the official
//! clients need it to be content.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, StatusCode};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::reply::{self, Cut, Reply};
use super::server::Call;
use super::{Verification, World};

/// Answers everything under `/v1/`.
pub(super) fn answer(world: &Arc<World>, call: &Call) -> Reply {
    if world.settings.verification == Verification::Checked && call.account.is_none() {
        return error(
            StatusCode::UNAUTHORIZED,
            "Incorrect API key provided.",
            None,
            "invalid_api_key",
        );
    }
    let path = call.head.uri.path();
    if call.head.method == Method::GET {
        return match path.strip_prefix("/v1/models") {
            Some("") => reply::json(StatusCode::OK, &json!({"object": "list", "data": MODELS.map(model)})),
            Some(id) => match MODELS.iter().find(|known| id.strip_prefix('/') == Some(**known)) {
                Some(id) => reply::json(StatusCode::OK, &model(id)),
                None => error(
                    StatusCode::NOT_FOUND,
                    "The model does not exist.",
                    Some("model"),
                    "model_not_found",
                ),
            },
            None => reply::not_found(),
        };
    }
    let route: fn(&World, &Value, &str) -> Reply = match path {
        "/v1/chat/completions" => chat,
        "/v1/embeddings" => embeddings,
        "/v1/images/generations" => images,
        _ => return reply::not_found(),
    };
    if call.head.method != Method::POST {
        return error(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only POST is allowed.",
            None,
            "method_not_allowed",
        );
    }
    let Ok(request) = serde_json::from_slice::<Value>(&call.body) else {
        return error(StatusCode::BAD_REQUEST, "The body is not JSON.", None, "invalid_json");
    };
    match request.get("model").and_then(Value::as_str) {
        Some(model) => route(world, &request, model),
        None => error(
            StatusCode::BAD_REQUEST,
            "You must provide a model.",
            Some("model"),
            "missing_model",
        ),
    }
}

/// An error as the official clients read it.
pub(super) fn error(status: StatusCode, message: &str, param: Option<&str>, code: &str) -> Reply {
    let kind = match status.as_u16() {
        401 | 403 => "authentication_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    reply::json(
        status,
        &json!({"error": {"message": message, "type": kind, "param": param, "code": code}}),
    )
}

fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "sandbox"})
}

fn chat(world: &World, request: &Value, model: &str) -> Reply {
    let Some(messages) = request.get("messages").and_then(Value::as_array) else {
        return error(
            StatusCode::BAD_REQUEST,
            "You must provide messages.",
            Some("messages"),
            "missing_messages",
        );
    };
    let heard: String = messages.iter().map(text_of).collect();
    if heard.contains("forbidden") {
        let message = "Your request was refused by the content filter.";
        return error(StatusCode::BAD_REQUEST, message, Some("messages"), "content_filter");
    }
    let limit = ["max_completion_tokens", "max_tokens"]
        .iter()
        .find_map(|name| request.get(name)?.as_u64());
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let words: Vec<&str> = SPEECH.split_inclusive(' ').take(limit).collect();
    let prompt_tokens = tokens(&heard);
    let speech = Speech {
        id: format!("chatcmpl-{}", world.next_serial()),
        created: world.clock.wall().as_seconds(),
        model,
        finish_reason: if words.len() < SPEECH.split_inclusive(' ').count() {
            "length"
        } else {
            "stop"
        },
        usage: json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": words.len(),
            "total_tokens": prompt_tokens + words.len(),
        }),
        words,
    };
    if request.get("stream") == Some(&Value::Bool(true)) {
        let wants_usage = request.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        stream_of(speech.frames(wants_usage), world.settings.frame_interval)
    } else {
        reply::json(StatusCode::OK, &speech.whole())
    }
}

/// What a chat completion says, before it is known whether at once or word by word.
struct Speech<'a> {
    id: String,
    created: i64,
    model: &'a str,
    words: Vec<&'a str>,
    finish_reason: &'a str,
    usage: Value,
}

impl Speech<'_> {
    fn whole(&self) -> Value {
        let message = json!({"role": "assistant", "content": self.words.concat(), "refusal": null});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason});
        json!({"id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
               "choices": [choice], "usage": self.usage})
    }

    /// One event each for the role, every word, the end and (if asked for) the usage; then `[DONE]`.
    fn frames(&self, wants_usage: bool) -> Vec<Bytes> {
        let part = |delta: &Value, finish_reason: Option<&str>| {
            self.event(
                &json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]),
                None,
            )
        };
        let mut frames = vec![part(&json!({"role": "assistant", "content": ""}), None)];
        frames.extend(self.words.iter().map(|word| part(&json!({"content": word}), None)));
        frames.push(part(&json!({}), Some(self.finish_reason)));
        if wants_usage {
            frames.push(self.event(&json!([]), Some(&self.usage)));
        }
        frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
        frames
    }

    fn event(&self, choices: &Value, usage: Option<&Value>) -> Bytes {
        let chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created,
                           "model": self.model, "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n").into()
    }
}

fn stream_of(frames: Vec<Bytes>, interval: Duration) -> Reply {
    let frames = stream::iter(frames)
        .enumerate()
        .then(move |(number, frame)| async move {
            if number > 0 && !interval.is_zero() {
                sleep(interval).await;
            }
            Ok::<_, Cut>(Frame::data(frame))
        });
    reply::stream(
        StatusCode::OK,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
        frames.boxed(),
    )
}

/// One vector for each input, the same for the same text. The official clients ask for base64 unless told otherwise.
fn embeddings(_: &World, request: &Value, model: &str) -> Reply {
    let inputs: Vec<String> = match request.get("input") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) if !items.is_empty() => items.iter().map(text_of).collect(),
        _ => {
            return error(
                StatusCode::BAD_REQUEST,
                "You must provide an input.",
                Some("input"),
                "missing_input",
            );
        }
    };
    let wants_base64 = request.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let vector = |text: &str| -> Value {
        let numbers = direction(text);
        if wants_base64 {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            BASE64.encode(&bytes).into()
        } else {
            json!(numbers)
        }
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text)}))
        .collect();
    let tokens: usize = inputs.iter().map(|text| tokens(text)).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    reply::json(
        StatusCode::OK,
        &json!({"object": "list", "data": data, "model": model, "usage": usage}),
    )
}

fn images(world: &World, request: &Value, _: &str) -> Reply {
    let Some(prompt) = request.get("prompt").and_then(Value::as_str) else {
        return error(
            StatusCode::BAD_REQUEST,
            "You must provide a prompt.",
            Some("prompt"),
            "missing_prompt",
        );
    };
    if prompt.contains("forbidden") {
        let message = "Your request was refused by the content filter.";
        return error(
            StatusCode::BAD_REQUEST,
            message,
            Some("prompt"),
            "content_policy_violation",
        );
    }
    let count = request
        .get("n")
        .and_then(Value::as_u64)
        .unwrap_or(1)
        .clamp(1, MAX_IMAGES);
    let wants_base64 = request.get("response_format").and_then(Value::as_str) == Some("b64_json");
    let data: Vec<Value> = (0..count)
        .map(|_| {
            if wants_base64 {
                json!({"b64_json": world.picture.base64()})
            } else {
                json!({"url": format!("{}/media/{}.png", world.origin, world.next_serial())})
            }
        })
        .collect();
    reply::json(
        StatusCode::OK,
        &json!({"created": world.clock.wall().as_seconds(), "data": data}),
    )
}

/// All the text in a message, a content part or an input, whatever its shape.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect(),
        Value::Object(fields) => ["content", "text"]
            .iter()
            .filter_map(|name| fields.get(*name))
            .map(text_of)
            .collect(),
        other => other.to_string(),
    }
}

/// A rough count: four bytes make a token.
fn tokens(text: &str) -> usize {
    text.len().div_ceil(4)
}

/// A vector of length 1 that depends on the bytes of `text` alone.
fn direction(text: &str) -> [f32; DIMENSIONS] {
    let mut sums = [1.0_f32; DIMENSIONS];
    for (sum, byte) in (0..DIMENSIONS).cycle().zip(text.bytes()) {
        if let Some(sum) = sums.get_mut(sum) {
            *sum += f32::from(byte);
        }
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    sums.map(|sum| sum / length)
}

/// The models that `GET /v1/models` lists. Calls may name any other.
const MODELS: [&str; 4] = [
    "gpt-4o-mini",
    "openai-gpt-oss-120b",
    "qwen3-vl-plus",
    "text-embedding-3-small",
];
/// What every chat completion says, one token a word.
const SPEECH: &str = "This is the sandbox: nothing was asked of a real model, and nothing will be charged.";
const DIMENSIONS: usize = 8;
const MAX_IMAGES: u64 = 10;
