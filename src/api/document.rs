//! The document, completed: what poem-openapi cannot say of a single operation.
//!
//! It declares every error with every operation that may fail. Here each keeps the statuses it can really answer with,
//! errors become shared components, and request bodies get examples that work.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::document_schema::{extra, tidy};
use super::error::Code;
use crate::model::key::{Scheme, Scope};

/// The document that poem-openapi wrote, completed and indented.
pub(super) fn complete(spec: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(spec) else {
        return spec.to_owned();
    };
    let mut errors = Map::new();
    for (path, operation) in operations(&mut document) {
        let kept = kept_statuses(&path, operation);
        let relays = relays(operation);
        if let Some(responses) = object(operation, "/responses") {
            responses.retain(|status, response| !is_error(response) || kept.contains(&status.as_str()));
            for (status, response) in responses {
                finish_response(status, response, relays, &mut errors);
            }
        }
        finish_parameters(operation);
        if may_come_without_a_body(operation) {
            set(operation, "/requestBody", "required", Value::Bool(false));
        }
        if takes_a_stream(operation) {
            let events = json!({ "schema": { "description": "Server-sent events, with `stream`." } });
            set(operation, "/responses/200/content", "text/event-stream", events);
        }
        let examples = operation.get("operationId").and_then(Value::as_str).and_then(examples);
        if let Some(examples) = examples {
            set(
                operation,
                "/requestBody/content/application~1json",
                "examples",
                examples,
            );
        }
    }
    set(&mut document, "/components", "responses", Value::Object(errors));
    if let Some(schemas) = object(&mut document, "/components/schemas") {
        schemas.values_mut().for_each(finish_schema);
        schemas.extend(extra().map(|(name, schema)| (name.to_owned(), schema)));
    }
    for part in ["/paths", "/components"] {
        document.pointer_mut(part).into_iter().for_each(tidy);
    }
    if let Some(Value::String(text)) = document.pointer_mut("/info/description") {
        text.push_str("\n\n");
        text.push_str(&table_of_codes());
    }
    format!("{document:#}")
}

/// Whether an operation may be answered with a stream.
fn takes_a_stream(operation: &Value) -> bool {
    let id = operation.get("operationId").and_then(Value::as_str);
    matches!(
        id,
        Some("openai_createChatCompletion" | "openai_createCompletion" | "openai_createResponse")
    )
}

/// Whether an operation's answers, errors too, may be the provider's own, byte for byte.
fn relays(operation: &Value) -> bool {
    let tag = operation.pointer("/tags/0").and_then(Value::as_str);
    matches!(tag, Some("Volcengine" | "OpenAI"))
}

/// Whether no body at all asks for what an empty object does: every field has its default.
fn may_come_without_a_body(operation: &Value) -> bool {
    let id = operation.get("operationId").and_then(Value::as_str);
    matches!(
        id,
        Some("keys_create" | "keys_update" | "keys_rotate" | "operator_rekey")
    )
}

/// Every operation with its path.
fn operations(document: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    let paths = object(document, "/paths").into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object_mut().into_iter().flatten();
        methods.map(move |(_, operation)| (path.clone(), operation))
    })
}

/// The error statuses that an operation can answer with.
fn kept_statuses(path: &str, operation: &Value) -> Vec<&'static str> {
    let tag = operation.pointer("/tags/0").and_then(Value::as_str);
    let relays = relays(operation);
    let takes_a_body = operation.get("requestBody").is_some();
    let films = tag == Some("Videos");
    let fetches = films && path.ends_with("/content");
    let asks = tag == Some("Vision") && !path.ends_with("/health");
    let is_open = operation.get("security").is_none();
    let has_idempotency = parameters(operation).any(|parameter| named(parameter) == "Idempotency-Key");
    let names_a_model = asks || operation.get("operationId").is_some_and(|id| id == "jobs_create");
    let names_one = relays || names_a_model || films && takes_a_body || path.contains('{') || path == "/v1/key";
    let rules = [
        ("400", !is_open),
        ("401", true),
        ("403", !is_open),
        ("404", names_one),
        ("408", takes_a_body),
        ("409", has_idempotency),
        ("410", fetches),
        ("413", takes_a_body),
        ("415", takes_a_body && !relays),
        ("429", !is_open),
        ("500", true),
        ("502", relays || asks || fetches),
        ("503", true),
        ("504", relays || asks),
    ];
    rules
        .iter()
        .filter(|(_, kept)| *kept)
        .map(|(status, _)| *status)
        .collect()
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.into_iter().flatten()
}

