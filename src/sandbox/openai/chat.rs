//! `POST /v1/chat/completions`.

use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Asked;
use super::refusal::Refusal;
use super::schema::sample;
use super::speech::Speech;
use crate::sandbox::events::{self, DONE};
use crate::sandbox::reply::{self, Reply};

/// Answers with words or a tool call, at once or as a stream.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let Some(messages) = asked.field("messages").and_then(Value::as_array) else {
        return Err(Refusal::invalid("Missing required parameter: 'messages'.", "messages")
            .with_code("missing_required_parameter"));
    };
    let speech = Speech::to_messages(asked, messages)?;
    let tool = ToolCall::wanted(asked, messages);
    let completion = Completion {
        id: asked.id("chatcmpl-"),
        created: asked.now(),
        model: asked.model.to_owned(),
        choices: asked.count("n", MAX_CHOICES).unwrap_or(1).max(1),
        speech,
        tool,
    };
    if asked.is_set("stream") {
        let wants_usage = asked.request.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        let chunks = Arc::new(completion).chunks(wants_usage);
        Ok(events::stream_of(chunks, asked.manner.pace.interval))
    } else {
        Ok(reply::json(StatusCode::OK, &completion.whole()))
    }
}

/// A call of the first tool, or of the one that `tool_choice` names.
#[derive(Debug)]
struct ToolCall {
    id: String,
    name: String,
    arguments: String,
}

impl ToolCall {
    /// Made where tools are offered, unless they are ruled out or have answered already.
    fn wanted(asked: &Asked<'_>, messages: &[Value]) -> Option<Self> {
        let tools = asked.field("tools")?.as_array()?;
        let choice = asked.field("tool_choice");
        let answered = messages.last().and_then(|message| message.get("role")) == Some(&json!("tool"));
        if answered || choice == Some(&json!("none")) {
            return None;
        }
        let named = choice.and_then(|choice| choice.pointer("/function/name"));
        let function = tools
            .iter()
            .filter_map(|tool| tool.get("function"))
            .find(|function| named.is_none() || function.get("name") == named)?;
        Some(Self {
            id: asked.id("call_"),
            name: function.get("name")?.as_str()?.to_owned(),
            arguments: sample(function.get("parameters").unwrap_or(&Value::Null)).to_string(),
        })
    }

    fn whole(&self) -> Value {
        json!({"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}})
    }

    /// The first delta names the tool, the others bring its arguments letter by letter.
    fn deltas(&self) -> Vec<Value> {
        let function = json!({"name": self.name, "arguments": ""});
        let call = json!({"index": 0, "id": self.id, "type": "function", "function": function});
        let mut deltas = vec![json!({"role": "assistant", "content": null, "tool_calls": [call]})];
        let letters: Vec<char> = self.arguments.chars().collect();
        deltas.extend(letters.chunks(ARGUMENT_LETTERS).map(|piece| {
            let piece: String = piece.iter().collect();
            json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        }));
        deltas
    }
}

/// A completion, before it is known whether at once or word by word.
#[derive(Debug)]
struct Completion {
    id: String,
    created: i64,
    model: String,
    choices: usize,
    speech: Speech,
    tool: Option<ToolCall>,
}

impl Completion {
    fn whole(&self) -> Value {
        let mut message = match &self.tool {
            Some(tool) => json!({"role": "assistant", "content": null, "tool_calls": [tool.whole()], "refusal": null}),
            None => json!({"role": "assistant", "content": self.speech.text(), "refusal": null}),
        };
        if let (true, Some(fields)) = (self.reasons(), message.as_object_mut()) {
            fields.insert("reasoning_content".to_owned(), REASONING.into());
        }
        let choice = |index| json!({"index": index, "message": message, "logprobs": null, "finish_reason": self.finish_reason()});
        let choices: Vec<Value> = (0..self.choices).map(choice).collect();
        json!({"id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
               "choices": choices, "usage": self.usage(), "service_tier": "default", "system_fingerprint": "fp_sandbox"})
    }

    /// One event each for the role, every word, the end and (if asked for) the usage; then `[DONE]`.
    fn chunks(self: Arc<Self>, wants_usage: bool) -> Box<dyn Iterator<Item = Bytes> + Send> {
        let content: Box<dyn Iterator<Item = (usize, Value, bool)> + Send> = {
            let completion = Arc::clone(&self);
            Box::new((0..self.choices).flat_map(move |index| {
                let deltas = Arc::clone(&completion).deltas().map(move |delta| (index, delta, false));
                deltas.chain(iter::once((index, json!({}), true)))
            }))
        };
        let completion = Arc::clone(&self);
        let parts = content.map(move |(index, delta, last)| {
            let reason = last.then(|| completion.finish_reason());
            let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": reason});
            // Where usage was asked for, every other chunk has it as null.
            completion.chunk(&json!([choice]), wants_usage.then_some(Value::Null))
        });
        let usage = wants_usage.then(|| self.chunk(&json!([]), Some(self.usage())));
        Box::new(parts.chain(usage).chain(iter::once(DONE)))
    }

    fn deltas(self: Arc<Self>) -> Box<dyn Iterator<Item = Value> + Send> {
        if let Some(tool) = &self.tool {
            return Box::new(tool.deltas().into_iter());
        }
        let role = iter::once(json!({"role": "assistant", "content": "", "refusal": null}));
        let thought = self.reasons().then(|| json!({"reasoning_content": REASONING}));
        let words = (0..self.speech.length()).map(move |number| json!({"content": self.speech.word(number)}));
        Box::new(role.chain(thought).chain(words))
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>) -> Bytes {
        let mut chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created,
                               "model": self.model, "system_fingerprint": "fp_sandbox", "choices": choices});
        if let (Some(usage), Some(fields)) = (usage, chunk.as_object_mut()) {
            fields.insert("usage".to_owned(), usage);
        }
        events::event(&chunk)
    }

    fn finish_reason(&self) -> &'static str {
        match self.tool {
            Some(_) => "tool_calls",
            None => self.speech.end.word(),
        }
    }

    fn usage(&self) -> Value {
        let said = match &self.tool {
            Some(tool) => super::request::tokens(&tool.arguments),
            None => self.speech.length(),
        };
        usage(self.speech.prompt_tokens, said * self.choices)
    }

    /// Models named `deepseek…` send a field that OpenAI does not know.
    fn reasons(&self) -> bool {
        self.model.contains("deepseek")
    }
}

/// Usage as chat and text completions report it.
pub(super) fn usage(prompt: usize, completion: usize) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                                      "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}

const REASONING: &str = "The sandbox does not think.";
const MAX_CHOICES: u64 = 128;
/// How many letters of a tool's arguments come in one frame.
const ARGUMENT_LETTERS: usize = 8;
