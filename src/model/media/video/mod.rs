//! What `/v1/videos` asks of a Jimeng model.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::aspect::AspectRatio;
use super::error::InvalidRequest;
use super::frame::Frame;
use super::image::model;
use super::prompt::Prompt;
use super::size::pixels;

/// A film to make, in OpenAI's shape.
///
/// `tail_reference`, `seed`, `template_id` and `camera_strength` are Jimeng's own. There are no other fields: what we
/// would not pass on is not silently left out of something that costs money.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoRequest {
    /// The model; `None` where it is left to the default.
    pub model: Option<String>,
    /// What to make.
    pub prompt: Prompt,
    /// How long.
    pub seconds: Seconds,
    /// Its size, as the answer repeats it. Only a film without a first frame is made in its shape.
    pub size: VideoSize,
    /// The first frame.
    pub first: Option<Frame>,
    /// The last frame.
    pub tail: Option<Frame>,
    /// How the camera moves.
    pub camera: Option<Camera>,
    /// Where chance begins; -1 and `None` for anywhere.
    pub seed: Option<i64>,
}

/// How the camera moves through a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// One of the provider's templates, such as `hitchcock_dolly_in`.
    pub template_id: String,
    /// `weak`, `medium` or `strong`; `None` leaves it to the provider.
    pub strength: Option<String>,
}

/// How long a film is to be, as it was asked for: 4, 5, 8 or 10 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(u8);

impl Seconds {
    /// How many frames that is: Jimeng makes five seconds or ten, at 24 a second, and one frame more.
    #[must_use]
    pub const fn frames(self) -> u16 {
        if self.0 <= 5 { 121 } else { 241 }
    }
}

/// OpenAI's default, of which Jimeng makes five.
impl Default for Seconds {
    fn default() -> Self {
        Self(4)
    }
}

/// As it was asked for.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How large a film is to be, as it was asked for, and the shape of it. How many lines it has is the model's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoSize {
    text: String,
    ratio: AspectRatio,
}

impl VideoSize {
    /// The shape.
    #[must_use]
    pub const fn ratio(&self) -> AspectRatio {
        self.ratio
    }

    /// Reads OpenAI's `size`, or one of Jimeng's shapes, such as `16:9`.
    fn read(text: &str) -> Result<Self, InvalidRequest> {
        let named = AspectRatio::ALL.into_iter().find(|ratio| ratio.label() == text);
        let ratio = match (named, pixels(text)) {
            (Some(ratio), _) => ratio,
            (None, Some((width, height))) => AspectRatio::of(width, height).ok_or_else(|| {
                let problem = "is not made: Jimeng's shapes are 16:9, 4:3, 1:1, 3:4, 9:16 and 21:9";
                InvalidRequest::size(text, problem)
            })?,
            (None, None) => {
                return Err(InvalidRequest::size(text, "is not a size: write one such as 1280x720"));
            }
        };
        Ok(Self {
            text: text.to_owned(),
            ratio,
        })
    }
}

/// OpenAI's default: an upright film.
impl Default for VideoSize {
    fn default() -> Self {
        Self {
            text: "720x1280".to_owned(),
            ratio: AspectRatio::Tall,
        }
    }
}