fn named(parameter: &Value) -> &str {
    parameter.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn is_error(response: &Value) -> bool {
    response
        .pointer("/content/application~1json/schema/$ref")
        .is_some_and(|schema| schema == "#/components/schemas/ErrorEnvelope")
}

/// An error becomes a reference; anything else says plain JSON and carries our id.
fn finish_response(status: &str, response: &mut Value, relays: bool, errors: &mut Map<String, Value>) {
    if is_error(response) {
        let mut name = component(status);
        if relays {
            name.insert_str(0, "Relayed");
            let relayed = json!({ "$ref": "#/components/schemas/RelayedError" });
            set(response, "/content/application~1json", "schema", relayed);
        }
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        errors.insert(name, std::mem::replace(response, reference));
        return;
    }
    if response.get("description").is_some_and(|text| text == "") {
        set(response, "", "description", Value::from("As asked."));
    }
    let headers = object(response, "").map(|response| response.entry("headers").or_insert_with(|| json!({})));
    if let Some(headers) = headers {
        let id = json!({ "description": "Our id of the request.", "schema": { "type": "string" } });
        set(headers, "", "X-Request-Id", id);
    }
    if let Some(content) = object(response, "/content")
        && let Some(json) = content.remove("application/json; charset=utf-8")
    {
        content.insert("application/json".to_owned(), json);
    }
}

/// `TooManyRequests` for 429.
fn component(status: &str) -> String {
    let reason = status
        .parse::<StatusCode>()
        .ok()
        .and_then(|status| status.canonical_reason());
    reason.unwrap_or(status).replace([' ', '-'], "")
}

fn finish_parameters(operation: &mut Value) {
    let is = |id: &str| operation.get("operationId").is_some_and(|named| named == id);
    let (is_log, are_films) = (is("jobs_listLogs"), is("videos_list"));
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let bounds = match named(parameter) {
            "limit" if are_films => json!({ "minimum": 1, "maximum": 100 }),
            "limit" if is_log => json!({ "minimum": 1, "maximum": 2000 }),
            "limit" => json!({ "minimum": 1, "maximum": 1000 }),
            "order" => {
                set(parameter, "", "schema", json!({ "$ref": "#/components/schemas/Order" }));
                continue;
            }
            "Idempotency-Key" => json!({ "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }),
            _ => continue,
        };
        if let (Some(schema), Value::Object(bounds)) = (object(parameter, "/schema"), bounds) {
            schema.extend(bounds);
        }
    }
}

/// What may be left out may be null too; points in time are RFC 3339; scopes and schemes are closed sets.
fn finish_schema(schema: &mut Value) {
    let is_open = schema.get("additionalProperties").is_some();
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = required.as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, property) in object(schema, "/properties").into_iter().flatten() {
        let is_optional = !required.iter().any(|field| field == name);
        if is_optional && !is_open && property.get("$ref").is_none() {
            set(property, "", "nullable", Value::Bool(true));
            if property.get("allOf").is_some() {
                // OpenAPI 3.0 lets null in only where a type is named beside it.
                set(property, "", "type", Value::from("object"));
            }
        }
        let is_moment = name.ends_with("_at") || name.ends_with("_until");
        if name == "at" || is_moment && property.get("type").is_some_and(|ty| ty == "string") {
            set(property, "", "format", Value::from("date-time"));
        }
        let labels: Vec<_> = match name.as_str() {
            "scopes" => Scope::ALL.iter().map(|scope| scope.label()).collect(),
            "schemes" => Scheme::ALL.iter().map(|scheme| scheme.label()).collect(),
            _ => continue,
        };
        set(property, "/items", "enum", json!(labels));
    }
}

/// Sets a field of the object at `pointer`, where there is one.
fn set(value: &mut Value, pointer: &str, name: &str, field: Value) {
    if let Some(object) = object(value, pointer) {
        object.insert(name.to_owned(), field);
    }
}

fn object<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    value.pointer_mut(pointer)?.as_object_mut()
}

