//! `POST /v1/embeddings`.

use data_encoding::BASE64;
use http::StatusCode;
use serde_json::{Value, json};

use super::Asked;
use super::refusal::Refusal;
use super::request::{text_of, tokens};
use crate::sandbox::reply::{self, Reply};

/// One vector for each input, the same for the same text. The official clients ask for base64 unless told otherwise.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let inputs: Vec<String> = match asked.field("input") {
        Some(Value::String(text)) => vec![text.clone()],
        // Numbers are the tokens of one text.
        Some(Value::Array(items)) if items.iter().any(Value::is_number) => vec![items.iter().map(text_of).collect()],
        Some(Value::Array(items)) if !items.is_empty() => items.iter().map(text_of).collect(),
        _ => return Err(Refusal::invalid("'$.input' is invalid.", "input")),
    };
    let dimensions = asked.count("dimensions", MAX_DIMENSIONS).unwrap_or(DIMENSIONS).max(1);
    let wants_base64 = asked.field("encoding_format").and_then(Value::as_str) == Some("base64");
    let vector = |text: &str| -> Value {
        let numbers = direction(text, dimensions);
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
    Ok(reply::json(
        StatusCode::OK,
        &json!({"object": "list", "data": data, "model": asked.model, "usage": usage}),
    ))
}

/// A vector of length 1 that depends on the bytes of `text` alone.
fn direction(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sums = vec![1.0_f32; dimensions];
    for (place, byte) in (0..dimensions).cycle().zip(text.bytes()) {
        if let Some(sum) = sums.get_mut(place) {
            *sum += f32::from(byte);
        }
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    sums.iter().map(|sum| sum / length).collect()
}

const DIMENSIONS: usize = 8;
/// The most that OpenAI's own models have.
const MAX_DIMENSIONS: u64 = 3072;
