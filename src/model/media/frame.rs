//! An image that a film starts from, or ends with.

use std::fmt;

use data_encoding::BASE64;
use serde_json::Value;

use super::error::InvalidRequest;
use crate::model::vision::{Image, ImageError, MediaType};

/// An image that a film starts from, or ends with: a URL for the provider to fetch, or a PNG or JPEG in base64.
///
/// The provider wants at most 4096² pixels, a short side of at least 320, and one side at most three times the other.
/// It looks at the pixels itself, and a refusal costs nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Linked(String),
    Inline(String),
}

impl Frame {
    /// The most bytes of an image, decoded: 4.7 MB, as the provider counts them.
    pub const MAX_BYTES: usize = 4_928_307;

    /// A file that was sent along.
    ///
    /// # Errors
    /// [`InvalidRequest`] where it is neither PNG nor JPEG, or too large.
    pub fn of_file(field: &'static str, file: &[u8]) -> Result<Self, InvalidRequest> {
        let found = MediaType::of(file);
        check(field, found, file.len())?;
        Ok(Self(Source::Inline(BASE64.encode(file))))
    }

    /// OpenAI's reference: an object with `image_url`, which is a URL or a data URL; or that text alone.
    ///
    /// # Errors
    /// [`InvalidRequest`] for anything else, and for what [`Frame::of_file`] refuses.
    pub fn read(field: &'static str, value: &Value) -> Result<Self, InvalidRequest> {
        let text = match value {
            Value::String(text) => text,
            Value::Object(members) => match (members.get("image_url"), members.get("file_id")) {
                (Some(Value::String(text)), None | Some(Value::Null)) => text,
                (_, Some(_)) => {
                    let reason = "files are not kept here: send the image itself, or image_url";
                    return Err(InvalidRequest::Unavailable { field, reason });
                }
                _ => return Err(shape(field)),
            },
            _ => return Err(shape(field)),
        };
        let image: Image = text.parse().map_err(|error| InvalidRequest::Image { field, error })?;
        let Some(media_type) = image.media_type() else {
            return Ok(Self(Source::Linked(image.to_string())));
        };
        // What is inline renders as a data URL in plain base64, whatever it was written as.
        let rendered = image.to_string();
        let base64 = rendered.split_once(',').map_or("", |(_, base64)| base64);
        let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
        check(field, Some(media_type), (base64.len() / 4 * 3).saturating_sub(padding))?;
        Ok(Self(Source::Inline(base64.to_owned())))
    }

    /// The URL, if it is one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match &self.0 {
            Source::Linked(url) => Some(url),
            Source::Inline(_) => None,
        }
    }

    /// The image in base64, if it is here.
    #[must_use]
    pub fn base64(&self) -> Option<&str> {
        match &self.0 {
            Source::Linked(_) => None,
            Source::Inline(base64) => Some(base64),
        }
    }
}

const fn shape(field: &'static str) -> InvalidRequest {
    let expected = "a PNG or JPEG file, or {\"image_url\": \"https://… or data:image/…;base64,…\"}";
    InvalidRequest::Invalid { field, expected }
}

fn check(field: &'static str, found: Option<MediaType>, length: usize) -> Result<(), InvalidRequest> {
    let Some(found) = found else {
        let error = ImageError::NotAnImage;
        return Err(InvalidRequest::Image { field, error });
    };
    if !matches!(found, MediaType::Png | MediaType::Jpeg) {
        let reason = "Jimeng takes PNG and JPEG only";
        return Err(InvalidRequest::Unavailable { field, reason });
    }
    if length > Frame::MAX_BYTES {
        let reason = "the image is larger than the 4.7 MB that Jimeng takes";
        return Err(InvalidRequest::Unavailable { field, reason });
    }
    Ok(())
}

/// Pictures and signed URLs stay out of logs.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Linked(_) => f.write_str("Frame(URL)"),
            Source::Inline(base64) => write!(f, "Frame({} characters)", base64.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\xfb\xff\xbf\xfe?";

    fn read(value: &Value) -> Result<Frame, InvalidRequest> {
        Frame::read("input_reference", value)
    }

    #[test]
    fn a_file_a_data_url_and_a_url_are_frames() {
        let base64 = BASE64.encode(PNG);
        let file = Frame::of_file("input_reference", PNG).unwrap();
        assert_eq!(file.base64(), Some(base64.as_str()));
        for value in [
            json!({"image_url": format!("data:image/png;base64,{base64}")}),
            json!(format!("data:image/png;base64,{base64}")),
            json!({"image_url": base64, "file_id": null}),
        ] {
            assert_eq!(read(&value).as_ref(), Ok(&file));
        }
        let linked = read(&json!({"image_url": "https://example.com/a.png"})).unwrap();
        assert_eq!(
            (linked.url(), linked.base64()),
            (Some("https://example.com/a.png"), None)
        );
        assert_eq!(format!("{linked:?} {file:?}"), "Frame(URL) Frame(20 characters)");
    }

    #[test]
    fn what_jimeng_cannot_start_from_is_refused() {
        for (value, part) in [
            (json!({"file_id": "file-1"}), "not kept"),
            (
                json!({"file_id": "file-1", "image_url": "https://example.com/a.png"}),
                "not kept",
            ),
            (json!({}), "PNG or JPEG file"),
            (json!(5), "PNG or JPEG file"),
            (json!({"image_url": {"url": "https://example.com"}}), "PNG or JPEG file"),
            (json!({"image_url": "http://169.254.169.254/latest"}), "public internet"),
            (
                json!({"image_url": "data:image/gif;base64,R0lGODlhAQABAAAAADs="}),
                "PNG and JPEG only",
            ),
            (json!({"image_url": "aGVsbG8gd29ybGQ="}), "is no PNG"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.to_string().contains(part), "{value}: {error}");
            assert_eq!(error.field(), Some("input_reference"));
        }
        for file in [b"".as_slice(), b"GIF89a\x01\0", b"\0\0\0\x18ftypmp42"] {
            assert!(Frame::of_file("input_reference", file).is_err());
        }
    }

    #[test]
    fn an_image_has_at_most_what_the_provider_takes() {
        let mut file = PNG.to_vec();
        file.resize(Frame::MAX_BYTES, 0);
        assert!(Frame::of_file("input_reference", &file).is_ok());
        file.push(0);
        let error = Frame::of_file("input_reference", &file).unwrap_err();
        assert!(error.to_string().contains("4.7 MB"), "{error}");
    }
}
