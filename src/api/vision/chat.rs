//! A chat completion about images, and what it says.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::vision::{Detail, Image, Images, Options};

/// The body of a chat completion that asks `model` one thing about some images.
///
/// Every field of it is written here: nothing of a caller's JSON is copied.
pub(super) fn chat_body(model: &str, prompt: &str, images: &Images, options: &Options) -> Bytes {
    let detail = options.detail;
    let image = |url| Part::ImageUrl {
        image_url: ImageUrl { url, detail },
    };
    let text = Part::Text { text: prompt };
    let chat = Chat {
        model,
        messages: [Message {
            role: "user",
            content: images.iter().map(image).chain([text]).collect(),
        }],
        options,
    };
    #[expect(
        clippy::expect_used,
        reason = "texts and finite numbers under fixed names always serialise"
    )]
    serde_json::to_vec(&chat).expect("a chat serialises").into()
}

/// A request in OpenAI's shape.
#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    #[serde(flatten)]
    options: &'a Options,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    ImageUrl { image_url: ImageUrl<'a> },
    Text { text: &'a str },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: &'a Image,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Its words.
    pub(super) content: String,
    /// What it calls itself.
    pub(super) model: String,
    /// What it took; `None` where the upstream does not tell.
    pub(super) usage: Option<Usage>,
}

/// How many tokens a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    /// Of the question, images included.
    #[serde(rename = "prompt_tokens")]
    pub(super) prompt: u64,
    /// Of the answer.
    #[serde(rename = "completion_tokens")]
    pub(super) completion: u64,
    /// Of both, as the upstream counts.
    #[serde(rename = "total_tokens")]
    pub(super) total: u64,
}

impl Said {
    /// Reads a chat completion; `None` if there is no answer in it.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let completion: Completion = serde_json::from_slice(body).ok()?;
        let message = completion.choices.into_iter().next()?.message;
        Some(Self {
            content: text_of(message.content)?,
            model: completion.model,
            usage: serde_json::from_value(completion.usage).ok(),
        })
    }
}

impl Usage {
    /// What two calls took together; `None` where one is not known, because half would be taken for the whole.
    pub(super) fn sum(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        let (first, second) = (first?, second?);
        Some(Self {
            prompt: first.prompt.saturating_add(second.prompt),
            completion: first.completion.saturating_add(second.completion),
            total: first.total.saturating_add(second.total),
        })
    }
}

/// The text of a message: a string, or the texts of its parts.
fn text_of(content: Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text),
        Value::Array(parts) => Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()),
        _ => None,
    }
}

/// A reply in OpenAI's shape, as far as it is read.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    model: String,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Spoken,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    content: Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GIF: &str = "R0lGODlhAQABAAAAADs";

    fn body(options: &Value) -> Value {
        let images = Images::parse(&["https://example.com/a.png", GIF]).unwrap();
        let options = Options::from_json(options).unwrap();
        serde_json::from_slice(&chat_body("qwen3-vl-plus", "what is it?", &images, &options)).unwrap()
    }

    #[test]
    fn a_chat_holds_the_images_before_the_prompt_and_nothing_unasked() {
        let content = json!([
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": format!("data:image/gif;base64,{GIF}=")}},
            {"type": "text", "text": "what is it?"},
        ]);
        let plain = json!({"model": "qwen3-vl-plus", "messages": [{"role": "user", "content": content}]});
        assert_eq!(body(&json!({})), plain);
    }

    #[test]
    fn options_stand_beside_the_messages_and_detail_with_each_image() {
        let body = body(&json!({"temperature": 0.5, "max_tokens": 100, "seed": 7, "detail": "low"}));
        assert_eq!(body["temperature"], 0.5);
        assert_eq!(body["max_tokens"], 100);
        assert_eq!(body["seed"], 7);
        assert!(body.get("detail").is_none());
        for part in [0, 1] {
            assert_eq!(body["messages"][0]["content"][part]["image_url"]["detail"], "low");
        }
    }

    #[test]
    fn a_completion_is_read_as_text_or_as_parts() {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "more": {}});
        for content in [json!("a cat"), json!([{"type": "text", "text": "a "}, {"text": "cat"}])] {
            let body = json!({"model": "m", "choices": [{"message": {"content": content}}], "usage": usage});
            let said = Said::read(body.to_string().as_bytes()).unwrap();
            assert_eq!((said.content.as_str(), said.model.as_str()), ("a cat", "m"));
            assert_eq!(said.usage.map(|usage| usage.total), Some(5));
        }
        let untold = json!({"choices": [{"message": {"content": ""}}], "usage": null});
        assert_eq!(Said::read(untold.to_string().as_bytes()).unwrap().usage, None);
    }

    #[test]
    fn a_reply_without_an_answer_is_none() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":null}}]}"#,
        ] {
            assert_eq!(Said::read(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn the_usage_of_two_calls_is_their_sum_or_unknown() {
        let usage = |tokens| {
            Some(Usage {
                prompt: tokens,
                completion: 1,
                total: tokens + 1,
            })
        };
        let sum = Usage::sum(usage(10), usage(20)).unwrap();
        assert_eq!((sum.prompt, sum.completion, sum.total), (30, 2, 32));
        assert_eq!(Usage::sum(usage(10), None), None);
        assert_eq!(Usage::sum(None, usage(10)), None);
    }
}
