//! `POST /v1/responses`.

use std::iter;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Asked;
use super::refusal::Refusal;
use super::schema::sample;
use super::speech::{End, Speech};
use crate::sandbox::events;
use crate::sandbox::reply::{self, Reply};

/// Answers with one message or one function call, at once or as a stream of named events.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let input = match asked.field("input") {
        Some(Value::String(text)) => json!([{"role": "user", "content": text}]),
        Some(input @ Value::Array(_)) => input.clone(),
        _ => {
            let refusal = Refusal::invalid("Missing required parameter: 'input'.", "input");
            return Err(refusal.with_code("missing_required_parameter"));
        }
    };
    let items = input.as_array().map(Vec::as_slice).unwrap_or_default();
    let speech = Speech::to_messages(asked, items)?;
    let response = Response {
        id: asked.id("resp_"),
        created: asked.now(),
        model: asked.model.to_owned(),
        item: Item::wanted(asked, items, &speech),
        speech,
    };
    if asked.is_set("stream") {
        Ok(events::stream_of(response.events(), asked.manner.pace.interval))
    } else {
        Ok(reply::json(StatusCode::OK, &response.body("completed", true)))
    }
}

/// The one item of an answer.
struct Item {
    id: String,
    content: Content,
}

enum Content {
    Message,
    Call {
        id: String,
        name: String,
        arguments: String,
    },
}

impl Item {
    fn wanted(asked: &Asked<'_>, input: &[Value], speech: &Speech) -> Self {
        let answered = input.last().and_then(|item| item.get("type")) == Some(&json!("function_call_output"));
        let refused = asked.field("tool_choice") == Some(&json!("none"));
        let tools = asked.field("tools").and_then(Value::as_array);
        let tool = tools
            .filter(|_| !answered && !refused && speech.length() > 0)
            .and_then(|tools| tools.iter().find_map(|tool| Some((tool.get("name")?.as_str()?, tool))));
        match tool {
            Some((name, tool)) => Self {
                id: asked.id("fc_"),
                content: Content::Call {
                    id: asked.id("call_"),
                    name: name.to_owned(),
                    arguments: sample(tool.get("parameters").unwrap_or(&Value::Null)).to_string(),
                },
            },
            None => Self {
                id: asked.id("msg_"),
                content: Content::Message,
            },
        }
    }
}

struct Response {
    id: String,
    created: i64,
    model: String,
    item: Item,
    speech: Speech,
}

impl Response {
    /// The response object; `done` says whether its item and usage are there.
    fn body(&self, status: &str, done: bool) -> Value {
        let output = if done { vec![self.item("completed")] } else { Vec::new() };
        let (status, details) = match self.speech.end {
            End::Cut if done => ("incomplete", json!({"reason": "max_output_tokens"})),
            End::Cut | End::Said => (status, Value::Null),
        };
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status, "background": false,
            "error": null, "incomplete_details": details, "instructions": null, "max_output_tokens": null,
            "model": self.model, "output": output, "parallel_tool_calls": true, "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": true,
            "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
            "top_p": 1.0, "truncation": "disabled", "usage": done.then(|| self.usage()), "user": null, "metadata": {},
        })
    }

    fn item(&self, status: &str) -> Value {
        let done = status == "completed";
        match &self.item.content {
            Content::Message => {
                let content = if done {
                    vec![text_part(&self.speech.text())]
                } else {
                    Vec::new()
                };
                json!({"id": self.item.id, "type": "message", "status": status, "role": "assistant",
                       "content": content})
            }
            Content::Call { id, name, arguments } => {
                let arguments = if done { arguments.as_str() } else { "" };
                json!({"id": self.item.id, "type": "function_call", "status": status, "call_id": id, "name": name,
                       "arguments": arguments})
            }
        }
    }

    fn usage(&self) -> Value {
        let (input, output) = (self.speech.prompt_tokens, self.speech.length());
        json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
               "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output})
    }

    /// Every event in OpenAI's order, numbered. There is no `[DONE]`.
    fn events(self) -> impl Iterator<Item = Bytes> + Send {
        let opening = vec![
            json!({"type": "response.created", "response": self.body("in_progress", false)}),
            json!({"type": "response.in_progress", "response": self.body("in_progress", false)}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.item("in_progress")}),
        ];
        let finished = if self.speech.end == End::Cut {
            "response.incomplete"
        } else {
            "response.completed"
        };
        let closing = vec![
            json!({"type": "response.output_item.done", "output_index": 0, "item": self.item("completed")}),
            json!({"type": finished, "response": self.body("completed", true)}),
        ];
        let content: Box<dyn Iterator<Item = Value> + Send> = match self.item.content {
            Content::Message => Box::new(message_events(self.item.id, self.speech)),
            Content::Call { arguments, .. } => Box::new(call_events(&self.item.id, &arguments)),
        };
        let events = opening.into_iter().chain(content).chain(closing);
        events.enumerate().map(|(number, mut event)| {
            if let Some(fields) = event.as_object_mut() {
                fields.insert("sequence_number".to_owned(), number.into());
            }
            let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
            events::named(name, &event)
        })
    }
}

fn message_events(id: String, speech: Speech) -> impl Iterator<Item = Value> + Send {
    let text = speech.text();
    let added = json!({"type": "response.content_part.added", "item_id": id, "output_index": 0, "content_index": 0,
                       "part": text_part("")});
    let closing = vec![
        json!({"type": "response.output_text.done", "item_id": id, "output_index": 0, "content_index": 0,
               "text": text, "logprobs": []}),
        json!({"type": "response.content_part.done", "item_id": id, "output_index": 0, "content_index": 0,
               "part": text_part(&text)}),
    ];
    let words = (0..speech.length()).map(move |number| {
        json!({"type": "response.output_text.delta", "item_id": id, "output_index": 0, "content_index": 0,
               "delta": speech.word(number), "logprobs": []})
    });
    iter::once(added).chain(words).chain(closing)
}

fn call_events(id: &str, arguments: &str) -> impl Iterator<Item = Value> + Send + use<> {
    let event = |kind: &str, field: &str| json!({"type": kind, "item_id": id, "output_index": 0, field: arguments});
    [
        event("response.function_call_arguments.delta", "delta"),
        event("response.function_call_arguments.done", "arguments"),
    ]
    .into_iter()
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}