/// Bodies to try an operation with. None holds anything that could be a credential.
fn examples(operation: &str) -> Option<Value> {
    let submit = json!({ "req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk" });
    let query = json!({ "req_key": "jimeng_t2i_v40", "task_id": "7392616336519610409" });
    let called = |summary: &str, value: Value| json!({ "summary": summary, "value": value });
    let examples = match operation {
        "volcengine_call" => json!({
            "submit": called("Action=CVSync2AsyncSubmitTask", submit),
            "query": called("Action=CVSync2AsyncGetResult, with a task of yours", query),
        }),
        "volcengine_submit" => json!({ "submit": called("Make a picture", submit) }),
        "volcengine_getResult" => json!({ "query": called("With a task of yours", query) }),
        "videos_create" => json!({
            "film": called("Five seconds of waves", json!({
                "model": "t2v-720", "prompt": "waves at dusk", "seconds": "4", "size": "1280x720",
            })),
        }),
        "keys_create" => json!({
            "plain": called("A key that may relay", json!({ "description": "photo studio" })),
            "narrow": called("A key for one model, with limits of its own", json!({
                "description": "night batch",
                "scopes": ["relay"],
                "schemes": ["signed"],
                "models": ["jimeng_t2i_v40"],
                "limits": {
                    "concurrency": 2, "queue": 10,
                    "budget": { "currency": "CNY", "day_microunits": 5_000_000, "month_microunits": 80_000_000 },
                },
            })),
        }),
        "keys_update" => json!({
            "limits": called("Other limits", json!({ "limits": { "concurrency": 2 } })),
            "clear": called("Never expire, and every model", json!({ "expires_at": null, "models": null })),
        }),
        "keys_rotate" => json!({ "grace": called("Both keys work for ten minutes", json!({ "grace_seconds": 600 })) }),
        "vision_analyzeImage" => json!({
            "url": called("A picture on the internet", json!({
                "image": "https://example.com/lighthouse.png",
                "prompt": "What is in this picture?",
                "options": { "max_tokens": 300, "detail": "low" },
            })),
        }),
        "vision_extractText" => json!({ "pixel": called("A picture as base64", json!({ "image": PIXEL })) }),
        "vision_analyzeMath" => json!({ "pixel": called("A picture as a data URL", json!({
            "image": format!("data:image/gif;base64,{PIXEL}"),
        })) }),
        "jobs_create" => json!({
            "call": called("One call", json!({
                "operation": "chat.completions",
                "body": { "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "Say hello." }] },
            })),
            "batch": called("A batch with a task that is followed to its end", json!({
                "queue": "default",
                "priority": 7,
                "retry": { "max_attempts": 5 },
                "metadata": { "course": 12 },
                "items": [
                    { "operation": "embeddings", "body": { "model": "text-embedding-3-small", "input": "Lesson 1" } },
                    { "operation": "CVSync2AsyncSubmitTask", "body": submit },
                ],
            })),
        }),
        "jobs_log" => json!({
            "line": called("One line", json!({ "level": "info", "category": "workflow", "message": "started" })),
            "lines": called("Several", json!({ "lines": [
                { "level": "info", "category": "tool", "message": "searched", "step": "research", "duration_ms": 812 },
                { "level": "error", "category": "api", "message": "no answer", "details": { "attempt": 2 } },
            ] })),
        }),
        "keys_importRows" => json!({ "none": called("No rows", json!({ "rows": [] })) }),
        "upstreams_add" => json!({
            "public": called("A provider", json!({ "id": "deepseek", "base_url": "https://api.deepseek.com/v1" })),
            "private": called("A server of your own", json!({ "id": "vllm", "base_url": "http://10.0.0.7:8000/v1" })),
        }),
        "accounts_add" => json!({ "plain": called("With a key of yours", json!({ "credential": PLACEHOLDER })) }),
        "accounts_addMany" => json!({ "plain": called("With keys of yours", json!({ "credentials": [PLACEHOLDER] })) }),
        "models_register" => json!({
            "alias": called("A name of your own, with a second choice", json!({
                "targets": [
                    { "upstream": "megallm", "model": "openai-gpt-oss-120b" },
                    { "upstream": "openai", "model": "gpt-4o-mini" },
                ],
                "context_length": 128_000,
                "price": { "currency": "USD", "input": 150_000, "output": 600_000, "cached": 75_000 },
            })),
        }),
        "audit_resolve" => json!({
            "not_sent": called("It was never done", json!({ "outcome": "not_sent" })),
            "task": called("It created this task", json!({ "task_id": "7392616336519610409" })),
        }),
        "operator_rekey" => json!({
            "master": called("The present master key wraps the data keys", json!({})),
            "deep": called("Other data keys too", json!({ "deep": true })),
        }),
        "queues_retryDeadLetters" | "queues_dropDeadLetters" => json!({
            "queue": called("Those of a queue", json!({ "queue": "default" })),
        }),
        _ => return None,
    };
    Some(examples)
}

/// No provider's key looks like it.
const PLACEHOLDER: &str = "put-a-key-of-yours-here";

/// One transparent pixel, as a GIF.
const PIXEL: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

/// The stable words of errors, for the description.
fn table_of_codes() -> String {
    let mut rows: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in Code::ALL {
        let names = rows.entry(code.status().as_u16()).or_default();
        names.push(format!("`{}`", code.name()));
    }
    let rows = rows
        .into_iter()
        .map(|(status, names)| format!("| {status} | {} |", names.join(", ")));
    let head = ["| status | `error.code` |".to_owned(), "|---|---|".to_owned()];
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}
