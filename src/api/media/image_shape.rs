//! What `/v1/images/generations` answers for a Jimeng model, in OpenAI's shape.

use poem_openapi::Object;

use crate::model::clock::Timestamp;

/// Images that were made.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ImagesResponse {
    /// When, in seconds since 1970.
    pub created: i64,
    /// The images, in the order of their tasks.
    pub data: Vec<MadeImage>,
    /// How large they are, as it was asked for; absent where the provider chose.
    pub size: Option<String>,
}

/// One image: its URL or its bytes.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct MadeImage {
    /// Where the provider keeps it, for a day.
    pub url: Option<String>,
    /// The file in base64.
    pub b64_json: Option<String>,
}

impl ImagesResponse {
    /// Images that were made at `created`.
    #[must_use]
    pub fn new(created: Timestamp, data: Vec<MadeImage>, size: Option<String>) -> Self {
        Self {
            created: created.as_seconds(),
            data,
            size,
        }
    }
}

impl MadeImage {
    /// An image at the provider's.
    #[must_use]
    pub const fn linked(url: String) -> Self {
        Self {
            url: Some(url),
            b64_json: None,
        }
    }

    /// An image in base64.
    #[must_use]
    pub const fn inline(base64: String) -> Self {
        Self {
            url: None,
            b64_json: Some(base64),
        }
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_what_openais_sdk_reads_and_no_nulls() {
        let images = vec![
            MadeImage::linked("https://a/1".to_owned()),
            MadeImage::inline("aGk=".to_owned()),
        ];
        let answer = ImagesResponse::new(Timestamp::from_seconds(5), images, Some("1024x1024".to_owned()));
        let shape = json!({
            "created": 5, "data": [{"url": "https://a/1"}, {"b64_json": "aGk="}], "size": "1024x1024",
        });
        assert_eq!(answer.to_json(), Some(shape));
    }
}