/// As it was asked for.
impl fmt::Display for VideoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl VideoRequest {
    /// The preset that makes it where it names no model: the one of 720 lines that takes what it brings.
    #[must_use]
    pub const fn usual_model(&self) -> &'static str {
        match (&self.camera, &self.first, &self.tail) {
            (Some(_), _, _) => "i2v-recamera",
            (None, None, None) => "t2v-720",
            (None, Some(_), None) => "i2v-first-720",
            (None, _, Some(_)) => "i2v-first-tail-720",
        }
    }

    /// Reads a JSON body.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first field that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Self::read(fields, BTreeMap::new()),
            _ => Err(InvalidRequest::NotAnObject),
        }
    }

    /// Reads fields and the files that came with them. In a form every field is a text, so numbers may be texts.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first field that is wrong.
    pub fn read(mut fields: Map<String, Value>, mut files: BTreeMap<String, Bytes>) -> Result<Self, InvalidRequest> {
        let mut frame =
            |fields: &mut Map<String, Value>, field: &'static str| match (files.remove(field), take(fields, field)) {
                (None, None) => Ok(None),
                (Some(file), None) => Frame::of_file(field, &file).map(Some),
                (None, Some(value)) => Frame::read(field, &value).map(Some),
                (Some(_), Some(_)) => Err(InvalidRequest::Unavailable {
                    field,
                    reason: "send one image, not two",
                }),
            };
        let (first, tail) = (
            frame(&mut fields, "input_reference")?,
            frame(&mut fields, "tail_reference")?,
        );
        let request = Self {
            model: take(&mut fields, "model").map(model).transpose()?,
            prompt: Prompt::read(take(&mut fields, "prompt"))?,
            seconds: take(&mut fields, "seconds").map_or(Ok(Seconds::default()), |value| seconds(&value))?,
            size: take(&mut fields, "size").map_or(Ok(VideoSize::default()), |value| size(&value))?,
            first,
            tail,
            camera: camera(&mut fields)?,
            seed: take(&mut fields, "seed").map(|value| seed(&value)).transpose()?,
        };
        // What our users, and OpenAI's, call themselves.
        fields.retain(|name, value| !(value.is_null() || name == "user" || name == "safety_identifier"));
        if let Some(name) = fields.keys().chain(files.keys()).next() {
            return Err(InvalidRequest::unknown(name));
        }
        Ok(request)
    }
}

fn take(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    fields.remove(name).filter(|value| !value.is_null())
}

/// A whole number, or the text of one.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn seconds(value: &Value) -> Result<Seconds, InvalidRequest> {
    match whole(value) {
        Some(4) => Ok(Seconds(4)),
        Some(5) => Ok(Seconds(5)),
        Some(8) => Ok(Seconds(8)),
        Some(10) => Ok(Seconds(10)),
        _ => Err(InvalidRequest::Invalid {
            field: "seconds",
            expected: "4 or 5 (Jimeng makes five), or 8 or 10 (ten)",
        }),
    }
}

fn size(value: &Value) -> Result<VideoSize, InvalidRequest> {
    let expected = "a text such as 1280x720";
    value
        .as_str()
        .ok_or(InvalidRequest::Invalid {
            field: "size",
            expected,
        })
        .and_then(VideoSize::read)
}

fn seed(value: &Value) -> Result<i64, InvalidRequest> {
    whole(value).filter(|seed| *seed >= -1).ok_or(InvalidRequest::Invalid {
        field: "seed",
        expected: "a whole number, or -1 for any",
    })
}

fn camera(fields: &mut Map<String, Value>) -> Result<Option<Camera>, InvalidRequest> {
    let (template, strength) = (take(fields, "template_id"), take(fields, "camera_strength"));
    let Some(template) = template else {
        return strength.map_or(Ok(None), |_| {
            Err(InvalidRequest::Unavailable {
                field: "camera_strength",
                reason: "write a template_id with it",
            })
        });
    };
    let word =
        |text: &&str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let template_id = template.as_str().filter(word).ok_or(InvalidRequest::Invalid {
        field: "template_id",
        expected: "one of Jimeng's templates, such as hitchcock_dolly_in",
    })?;
    let strength = strength.map(|value| match value.as_str() {
        Some(strength @ ("weak" | "medium" | "strong")) => Ok(strength.to_owned()),
        _ => Err(InvalidRequest::Invalid {
            field: "camera_strength",
            expected: "weak, medium or strong",
        }),
    });
    Ok(Some(Camera {
        template_id: template_id.to_owned(),
        strength: strength.transpose()?,
    }))
}

#[cfg(test)]
mod tests;
