//! `GET /v1/models` and `GET /v1/models/{id}`.

use http::StatusCode;
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::sandbox::reply::{self, Reply};

/// Answers for what follows `models` in the path: nothing, or `/` and an id, whose own `/` may be `%2F`.
pub(super) fn answer(rest: &str) -> Result<Reply, Refusal> {
    let body = match rest.strip_prefix('/') {
        None if rest.is_empty() => json!({"object": "list", "data": MODELS.map(describe)}),
        None => return Ok(reply::not_found()),
        Some(id) => {
            let id = id.replace("%2F", "/").replace("%2f", "/");
            let known = MODELS.iter().find(|known| **known == id);
            describe(known.ok_or_else(|| Refusal::unknown_model(&id))?)
        }
    };
    Ok(reply::json(StatusCode::OK, &body))
}

fn describe(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "sandbox"})
}

/// The models that are listed. Calls may name any other.
const MODELS: [&str; 6] = [
    "gpt-4o-mini",
    "openai-gpt-oss-120b",
    "deepseek-ai/deepseek-v3.1",
    "qwen3-vl-plus",
    "text-embedding-3-small",
    "gpt-image-1",
];
