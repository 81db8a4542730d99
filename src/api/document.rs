//! The document, completed: what poem-openapi cannot say of a single operation.
//!
//! It declares every error with every operation that may fail. Here each keeps the statuses it can really answer with,
//! errors become shared components, and request bodies get examples that work.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::Code;
use crate::model::key::{Scheme, Scope};

/// The document that poem-openapi wrote, completed and indented.
pub(super) fn complete(spec: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(spec) else {
        return spec.to_owned();
    };
    let mut errors = Map::new();
    for (path, method, operation) in operations(&mut document) {
        let kept = kept_statuses(&path, operation);
        if let Some(responses) = object(operation, "/responses") {
            responses.retain(|status, response| !is_error(response) || kept.contains(&status.as_str()));
            for (status, response) in responses {
                finish_response(status, response, &mut errors);
            }
        }
        finish_parameters(operation);
        let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if let Some(examples) = examples(&name)
            && method != "get"
            && let Some(media) = operation.pointer_mut("/requestBody/content/application~1json")
        {
            media["examples"] = examples;
        }
    }
    document["components"]["responses"] = Value::Object(errors);
    if let Some(schemas) = object(&mut document, "/components/schemas") {
        schemas.values_mut().for_each(finish_schema);
    }
    let text = document["info"]["description"].as_str().unwrap_or_default();
    document["info"]["description"] = Value::from(format!("{text}\n\n{}", table_of_codes()));
    format!("{document:#}")
}

/// Every operation with its path and method.
fn operations(document: &mut Value) -> impl Iterator<Item = (String, String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    paths.into_iter().flatten().flat_map(|(path, methods)| {
        let path = path.clone();
        let methods = methods.as_object_mut().into_iter().flatten();
        methods.map(move |(method, operation)| (path.clone(), method.clone(), operation))
    })
}

/// The error statuses that an operation can answer with.
fn kept_statuses(path: &str, operation: &Value) -> Vec<&'static str> {
    let relays = operation["tags"][0] == "Volcengine";
    let takes_a_body = operation.get("requestBody").is_some();
    let is_open = operation.get("security").is_none();
    let has_idempotency = parameters(operation).any(|parameter| parameter["name"] == "Idempotency-Key");
    let names_one = relays || path.contains('{') || path == "/v1/key";
    let rules = [
        ("400", !is_open),
        ("401", true),
        ("403", !is_open),
        ("404", names_one),
        ("408", takes_a_body),
        ("409", has_idempotency),
        ("413", takes_a_body),
        ("415", takes_a_body && !relays),
        ("429", !is_open),
        ("500", true),
        ("502", relays),
        ("503", true),
        ("504", relays),
    ];
    rules
        .iter()
        .filter(|(_, kept)| *kept)
        .map(|(status, _)| *status)
        .collect()
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_array().into_iter().flatten()
}

fn is_error(response: &Value) -> bool {
    response
        .pointer("/content/application~1json/schema/$ref")
        .is_some_and(|schema| schema == "#/components/schemas/ErrorEnvelope")
}

/// An error becomes a reference; anything else says plain JSON and carries our id.
fn finish_response(status: &str, response: &mut Value, errors: &mut Map<String, Value>) {
    if is_error(response) {
        let name = component(status);
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        errors.insert(name, std::mem::replace(response, reference));
        return;
    }
    if response["description"] == "" {
        response["description"] = Value::from("As asked.");
    }
    response["headers"]["X-Request-Id"] = json!({
        "description": "Our id of the request.",
        "schema": { "type": "string" },
    });
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
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let schema = &mut parameter["schema"];
        match name.as_str() {
            "limit" => (schema["minimum"], schema["maximum"]) = (json!(1), json!(1000)),
            "order" => schema["enum"] = json!(["desc", "asc"]),
            "Idempotency-Key" => {
                (schema["minLength"], schema["maxLength"]) = (json!(1), json!(255));
                schema["pattern"] = json!("^[!-~]+$");
            }
            _ => {}
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
            property["nullable"] = Value::Bool(true);
            if property.get("allOf").is_some() {
                // OpenAPI 3.0 lets null in only where a type is named beside it.
                property["type"] = Value::from("object");
            }
        }
        if name == "at" || name.ends_with("_at") && property["type"] == "string" {
            property["format"] = Value::from("date-time");
        }
        let labels: Vec<_> = match name.as_str() {
            "scopes" => Scope::ALL.iter().map(|scope| scope.label()).collect(),
            "schemes" => Scheme::ALL.iter().map(|scheme| scheme.label()).collect(),
            _ => continue,
        };
        property["items"]["enum"] = json!(labels);
    }
}

fn object<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    value.pointer_mut(pointer)?.as_object_mut()
}

/// Bodies to try an operation with. None holds anything that could be a credential.
fn examples(operation: &str) -> Option<Value> {
    let submit = json!({ "req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk" });
    let query = json!({ "req_key": "jimeng_t2i_v40", "task_id": "7392616336519610409" });
    let named = |summary: &str, value: Value| json!({ "summary": summary, "value": value });
    let examples = match operation {
        "volcengine" => json!({
            "submit": named("Action=CVSync2AsyncSubmitTask", submit),
            "query": named("Action=CVSync2AsyncGetResult, with a task of yours", query),
        }),
        "submit" => json!({ "submit": named("Make a picture", submit) }),
        "getResult" => json!({ "query": named("With a task of yours", query) }),
        "createKey" => json!({
            "plain": named("A key that may relay", json!({ "description": "photo studio" })),
            "narrow": named("A key for one model, with limits of its own", json!({
                "description": "night batch",
                "scopes": ["relay"],
                "schemes": ["signed"],
                "models": ["jimeng_t2i_v40"],
                "limits": { "concurrency": 2, "queue": 10 },
            })),
        }),
        "updateKey" => json!({
            "limits": named("Other limits", json!({ "limits": { "concurrency": 2 } })),
            "clear": named("Never expire, and every model", json!({ "expires_at": null, "models": null })),
        }),
        "rotateKey" => json!({ "grace": named("Both keys work for ten minutes", json!({ "grace_seconds": 600 })) }),
        "importKeys" => json!({ "none": named("No rows", json!({ "rows": [] })) }),
        "resolveIntent" => json!({
            "not_sent": named("It was never done", json!({ "outcome": "not_sent" })),
            "task": named("It created this task", json!({ "task_id": "7392616336519610409" })),
        }),
        _ => return None,
    };
    Some(examples)
}

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
