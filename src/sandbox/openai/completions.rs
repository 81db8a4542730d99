//! `POST /v1/completions`, the older API without messages.

use std::iter;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Asked;
use super::chat::usage;
use super::refusal::Refusal;
use super::request::text_of;
use super::speech::Speech;
use crate::sandbox::events::{self, DONE};
use crate::sandbox::reply::{self, Reply};

/// Answers with words, at once or as a stream.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let Some(prompt) = asked.field("prompt") else {
        return Err(Refusal::invalid("you must provide a prompt parameter", "prompt"));
    };
    let heard = text_of(prompt);
    if heard.contains("forbidden") {
        return Err(Refusal::filtered("prompt", "content_filter"));
    }
    let completion = Completion {
        id: asked.id("cmpl-"),
        created: asked.now(),
        model: asked.model.to_owned(),
        speech: Speech::to(asked, &heard),
    };
    if asked.is_set("stream") {
        let wants_usage = asked.request.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        Ok(events::stream_of(
            completion.chunks(wants_usage),
            asked.manner.pace.interval,
        ))
    } else {
        let speech = &completion.speech;
        let body = completion.body(&speech.text(), Some(speech.end.word()), Some(completion.usage()));
        Ok(reply::json(StatusCode::OK, &body))
    }
}

struct Completion {
    id: String,
    created: i64,
    model: String,
    speech: Speech,
}

impl Completion {
    /// One event for every word, of which the last has the reason, then (if asked for) the usage; then `[DONE]`.
    fn chunks(self, wants_usage: bool) -> impl Iterator<Item = Bytes> + Send {
        let null = wants_usage.then_some(Value::Null);
        let usage = wants_usage.then(|| {
            let mut chunk = self.body("", None, Some(self.usage()));
            if let Some(choices) = chunk.get_mut("choices") {
                *choices = json!([]);
            }
            events::event(&chunk)
        });
        let last = self.speech.length();
        let words = (0..=last).map(move |number| {
            let (text, reason) = if number == last {
                ("", Some(self.speech.end.word()))
            } else {
                (self.speech.word(number), None)
            };
            events::event(&self.body(text, reason, null.clone()))
        });
        words.chain(usage).chain(iter::once(DONE))
    }

    fn body(&self, text: &str, finish_reason: Option<&str>, usage: Option<Value>) -> Value {
        let choice = json!({"text": text, "index": 0, "logprobs": null, "finish_reason": finish_reason});
        let mut body = json!({"id": self.id, "object": "text_completion", "created": self.created,
                              "model": self.model, "choices": [choice]});
        if let (Some(usage), Some(fields)) = (usage, body.as_object_mut()) {
            fields.insert("usage".to_owned(), usage);
        }
        body
    }

    fn usage(&self) -> Value {
        usage(self.speech.prompt_tokens, self.speech.length())
    }
}
