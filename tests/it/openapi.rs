//! The committed document is what the program serves, and what the program serves is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use http::Method;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tollgate::model::key::Scope;
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Client, Relay, document_operations, submit_body};

/// Routes that need no credential.
const OPEN: [&str; 4] = ["/health", "/ready", "/api/vision/health", "/metrics"];

/// Routes whose 503 has a shape of its own, which platforms and clients read.
const PROBES: [&str; 2] = ["/ready", "/api/vision/health"];

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let document = tollgate::api::document() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "openapi/openapi.json is behind: run UPDATE_OPENAPI=1 cargo test --test it openapi"
    );
}

#[tokio::test]
async fn the_document_is_served_to_everybody_and_swagger_ui_with_it() {
    let relay = Relay::start().await;
    let stranger = relay.stranger();
    let json = stranger.get("/openapi.json").await;
    let docs = stranger.get("/docs").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(String::from_utf8(json.body).unwrap(), tollgate::api::document());
    assert_eq!(docs.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn no_object_of_the_document_has_a_key_twice() {
    let strict: Result<Strict, _> = serde_json::from_str(&tollgate::api::document());
    strict.unwrap();
    assert!(serde_json::from_str::<Strict>(r#"{"a":{"b":1,"b":2}}"#).is_err());
}

#[test]
fn the_head_says_whose_it_is_and_which_version() {
    let document = document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["license"]["name"], "MIT");
    assert!(document["info"]["contact"]["url"].is_string());
    assert!(
        document["info"]["description"]
            .as_str()
            .unwrap()
            .contains("OUTCOME_UNKNOWN")
    );
}

#[test]
fn every_operation_has_an_id_a_summary_a_description_and_a_known_tag() {
    let document = document();
    let tags: BTreeSet<_> = list(&document["tags"]).iter().map(|tag| text(&tag["name"])).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in document_operations(&document) {
        let place = format!("{method} {path}");
        assert!(
            ids.insert(text(&operation["operationId"])),
            "{place}: its operationId stands twice"
        );
        assert!(!text(&operation["summary"]).is_empty(), "{place} has no summary");
        assert!(
            !text(&operation["description"]).is_empty(),
            "{place} has no description"
        );
        assert!(tags.contains(text(&operation["tags"][0])), "{place} has no tag");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                !text(&parameter["description"]).is_empty(),
                "{place}: {} is not described",
                parameter["name"]
            );
        }
    }
}

#[test]
fn every_operation_but_the_open_ones_takes_any_of_the_three_credentials() {
    let document = document();
    let schemes: BTreeSet<_> = document["components"]["securitySchemes"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    for (path, method, operation) in document_operations(&document) {
        let asked: BTreeSet<_> = operation["security"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|one| one.as_object().unwrap().keys())
            .collect();
        if OPEN.contains(&path.as_str()) {
            assert!(asked.is_empty(), "{method} {path} is open");
        } else {
            assert_eq!(asked, schemes, "{method} {path}");
        }
    }
}

#[test]
fn every_error_of_every_operation_has_the_envelope_and_its_headers() {
    let document = document();
    for (path, method, operation) in document_operations(&document) {
        let statuses: BTreeSet<_> = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = vec![];
        if !OPEN.contains(&path.as_str()) {
            expected.extend(["400", "401", "403", "429", "500", "503"]);
        }
        if operation.get("requestBody").is_some() {
            expected.extend(["408", "413"]);
        }
        if ["Volcengine", "OpenAI"].contains(&text(&operation["tags"][0])) {
            expected.extend(["404", "502", "504"]);
        }
        for status in expected {
            assert!(statuses.contains(status), "{method} {path} may answer {status}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = resolve(&document, response);
            let place = format!("{method} {path} {status}");
            assert!(response["headers"].get("X-Request-Id").is_some(), "{place}");
            let is_limit = ["429", "503"].contains(&status.as_str());
            if status.starts_with(['4', '5']) && !PROBES.contains(&path.as_str()) {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ErrorEnvelope", "{place}");
                assert_eq!(response["headers"].get("Retry-After").is_some(), is_limit, "{place}");
            }
        }
    }
}

#[test]
fn relayed_bodies_have_open_schemas() {
    let schemas = &document()["components"]["schemas"];
    for name in [
        "VolcengineRequest",
        "VolcengineReply",
        "ChatRequest",
        "ChatReply",
        "CompletionRequest",
        "CompletionReply",
        "EmbeddingRequest",
        "EmbeddingReply",
        "ResponseRequest",
        "ResponseReply",
        "ImageRequest",
        "ImageReply",
        "AuditEntry",
    ] {
        assert_eq!(schemas[name]["additionalProperties"], serde_json::json!({}), "{name}");
        assert!(!schemas[name]["properties"].as_object().unwrap().is_empty(), "{name}");
        for (field, schema) in schemas[name]["properties"].as_object().unwrap() {
            assert!(schema.get("enum").is_none(), "{name}.{field} is closed");
        }
    }
}

#[tokio::test]
async fn the_routes_of_the_document_are_the_routes_there_are() {
    let relay = Relay::start().await;
    let stranger = relay.stranger();
    let document = document();
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in document_operations(&document) {
        methods.entry(path).or_default().insert(method.to_string());
    }
    for (path, documented) in methods {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let reply = stranger
                .send(method.clone(), &path.replace("{id}", "1"), "")
                .await
                .unwrap();
            let exists = reply.status != 405;
            assert_eq!(
                exists,
                documented.contains(method.as_str()),
                "{method} {path}: {}",
                reply.status
            );
            if !exists {
                let allow = reply.header("allow").unwrap();
                let allowed = allow.split(", ").filter(|method| *method != "HEAD").map(str::to_owned);
                assert_eq!(allowed.collect::<BTreeSet<_>>(), documented, "{path}");
                assert_eq!(reply.code(), "METHOD_NOT_ALLOWED");
            }
        }
    }
}

#[tokio::test]
async fn the_examples_work() {
    let relay = Relay::build()
        .with_openai_upstreams()
        .with("MEGALLM_BASE_URL", "http://127.0.0.1:9/v1")
        .start()
        .await;
    let scopes = [Scope::Relay, Scope::Jobs];
    let (client, admin) = (relay.client_with("examples", scopes).await, relay.operator());
    let mine = r#"{"id":"mine","base_url":"http://127.0.0.1:9/v1"}"#;
    assert_eq!(admin.post("/admin/upstreams", mine).await.status, 201);
    let task = client.submit(&submit_body("examples")).await.task_id();
    let job = client.sleeping_job().await;
    let key = relay.client("to be changed").await.issued().key.id.to_string();
    let document = document();
    for (path, method, operation) in document_operations(&document) {
        if operation.get("requestBody").is_none() {
            continue;
        }
        let examples = examples(&document, operation);
        assert!(!examples.is_empty(), "{path} has no example");
        for (summary, mut body) in examples {
            if operation["tags"][0] == "Volcengine" && body.get("task_id").is_some() {
                body["task_id"] = Value::from(task.clone());
            }
            let films = operation["tags"][0] == "Videos";
            for named in [&body, &body["body"], &body["items"][0]["body"]] {
                if let Some(model) = named["model"].as_str().filter(|_| !films) {
                    register(&admin, model).await;
                }
            }
            let (asked, path) = match (text(&operation["tags"][0]), text(&operation["operationId"])) {
                ("Jobs", "jobs_log") => (&client, path.replace("{id}", &job)),
                ("Jobs", _) => (&client, path.clone()),
                (_, "volcengine_call") => (&client, format!("/?{}&Version=2022-08-31", action(&summary))),
                ("Volcengine" | "OpenAI" | "Vision" | "Videos", _) => (&client, path.clone()),
                (_, "audit_resolve") => (&admin, path.replace("{id}", &unknown_intent(&relay).await.to_string())),
                (_, "accounts_add" | "accounts_addMany") => (&admin, path.replace("{id}", "mine")),
                _ => (&admin, path.replace("{id}", &key)),
            };
            let reply = asked.send(method.clone(), &path, &body.to_string()).await.unwrap();
            assert!(
                reply.status.is_success(),
                "{path} {summary}: {}",
                String::from_utf8_lossy(&reply.body)
            );
        }
    }
}

#[tokio::test]
async fn nothing_in_the_document_lets_anybody_in() {
    let relay = Relay::start().await;
    let document = document();
    let mut words = BTreeSet::new();
    collect_words(&document, &mut words);
    let secrets: Vec<_> = words
        .iter()
        .filter(|word| word.len() > 8 && word.starts_with(['s', 'a']) && word[1..].starts_with("k_"))
        .collect();
    assert!(secrets.is_empty(), "the document has {secrets:?}");
    for word in words
        .iter()
        .filter(|word| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        let reply = relay
            .stranger()
            .header("authorization", &format!("Bearer {word}"))
            .get("/v1/key")
            .await;
        assert_eq!(reply.status, 401, "{word}");
    }
}

/// A new submit whose outcome stayed unknown.
async fn unknown_intent(relay: &Relay) -> u64 {
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    let reply = relay.client("unknown").await.submit(&submit_body("unknown")).await;
    reply.json()["error"]["audit_id"].as_u64().unwrap()
}

/// The bodies to try an operation with, each with its summary: its own examples, else that of its schema.
fn examples(document: &Value, operation: &Value) -> Vec<(String, Value)> {
    let content = &operation["requestBody"]["content"]["application/json"];
    if let Some(examples) = content["examples"].as_object() {
        let example = |example: &Value| (text(&example["summary"]).to_owned(), example["value"].clone());
        return examples.values().map(example).collect();
    }
    let example = resolve(document, &content["schema"]).get("example");
    example
        .map(|example| (String::new(), example.clone()))
        .into_iter()
        .collect()
}

/// Has the model served by `openai`.
async fn register(admin: &Client, model: &str) {
    let target = serde_json::json!({ "targets": [{ "upstream": "openai", "model": model }] });
    let path = format!("/admin/models/{model}");
    let reply = admin.send(Method::PUT, &path, &target.to_string()).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// The `Action=…` at the start of an example's summary.
fn action(summary: &str) -> &str {
    summary.split(',').next().unwrap()
}

fn document() -> Value {
    serde_json::from_str(&tollgate::api::document()).unwrap()
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every word of every text that is an example's.
fn collect_words(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => words.extend(text.split_whitespace().map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Object(fields) => fields.values().for_each(|field| collect_words(field, words)),
        _ => {}
    }
}

/// JSON whose objects have no key twice; what it holds does not matter.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, Strict)) = map.next_entry::<String, Strict>()? {
            if let Some(twice) = keys.replace(key) {
                return Err(serde::de::Error::custom(format!("{twice} stands twice")));
            }
        }
        Ok(Strict)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        while items.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }
}
