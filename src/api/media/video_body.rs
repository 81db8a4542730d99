//! What `POST /v1/videos` takes: the form that OpenAI's SDKs always send, or JSON.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use poem::Request;
use poem_openapi::ApiExtractorType;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use serde_json::json;

use super::form::Form;
use crate::api::error::{ApiError, Code};
use crate::api::guard::TakesBody;
use crate::model::media::VideoRequest;

/// A video that is asked for.
#[derive(Debug)]
pub struct VideoBody {
    /// What is asked for.
    pub request: VideoRequest,
    /// The body it was read from, which holds its share of the memory for bodies.
    pub share: Bytes,
}

impl TakesBody for VideoBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::RequestObject];

    fn meta() -> Option<MetaRequest> {
        let content = |content_type, title: &str, image| MetaMediaType {
            content_type,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
                title: Some(title.to_owned()),
                ..schema(image)
            })),
        };
        let file = MetaSchema {
            format: Some("binary"),
            description: Some("A PNG or JPEG of at most 4.7 MB."),
            ..MetaSchema::new("string")
        };
        let reference = MetaSchema {
            description: Some("`{\"image_url\": …}`: a URL, or a data URL of a PNG or JPEG."),
            ..MetaSchema::new("object")
        };
        Some(MetaRequest {
            description: None,
            content: vec![
                content(FORM, "CreateVideoForm", file),
                content(JSON, "CreateVideo", reference),
            ],
            required: true,
        })
    }

    fn register(_registry: &mut Registry) {}

    fn parse(request: &Request, bytes: Bytes) -> Result<Self, ApiError> {
        let named = request.headers().get(CONTENT_TYPE);
        let content_type = named.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let asked = if essence.eq_ignore_ascii_case(FORM) {
            let form =
                Form::read(content_type, bytes.clone()).map_err(|error| ApiError::validation(error.to_string()))?;
            VideoRequest::read(form.fields, form.files)?
        } else if essence.eq_ignore_ascii_case(JSON) {
            VideoRequest::parse(&bytes)?
        } else {
            let sentence = "the body must be multipart/form-data or application/json";
            return Err(ApiError::new(Code::UnsupportedMediaType, sentence));
        };
        Ok(Self {
            request: asked,
            share: bytes,
        })
    }
}

fn schema(image: MetaSchema) -> MetaSchema {
    let text = |description| MetaSchema {
        description: Some(description),
        ..MetaSchema::new("string")
    };
    let needed = |description| MetaSchemaRef::Inline(Box::new(text(description)));
    let optional = |description| {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            nullable: true,
            ..text(description)
        }))
    };
    let image = MetaSchemaRef::Inline(Box::new(image));
    MetaSchema {
        required: vec!["prompt"],
        properties: vec![
            ("prompt", needed("What to make, in at most 800 characters.")),
            (
                "model",
                optional("A preset such as `t2v-720` or `i2v-first`, or a `req_key` of Volcengine's."),
            ),
            ("seconds", optional("`4` or `5` for five seconds, `8` or `10` for ten.")),
            (
                "size",
                optional("Its shape, such as `1280x720` or `16:9`. A film of an image has the image's."),
            ),
            ("input_reference", image.clone()),
            ("tail_reference", image),
            (
                "seed",
                optional("A whole number that makes chance repeatable; `-1` for any."),
            ),
            (
                "template_id",
                optional("For `i2v-recamera`: how the camera moves, such as `hitchcock_dolly_in`."),
            ),
            (
                "camera_strength",
                optional("For `i2v-recamera`: `weak`, `medium` or `strong`."),
            ),
        ],
        example: Some(json!({ "model": "t2v-720", "prompt": "waves at dusk", "seconds": "4", "size": "1280x720" })),
        ..MetaSchema::new("object")
    }
}

const FORM: &str = "multipart/form-data";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn parse(content_type: &str, body: &'static str) -> Result<VideoBody, ApiError> {
        let request = Request::builder().header(CONTENT_TYPE, content_type).finish();
        VideoBody::parse(&request, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_form_and_json_say_the_same() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nwaves\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"seconds\"\r\n\r\n8\r\n--b--\r\n";
        let form = parse("multipart/form-data; boundary=b", form).unwrap();
        let json = parse("application/json; charset=utf-8", r#"{"prompt":"waves","seconds":"8"}"#).unwrap();
        assert_eq!(form.request, json.request);
    }

    #[test]
    fn another_kind_of_body_is_415_and_a_wrong_field_400() {
        let status = |error: ApiError| poem::IntoResponse::into_response(error).status();
        for content_type in ["", "text/plain", "application/x-www-form-urlencoded"] {
            let error = parse(content_type, "prompt=x").unwrap_err();
            assert_eq!(status(error), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        }
        for (content_type, body) in [
            ("application/json", "{}"),
            ("application/json", ""),
            ("multipart/form-data", "--b--"),
            ("multipart/form-data; boundary=b", "--b--\r\n"),
        ] {
            let error = parse(content_type, body).unwrap_err();
            assert_eq!(status(error), StatusCode::BAD_REQUEST, "{content_type} {body}");
        }
    }
}
