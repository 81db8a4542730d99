//! What a model says, before it is known in which shape.

use serde_json::Value;

use super::Asked;
use super::refusal::Refusal;
use super::request::{is_chinese, text_of, tokens};
use super::schema::sample;
use super::vision::pictures;

/// Words, one token each.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    vocabulary: Vec<String>,
    length: usize,
    /// Why it ends.
    pub(super) end: End,
    /// The tokens of the question.
    pub(super) prompt_tokens: usize,
}

/// Why a speech ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All is said.
    Said,
    /// It was allowed no more tokens.
    Cut,
}

impl End {
    /// As it stands in `finish_reason`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Said => "stop",
            Self::Cut => "length",
        }
    }
}

impl Speech {
    /// The answer to `question`, a prompt or what was `heard` in messages.
    pub(super) fn to(asked: &Asked<'_>, heard: &str) -> Self {
        let chinese = is_chinese(heard);
        Self::saying(asked, heard, if chinese { CHINESE } else { ENGLISH })
    }

    /// The answer to `messages`: about the pictures in them, in the format asked for, or as [`Speech::to`].
    ///
    /// # Errors
    /// The [`Refusal`] of messages that are empty or forbidden, or of a picture that is none.
    pub(super) fn to_messages(asked: &Asked<'_>, messages: &[Value]) -> Result<Self, Refusal> {
        if messages.is_empty() {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty \
                           array instead.";
            return Err(Refusal::invalid(message, "messages").with_code("empty_array"));
        }
        let heard: String = messages.iter().map(text_of).collect();
        if heard.contains("forbidden") {
            return Err(Refusal::filtered("messages", "content_filter"));
        }
        let pictures = pictures(messages)?;
        let format = asked.field("response_format");
        Ok(match format.and_then(|format| format.get("type")?.as_str()) {
            Some("json_schema") => {
                let schema = format.and_then(|format| format.pointer("/json_schema/schema"));
                Self::saying(asked, &heard, &sample(schema.unwrap_or(&Value::Null)).to_string())
            }
            Some("json_object") => Self::saying(asked, &heard, r#"{"sandbox": true}"#),
            _ if !pictures.is_empty() => {
                let text = format!("I see {} picture(s): {}.", pictures.len(), pictures.join(", "));
                Self::saying(asked, &heard, &text)
            }
            _ => Self::to(asked, &heard),
        })
    }

    fn saying(asked: &Asked<'_>, heard: &str, text: &str) -> Self {
        let vocabulary: Vec<String> = if is_chinese(text) {
            let letters: Vec<char> = text.chars().collect();
            letters.chunks(2).map(|pair| pair.iter().collect()).collect()
        } else {
            text.split_inclusive(' ').map(str::to_owned).collect()
        };
        let whole = asked.manner.pace.words.unwrap_or(vocabulary.len());
        let limit = ["max_completion_tokens", "max_tokens", "max_output_tokens"]
            .iter()
            .find_map(|name| asked.count(name, u64::MAX));
        let length = limit.map_or(whole, |limit| limit.min(whole));
        Self {
            vocabulary,
            length,
            end: if length < whole { End::Cut } else { End::Said },
            prompt_tokens: tokens(heard),
        }
    }

    /// How many words there are.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// A word; after the last one, the first comes again.
    pub(super) fn word(&self, number: usize) -> &str {
        let place = number.checked_rem(self.vocabulary.len());
        place
            .and_then(|place| self.vocabulary.get(place))
            .map_or("", String::as_str)
    }

    /// All the words.
    pub(super) fn text(&self) -> String {
        (0..self.length).map(|number| self.word(number)).collect()
    }
}

const ENGLISH: &str = "This is the sandbox: nothing was asked of a real model, and nothing will be charged.";
const CHINESE: &str = "这里是沙盒：没有调用任何真实模型，也不会产生任何费用。";
