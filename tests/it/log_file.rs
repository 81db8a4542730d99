//! Logs: what the one line of a request tells, on standard output and in the file of `LOG_FILE`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Program, eventually, imitation, submit_body};

/// The lines of a log file, each of which must be one JSON object.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_a_request_names_request_key_operation_outcome_and_milliseconds() {
    let upstream = imitation(Duration::ZERO).await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("logs/tollgate.log");
    let program = Program::on(&folder.path().join("tollgate.redb"))
        .before(upstream.addr())
        // What people read on standard output does not change the file.
        .with("LOG_FILE", &log.display().to_string());
    let client = program.client("alice");
    let server = program.serve();
    let client = client.at(&server.url);
    let keyed = client.idempotent("once");

    let first = keyed.submit(&submit_body("a")).await;
    let repeated = keyed.submit(&submit_body("a")).await;
    let refused = client.submit(r#"{"req_key":"one","req_key":"another"}"#).await;
    let passed_on = client.submit("no JSON, which is the upstream's to refuse").await;

    let answered = |request: &str| {
        let of_request = |line: &Value| line["span"]["request.id"] == request && line["message"] == "answered";
        lines(&log).into_iter().find(of_request)
    };
    for (reply, outcome) in [
        (&first, "done"),
        (&repeated, "replayed"),
        (&refused, "VALIDATION_FAILED"),
        (&passed_on, "passed_on"),
    ] {
        let request = reply.header("x-request-id").unwrap();
        eventually("the line is in the file", async || answered(request).is_some()).await;
        let line = answered(request).unwrap();
        assert_eq!(line["outcome"], outcome, "{line:#}");
        assert_eq!(line["http.status"], reply.status.as_u16(), "{line:#}");
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line:#}");
        let span = &line["span"];
        assert!(span["key.id"].as_str().unwrap().starts_with("key_"), "{line:#}");
        assert_eq!(span["operation"], "cv_sync2async_submit_task", "{line:#}");
    }
}

#[test]
fn a_log_file_that_cannot_be_written_is_named_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::on(&folder.path().join("tollgate.redb"));
    let said = program
        .with("LOG_FILE", &folder.path().display().to_string())
        .run(&["serve"]);
    assert_eq!(said.code, Some(1));
    assert!(said.errors.contains("LOG_FILE: "), "{said:?}");
    assert!(
        said.errors.contains("name a file where this user may write"),
        "{said:?}"
    );
    assert!(!folder.path().join("tollgate.redb").exists());
}
