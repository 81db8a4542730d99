//! The pictures in a request.

use data_encoding::BASE64;
use serde_json::Value;

use super::refusal::Refusal;

/// One line about every picture in `messages`, e.g. `image/png of 68 bytes` or `a link to example.com`.
///
/// # Errors
/// The [`Refusal`] of something that is neither a link nor a data URL with base64.
pub(super) fn pictures(messages: &[Value]) -> Result<Vec<String>, Refusal> {
    let parts = messages
        .iter()
        .filter_map(|message| message.get("content")?.as_array())
        .flatten();
    parts.filter_map(url_of).map(describe).collect()
}

/// The URL in a part of type `image_url` (chat) or `input_image` (responses).
fn url_of(part: &Value) -> Option<&str> {
    let image = part.get("image_url")?;
    Some(image.get("url").unwrap_or(image).as_str().unwrap_or_default())
}

fn describe(url: &str) -> Result<String, Refusal> {
    if let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        return Ok(format!("a link to {host}"));
    }
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let bytes = data.and_then(|(media_type, text)| Some((media_type, BASE64.decode(text.as_bytes()).ok()?)));
    match bytes {
        Some((media_type, bytes)) if !bytes.is_empty() => Ok(format!("{media_type} of {} bytes", bytes.len())),
        _ => {
            let message = "You uploaded an unsupported image. Please make sure your image is valid.";
            Err(Refusal::invalid(message, "messages").with_code("invalid_image_format"))
        }
    }
}
