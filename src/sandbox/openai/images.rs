//! `POST /v1/images/generations`.

use http::StatusCode;
use serde_json::{Value, json};

use super::Asked;
use super::refusal::Refusal;
use crate::sandbox::link::Link;
use crate::sandbox::media::Medium;
use crate::sandbox::reply::{self, Reply};

/// Links to the one picture, or the picture itself. Models named `gpt-image-…` know no links, as OpenAI's do not.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let Some(prompt) = asked.field("prompt").and_then(Value::as_str) else {
        let refusal = Refusal::invalid("Missing required parameter: 'prompt'.", "prompt");
        return Err(refusal.with_code("missing_required_parameter"));
    };
    if prompt.contains("forbidden") {
        return Err(Refusal::filtered("prompt", "content_policy_violation"));
    }
    let count = asked.count("n", MAX_IMAGES).unwrap_or(1).max(1);
    let format = asked.field("response_format").and_then(Value::as_str);
    let wants_base64 = format == Some("b64_json") || asked.model.starts_with("gpt-image");
    let data: Vec<Value> = (0..count)
        .map(|_| {
            if wants_base64 {
                json!({"b64_json": asked.world.picture.base64()})
            } else {
                let name = asked.world.next_serial();
                let link = Link::new(asked.world, asked.manner, name, Medium::Picture);
                json!({"url": link.to_string()})
            }
        })
        .collect();
    let usage = json!({"input_tokens": 1, "output_tokens": count, "total_tokens": count + 1,
                       "input_tokens_details": {"text_tokens": 1, "image_tokens": 0}});
    Ok(reply::json(
        StatusCode::OK,
        &json!({"created": asked.now(), "data": data, "usage": usage}),
    ))
}

const MAX_IMAGES: u64 = 10;
