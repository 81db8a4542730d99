//! The bodies that go upstream: one submit for each thing that is made, and the query for its task.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::InvalidRequest;
use super::frame::Frame;
use super::image::ImageRequest;
use super::preset::{ImageModel, Takes, VideoModel};
use super::video::VideoRequest;

/// The submit of one of a request's images, `index` counted from zero.
///
/// `force_single` keeps a task from making several, each of which would be paid for. With a seed of the caller's, each
/// image begins at the next one, so that they differ; without, the provider throws dice.
#[must_use]
pub fn image_submit(model: &ImageModel, request: &ImageRequest, index: u8) -> Bytes {
    let mut body = request.extras.clone();
    put(&mut body, "req_key", model.req_key());
    put(&mut body, "prompt", request.prompt.as_str());
    put(&mut body, "force_single", true);
    if let Some(size) = request.size {
        put(&mut body, "width", size.width());
        put(&mut body, "height", size.height());
    }
    if let Some(seed) = request.seed {
        let of_this = if seed < 0 {
            seed
        } else {
            seed.saturating_add(i64::from(index))
        };
        put(&mut body, "seed", of_this);
    }
    written(body)
}

/// The submit of a film.
///
/// # Errors
/// [`InvalidRequest::Unfit`] where the model takes other images than the request has.
pub fn video_submit(model: VideoModel, request: &VideoRequest) -> Result<Bytes, InvalidRequest> {
    let frames = frames(model, request)?;
    let mut body = Map::new();
    put(&mut body, "req_key", model.req_key());
    put(&mut body, "prompt", request.prompt.as_str());
    put(&mut body, "frames", request.seconds.frames());
    if let Some(seed) = request.seed {
        put(&mut body, "seed", seed);
    }
    match (model.takes(), &request.camera) {
        (Takes::Recamera, Some(camera)) => {
            put(&mut body, "template_id", camera.template_id.as_str());
            if let Some(strength) = &camera.strength {
                put(&mut body, "camera_strength", strength.as_str());
            }
        }
        (Takes::Recamera, None) => {
            return Err(unfit(
                model,
                "needs a template_id, which says how the camera moves",
                "template_id",
            ));
        }
        (_, Some(_)) => return Err(unfit(model, "moves no camera", "template_id")),
        (_, None) => {}
    }
    if frames.is_empty() {
        put(&mut body, "aspect_ratio", request.size.ratio().label());
        return Ok(written(body));
    }
    let (links, inline): (Vec<_>, Vec<_>) = (
        frames.iter().filter_map(|frame| frame.url()).collect(),
        frames.iter().filter_map(|frame| frame.base64()).collect(),
    );
    match (links.is_empty(), inline.is_empty()) {
        (false, true) => put(&mut body, "image_urls", links),
        (true, _) => put(&mut body, "binary_data_base64", inline),
        (false, false) => {
            return Err(unfit(
                model,
                "takes two URLs or two images, not one of each",
                "tail_reference",
            ));
        }
    }
    Ok(written(body))
}

/// The query for a task. A picture is asked for as a URL: in base64 it can be larger than what a reply may hold.
#[must_use]
pub fn query(req_key: &str, task_id: &str) -> Bytes {
    // The provider wants a JSON text inside the JSON; for films it looks away.
    let options = json!({"return_url": true}).to_string();
    let query = json!({"req_key": req_key, "task_id": task_id, "req_json": options});
    Bytes::from(query.to_string())
}

/// The frames that are sent, in order.
fn frames(model: VideoModel, request: &VideoRequest) -> Result<Vec<&Frame>, InvalidRequest> {
    const FIRST: &str = "input_reference";
    const TAIL: &str = "tail_reference";
    match (model.takes(), &request.first, &request.tail) {
        (Takes::Text | Takes::TextOrFirst, None, None) => Ok(Vec::new()),
        (Takes::Text, Some(_), _) => Err(unfit(model, "makes a film of words alone, without an image", FIRST)),
        (Takes::First | Takes::TextOrFirst | Takes::Recamera, Some(first), None) => Ok(vec![first]),
        (Takes::FirstAndTail, Some(first), Some(tail)) => Ok(vec![first, tail]),
        (Takes::FirstAndTail, Some(_), None) => Err(unfit(model, "needs the last frame as tail_reference", TAIL)),
        (Takes::First | Takes::FirstAndTail | Takes::Recamera, None, _) => {
            Err(unfit(model, "needs the first frame as input_reference", FIRST))
        }
        (_, _, Some(_)) => Err(unfit(model, "takes no last frame", TAIL)),
    }
}

const fn unfit(model: VideoModel, needs: &'static str, field: &'static str) -> InvalidRequest {
    InvalidRequest::Unfit {
        model: model.name(),
        needs,
        field,
    }
}

fn put(body: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    body.insert(field.to_owned(), value.into());
}

fn written(body: Map<String, Value>) -> Bytes {
    Bytes::from(Value::Object(body).to_string())
}

#[cfg(test)]
mod tests;
