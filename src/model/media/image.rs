//! What `/v1/images/generations` asks of a Jimeng model.

use serde_json::{Map, Value};

use super::error::InvalidRequest;
use super::prompt::Prompt;
use super::size::ImageSize;
use crate::model::control::reads_as;

/// Images to make, in OpenAI's shape.
///
/// - OpenAI's wishes about looks, moderation and people (`quality`, `style`, `moderation`, `user`, …) are read over:
///   Jimeng has no such switch, and the price is the same.
/// - What would make another answer than is asked for is refused: streams, transparency, films and drawings.
/// - Jimeng's own fields (`image_urls`, `scale`, `min_ratio`, `use_pre_llm`, …) pass as they are, but for those that
///   are said in another way here (`width`, `height`) and those that decide how many images are made and paid for.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRequest {
    /// The model; `None` where it is left to the default.
    pub model: Option<String>,
    /// What to make.
    pub prompt: Prompt,
    /// How many images, 1 to 10. Each is a task of its own.
    pub count: u8,
    /// How large; `None` leaves it to Jimeng (2048², or what the prompt says).
    pub size: Option<ImageSize>,
    /// How the images are handed over.
    pub delivery: Delivery,
    /// Where chance begins; -1 and `None` for anywhere. Only some models look at it.
    pub seed: Option<i64>,
    /// Jimeng's own fields, none of which is one that we write ourselves.
    pub(super) extras: Map<String, Value>,
}

/// How images are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As the provider's URLs, which work for a day.
    #[default]
    Url,
    /// As base64 inside the answer.
    Base64,
}

impl ImageRequest {
    /// The most images of one request.
    pub const MAX_COUNT: u8 = 10;

    /// Reads a JSON body.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first field that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            return Err(InvalidRequest::NotAnObject);
        };
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_null());
        let request = Self {
            model: take("model").map(model).transpose()?,
            prompt: Prompt::read(take("prompt"))?,
            count: take("n").map_or(Ok(1), |n| count(&n))?,
            size: take("size").map_or(Ok(None), |value| size(&value))?,
            delivery: take("response_format").map_or(Ok(Delivery::Url), |format| delivery(&format))?,
            seed: take("seed").map(|value| seed(&value)).transpose()?,
            extras: Map::new(),
        };
        fields.retain(|_, value| !value.is_null());
        for wish in WISHES {
            if fields.remove(wish.field).is_some_and(|value| !(wish.is_met)(&value)) {
                return Err(InvalidRequest::Unavailable {
                    field: wish.field,
                    reason: wish.reason,
                });
            }
        }
        for field in READ_OVER {
            fields.remove(*field);
        }
        // A parser that folds case would take these for the fields that we write.
        let ours = |name: &String| OURS.iter().any(|field| reads_as(name, field));
        if let Some(name) = fields.keys().find(|name| ours(name)) {
            return Err(InvalidRequest::unknown(name));
        }
        Ok(Self {
            extras: fields,
            ..request
        })
    }
}

pub(super) fn model(value: Value) -> Result<String, InvalidRequest> {
    match value {
        Value::String(model) => Ok(model),
        _ => Err(InvalidRequest::Invalid {
            field: "model",
            expected: "a text",
        }),
    }
}

fn count(value: &Value) -> Result<u8, InvalidRequest> {
    let count = value.as_u64().and_then(|n| u8::try_from(n).ok());
    count
        .filter(|n| (1..=ImageRequest::MAX_COUNT).contains(n))
        .ok_or(InvalidRequest::Invalid {
            field: "n",
            expected: "a whole number from 1 to 10",
        })
}

fn size(value: &Value) -> Result<Option<ImageSize>, InvalidRequest> {
    let expected = "a text such as 2048x2048, or auto";
    let text = value.as_str().ok_or(InvalidRequest::Invalid {
        field: "size",
        expected,
    })?;
    ImageSize::read(text)
}

fn delivery(value: &Value) -> Result<Delivery, InvalidRequest> {
    match value.as_str() {
        Some("url") => Ok(Delivery::Url),
        Some("b64_json") => Ok(Delivery::Base64),
        _ => Err(InvalidRequest::Invalid {
            field: "response_format",
            expected: "url or b64_json",
        }),
    }
}

fn seed(value: &Value) -> Result<i64, InvalidRequest> {
    value
        .as_i64()
        .filter(|seed| *seed >= -1)
        .ok_or(InvalidRequest::Invalid {
            field: "seed",
            expected: "a whole number, or -1 for any",
        })
}

/// A field that is refused, unless it asks for what is made anyway.
struct Wish {
    field: &'static str,
    is_met: fn(&Value) -> bool,
    reason: &'static str,
}

impl Wish {
    const fn new(field: &'static str, is_met: fn(&Value) -> bool, reason: &'static str) -> Self {
        Self { field, is_met, reason }
    }

    const fn never(field: &'static str, reason: &'static str) -> Self {
        Self::new(field, |_| false, reason)
    }
}

