//! What a client logs beside its job is kept, found and summed up, and nobody else reads it.

use serde_json::{Value, json};
use tollgate::model::key::Scope;

use crate::support::{Client, Relay};

const SCOPES: [Scope; 2] = [Scope::Relay, Scope::Jobs];
const CANARY: &str = "canary-of-a-log-line";

/// A client with a job, and the path of its log.
struct Logging {
    relay: Relay,
    alice: Client,
    path: String,
}

impl Logging {
    async fn new() -> Self {
        let relay = Relay::start().await;
        let alice = relay.client_with("alice", SCOPES).await;
        let path = format!("/v1/jobs/{}/logs", alice.sleeping_job().await);
        Self { relay, alice, path }
    }

    async fn post(&self, body: &Value) -> (u16, Value) {
        let reply = self.alice.post(&self.path, &body.to_string()).await;
        (reply.status.as_u16(), reply.json())
    }

    async fn get(&self, query: &str) -> Value {
        let reply = self.alice.get(&format!("{}{query}", self.path)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

fn line(level: &str, category: &str, message: &str) -> Value {
    json!({ "level": level, "category": category, "message": message })
}

#[tokio::test]
async fn a_line_reads_back_as_it_was_written() {
    let logging = Logging::new().await;
    let mut written = line("error", "tool", "no answer");
    written["details"] = json!({ "attempt": 2, "urls": ["a", "b"] });
    written["step"] = json!("research");
    written["agent_name"] = json!("searcher");
    written["concept_id"] = json!("c-7");
    written["duration_ms"] = json!(812);
    written["at"] = json!("2026-02-24T10:00:00Z");
    assert_eq!(logging.post(&written).await, (202, json!({ "accepted": 1 })));

    written["seq"] = json!(1);
    let read = logging.get("").await;
    assert_eq!(read, json!({ "items": [written], "total": 1, "next_cursor": null }));
}

#[tokio::test]
async fn lines_are_filtered_paged_and_summed_up() {
    let logging = Logging::new().await;
    let lines: Vec<_> = (0..60)
        .map(|number| match number % 3 {
            0 => line("error", "api", &number.to_string()),
            _ => line("info", "workflow", &number.to_string()),
        })
        .collect();
    assert_eq!(logging.post(&json!({ "lines": lines })).await.1["accepted"], 60);

    let errors = logging.get("?level=error&category=api&limit=2&offset=3").await;
    assert_eq!(errors["total"], 20);
    let messages: Vec<_> = errors["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["message"])
        .collect();
    assert_eq!(messages, ["9", "12"]);
    assert_eq!(logging.get("?category=api&level=info").await["total"], 0);

    let summary = logging.get("/summary").await;
    assert_eq!(summary["total"], 60);
    let levels = json!({ "debug": 0, "info": 40, "warning": 0, "error": 20, "critical": 0 });
    assert_eq!(summary["by_level"], levels);
    assert_eq!(summary["by_category"], json!({ "api": 20, "workflow": 40 }));
    assert!(summary["first_at"].is_string() && summary["last_at"].is_string());
}

#[tokio::test]
async fn an_accepted_line_outlives_the_process_that_ends_in_order() {
    let logging = Logging::new().await;
    assert_eq!(logging.post(&line("info", "agent", "last words")).await.0, 202);
    let Logging { relay, alice, path } = logging;
    let relay = relay.stop().await.start().await;
    let read = alice.at(&relay.url).get(&path).await.json();
    assert_eq!(read["items"][0]["message"], "last words");
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_and_nothing_of_it_is_kept() {
    let logging = Logging::new().await;
    let many = |count: usize| json!({ "lines": vec![line("info", "agent", "a"); count] });
    let wrong = [
        many(0),
        many(1001),
        line("loud", "agent", "a"),
        line("info", "", "a"),
        json!({ "lines": [line("info", "agent", "a"), line("info", "agent", &"x".repeat(8193))] }),
        json!([]),
        json!("a"),
    ];
    for body in wrong {
        let (status, reply) = logging.post(&body).await;
        assert_eq!(
            (status, &reply["error"]["code"]),
            (400, &json!("VALIDATION_FAILED")),
            "{reply}"
        );
    }
    for query in ["?limit=0", "?limit=2001", "?level=loud", "?offset=-1"] {
        let reply = logging.alice.get(&format!("{}{query}", logging.path)).await;
        assert_eq!(reply.status, 400, "{query}");
    }
    assert_eq!(logging.get("?limit=2000").await["total"], 0);
}

#[tokio::test]
async fn nobody_else_writes_or_reads_a_log_and_its_texts_are_sealed() {
    let logging = Logging::new().await;
    let said = line("info", "agent", CANARY);
    assert_eq!(logging.post(&said).await.0, 202);
    assert_eq!(logging.get("").await["total"], 1);

    let mallory = logging.relay.client_with("mallory", SCOPES).await;
    let narrow = logging.relay.client("narrow").await;
    for (client, status) in [(mallory, 404), (narrow, 403), (logging.relay.stranger(), 401)] {
        assert_eq!(client.post(&logging.path, &said.to_string()).await.status, status);
        assert_eq!(client.get(&logging.path).await.status, status);
        assert_eq!(client.get(&format!("{}/summary", logging.path)).await.status, status);
    }
    let image = logging.relay.stop().await.image();
    let found = image.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    assert!(!found, "the text stands in the file");
}
