//! What one event of a stream says, as far as Tollgate wants to know.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::estimate::Said;
use super::lenient::lenient;
use super::usage::Counts;

/// The data of one event.
#[derive(Debug)]
pub(super) enum Event {
    /// `[DONE]`: the stream is over.
    Done,
    /// A JSON object.
    Chunk(Box<Chunk>),
    /// Anything else.
    Other,
}

/// A JSON object of a stream: a chunk of a (chat) completion, or a typed event of a response or an image.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    /// What a typed event is.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub(super) kind: Option<Kind>,
    /// What a chunk adds to each answer.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) choices: Option<Vec<Choice>>,
    /// The usage so far; most upstreams report it once, in an extra chunk without choices.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<Counts>,
    /// What a typed event adds to the text.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) delta: Option<Said>,
    /// The whole response, in the typed events that begin and end it.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) response: Option<Whole>,
    /// Why the upstream gave up.
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// A part of one answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Choice {
    /// Of which answer.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) index: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    delta: Option<Said>,
    #[serde(default, deserialize_with = "lenient")]
    text: Option<Said>,
    #[serde(default, deserialize_with = "lenient")]
    finish_reason: Option<String>,
}

/// The response inside a typed event.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Whole {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<Counts>,
}

/// What kinds of typed events there are for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) enum Kind {
    /// It adds to the text.
    Text,
    /// The stream ends well.
    Completed,
    /// The stream ends with an error.
    Failed,
    /// Nothing that we look at.
    Other,
}

impl Event {
    /// What an event's data says.
    pub(super) fn of(data: &[u8]) -> Self {
        if data.trim_ascii() == DONE {
            return Self::Done;
        }
        serde_json::from_slice(data).map_or(Self::Other, |chunk| Self::Chunk(Box::new(chunk)))
    }
}

impl Chunk {
    /// Whether it is the extra chunk that `stream_options.include_usage` asks for: a usage, and no choices.
    pub(super) fn is_usage_alone(&self) -> bool {
        self.usage.is_some() && self.choices.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether the upstream says that it failed.
    pub(super) fn is_failure(&self) -> bool {
        self.kind == Some(Kind::Failed) || self.error.is_some() && self.choices.is_none()
    }
}

impl Choice {
    /// What it adds to the answer.
    pub(super) fn said(&self) -> impl Iterator<Item = Said> {
        self.delta.into_iter().chain(self.text)
    }

    /// Whether it is the answer's last. Some upstreams write an empty reason, or the word null, until then.
    pub(super) fn is_last(&self) -> bool {
        self.finish_reason
            .as_deref()
            .is_some_and(|reason| !matches!(reason, "" | "null"))
    }
}

/// The names are those of OpenAI's streaming events of responses and images.
impl From<String> for Kind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "response.completed" | "response.incomplete" | "image_generation.completed" => Self::Completed,
            "response.failed" | "error" => Self::Failed,
            _ if TEXTS.iter().any(|end| name.ends_with(end)) => Self::Text,
            _ => Self::Other,
        }
    }
}

/// How the names end of those events whose `delta` is text: of audio it is not.
const TEXTS: [&str; 3] = ["text.delta", "refusal.delta", "arguments.delta"];

const DONE: &[u8] = b"[DONE]";