const WISHES: &[Wish] = &[
    Wish::new(
        "stream",
        |value| value == &Value::Bool(false),
        "a Jimeng image comes whole, not as a stream",
    ),
    Wish::new(
        "partial_images",
        |value| value.as_u64() == Some(0),
        "a Jimeng image comes whole, not in parts",
    ),
    Wish::new(
        "background",
        |value| matches!(value.as_str(), Some("auto" | "opaque")),
        "Jimeng paints no transparent background",
    ),
    Wish::new(
        "output_format",
        |value| matches!(value.as_str(), Some("png" | "jpeg")),
        "Jimeng makes PNG or JPEG, as it chooses",
    ),
    Wish::never("svg", "Jimeng makes no drawings"),
    Wish::never("frame_count", "Jimeng makes no moving images here; ask for a video"),
    Wish::never(
        "frame_duration_ms",
        "Jimeng makes no moving images here; ask for a video",
    ),
    Wish::new(
        "force_single",
        |value| value == &Value::Bool(true),
        "each image is a task of its own; write n for several",
    ),
    Wish::never("width", "write size, such as 2048x1024"),
    Wish::never("height", "write size, such as 2048x1024"),
    Wish::never("req_key", "write model"),
    Wish::new(
        "return_url",
        Value::is_boolean,
        "write response_format: url or b64_json",
    ),
];

/// OpenAI's fields that change neither what is made nor what is paid.
const READ_OVER: &[&str] = &[
    "quality",
    "style",
    "moderation",
    "user",
    "safety_identifier",
    "output_compression",
    "complexity",
    "prompt_rewriter",
];

/// What we write ourselves into a submit or a query, in any spelling.
const OURS: &[&str] = &[
    "req_key",
    "prompt",
    "force_single",
    "width",
    "height",
    "size",
    "seed",
    "model",
    "n",
    "task_id",
    "req_json",
    "return_url",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<ImageRequest, InvalidRequest> {
        ImageRequest::parse(body.to_string().as_bytes())
    }

    fn refusal(body: &Value) -> String {
        parse(body).expect_err(&body.to_string()).to_string()
    }

    #[test]
    fn what_openais_sdk_sends_is_read() {
        let request = parse(&json!({
            "model": "jimeng_t2i_v40", "prompt": "a lighthouse", "n": 3, "size": "1536x1024",
            "response_format": "b64_json", "quality": "hd", "style": "vivid", "user": "u-1", "moderation": "low",
            "background": "auto", "output_format": "png", "stream": false, "partial_images": 0,
        }))
        .unwrap();
        assert_eq!(request.model.as_deref(), Some("jimeng_t2i_v40"));
        assert_eq!(request.prompt.as_str(), "a lighthouse");
        assert_eq!((request.count, request.delivery), (3, Delivery::Base64));
        assert_eq!(request.size.map(|size| size.to_string()).as_deref(), Some("1536x1024"));
        assert!(request.extras.is_empty());
    }

    #[test]
    fn a_prompt_is_enough_and_null_stands_for_nothing() {
        let plain = parse(&json!({"prompt": "x"})).unwrap();
        assert_eq!((plain.count, plain.size, plain.delivery), (1, None, Delivery::Url));
        let nulls = json!({
            "prompt": "x", "model": null, "n": null, "size": null, "response_format": null, "seed": null,
            "stream": null, "background": null, "scale": null, "width": null,
        });
        assert_eq!(parse(&nulls), Ok(plain));
    }

    #[test]
    fn jimengs_own_fields_pass_as_they_are() {
        let request = parse(&json!({
            "prompt": "x", "image_urls": ["https://example.com/a.png"], "scale": 0.7, "seed": 7, "new": {"a": [1]},
        }))
        .unwrap();
        assert_eq!(request.seed, Some(7));
        assert_eq!(
            Value::Object(request.extras),
            json!({"image_urls": ["https://example.com/a.png"], "scale": 0.7, "new": {"a": [1]}})
        );
    }

    #[test]
    fn what_would_make_another_answer_than_is_asked_for_is_refused_by_name() {
        for (field, value) in [
            ("stream", json!(true)),
            ("partial_images", json!(2)),
            ("background", json!("transparent")),
            ("output_format", json!("gif")),
            ("output_format", json!("webp")),
            ("svg", json!({})),
            ("frame_count", json!(9)),
            ("force_single", json!(false)),
            ("width", json!(2048)),
            ("height", json!(2048)),
            ("req_key", json!("jimeng_t2i_v40")),
            ("n", json!(0)),
            ("n", json!(11)),
            ("n", json!("3")),
            ("n", json!(1.5)),
            ("size", json!(4_194_304)),
            ("response_format", json!("png")),
            ("seed", json!(-2)),
            ("model", json!(1)),
        ] {
            let body = json!({"prompt": "x", field: value});
            let error = parse(&body).expect_err(&body.to_string());
            assert_eq!(error.field(), Some(field), "{error}");
        }
    }

    #[test]
    fn a_field_that_a_folding_parser_would_take_for_one_of_ours_is_refused() {
        for name in [
            "Force_Single",
            "WIDTH",
            "Req_Key",
            "Prompt",
            "N",
            "force_\u{17f}ingle",
            "width\0",
        ] {
            assert!(
                refusal(&json!({"prompt": "x", name: 1})).contains("is not a field"),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[]", "null", "\"x\"", "{", "{\"prompt\":\"x\"} {}"] {
            assert_eq!(
                ImageRequest::parse(body.as_bytes()),
                Err(InvalidRequest::NotAnObject),
                "{body}"
            );
        }
    }
}
