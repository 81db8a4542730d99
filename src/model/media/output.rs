//! What a finished task made.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// What a finished task made: URLs of the provider, or pictures in base64. There is always something.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// URLs of pictures, which work for [`IMAGE_URL_LIFE`](super::IMAGE_URL_LIFE).
    pub image_urls: Vec<String>,
    /// Pictures in base64, as they came.
    pub inline_images: Vec<String>,
    /// URL of a film, which works for [`VIDEO_URL_LIFE`](super::VIDEO_URL_LIFE).
    pub video_url: Option<String>,
}

/// Why an answer to a query holds nothing that was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOutput {
    /// It is no answer of the provider's.
    #[error("the answer cannot be read")]
    Unreadable,
    /// The task failed. With `done`, too, the code is what counts.
    #[error("{code}: {message}")]
    Failed {
        /// The provider's code.
        code: i64,
        /// The provider's sentence.
        message: String,
    },
    /// The task is not done, or no longer known.
    #[error("the task is {0}")]
    NotDone(String),
    /// The task is done, and nothing was made.
    #[error("done without payload")]
    Empty,
}

#[derive(Deserialize)]
struct Answer {
    code: i64,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

/// Every field may be missing, null or empty, and what is of another type is nothing.
#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    status: Value,
    #[serde(default)]
    image_urls: Value,
    #[serde(default)]
    binary_data_base64: Value,
    #[serde(default)]
    video_url: Value,
}

impl Output {
    /// Reads the answer to a query.
    ///
    /// # Errors
    /// [`NoOutput`], also where the task is done but failed, or made nothing.
    pub fn read(answer: &[u8]) -> Result<Self, NoOutput> {
        let answer: Answer = serde_json::from_slice(answer).map_err(|_| NoOutput::Unreadable)?;
        if answer.code != 10_000 {
            return Err(NoOutput::Failed {
                code: answer.code,
                message: answer.message.unwrap_or_default(),
            });
        }
        let data = answer.data.unwrap_or_default();
        match data.status {
            Value::String(status) if status == "done" => {}
            Value::String(status) => return Err(NoOutput::NotDone(status)),
            _ => return Err(NoOutput::Unreadable),
        }
        let output = Self {
            image_urls: texts(data.image_urls),
            inline_images: texts(data.binary_data_base64),
            video_url: text(data.video_url),
        };
        if output.image_urls.is_empty() && output.inline_images.is_empty() && output.video_url.is_none() {
            return Err(NoOutput::Empty);
        }
        Ok(output)
    }
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.into_iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Pictures and signed URLs stay out of logs.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("image_urls", &self.image_urls.len())
            .field("inline_images", &self.inline_images.len())
            .field("video_url", &self.video_url.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(answer: &str) -> Result<Output, NoOutput> {
        Output::read(answer.as_bytes())
    }

    #[test]
    fn pictures_come_as_urls_or_in_base64_and_films_as_a_url() {
        let urls = r#"{"code":10000,"data":{"status":"done","image_urls":["https://a/1","https://a/2"],"binary_data_base64":[]}}"#;
        assert_eq!(read(urls).unwrap().image_urls, ["https://a/1", "https://a/2"]);
        let inline = r#"{"code":10000,"data":{"status":"done","image_urls":null,"binary_data_base64":["aGk="]}}"#;
        assert_eq!(read(inline).unwrap().inline_images, ["aGk="]);
        let film = r#"{"code":10000,"data":{"status":"done","video_url":"https://a/1.mp4","aigc_meta_tagged":true}}"#;
        assert_eq!(read(film).unwrap().video_url.as_deref(), Some("https://a/1.mp4"));
    }

    #[test]
    fn done_with_another_code_is_a_failure_with_the_providers_words() {
        let answer =
            r#"{"code":50511,"message":"Post Img Risk Not Pass","data":{"status":"done","image_urls":["https://a"]}}"#;
        let failed = NoOutput::Failed {
            code: 50511,
            message: "Post Img Risk Not Pass".to_owned(),
        };
        assert_eq!(read(answer), Err(failed));
        assert!(matches!(
            read(r#"{"code":50413,"data":null}"#),
            Err(NoOutput::Failed { code: 50413, .. })
        ));
    }

    #[test]
    fn done_without_anything_made_is_a_failure() {
        for data in [
            r#"{"status":"done"}"#,
            r#"{"status":"done","image_urls":null,"binary_data_base64":null}"#,
            r#"{"status":"done","image_urls":[],"binary_data_base64":[""],"video_url":""}"#,
            r#"{"status":"done","image_urls":{"a":1},"video_url":5}"#,
        ] {
            assert_eq!(
                read(&format!(r#"{{"code":10000,"data":{data}}}"#)),
                Err(NoOutput::Empty),
                "{data}"
            );
        }
        assert_eq!(NoOutput::Empty.to_string(), "done without payload");
    }

    #[test]
    fn a_task_in_another_state_made_nothing_yet_or_any_more() {
        for status in ["in_queue", "generating", "not_found", "expired"] {
            let answer = format!(r#"{{"code":10000,"data":{{"status":"{status}","image_urls":null}}}}"#);
            assert_eq!(read(&answer), Err(NoOutput::NotDone(status.to_owned())));
        }
    }

    #[test]
    fn what_the_provider_did_not_write_is_unreadable() {
        for answer in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"code":"10000"}"#,
            r#"{"code":10000}"#,
            r#"{"code":10000,"data":[]}"#,
        ] {
            assert_eq!(read(answer), Err(NoOutput::Unreadable), "{answer}");
        }
    }

    #[test]
    fn urls_do_not_show_themselves_in_logs() {
        let film = read(r#"{"code":10000,"data":{"status":"done","video_url":"https://a/?sign=s"}}"#).unwrap();
        assert!(!format!("{film:?}").contains("sign"));
    }

    proptest! {
        #[test]
        fn an_output_always_holds_something(text in r#"[\[\]{}:,"a-z0-9_ ]{0,200}"#) {
            if let Ok(output) = read(&format!(r#"{{"code":10000,"data":{text}}}"#)) {
                let count = output.image_urls.len() + output.inline_images.len();
                prop_assert!(count > 0 || output.video_url.is_some());
            }
        }
    }
}
