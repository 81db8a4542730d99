//! `/metrics` after a mixed run: every metric is there, under a good name, and says what happened.
//!
//! The recorder is the process's, so other tests count in the same series; those of an account are this test's alone,
//! since an account's label is drawn with its store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use http::Method;
use serde_json::json;
use tokio_util::task::TaskTracker;
use tollgate::model::operation::Operation;
use tollgate::model::outcome::Outcome;
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Provider, Relay, error, eventually, key_of, query_body, submit_body};

#[tokio::test]
async fn a_mixed_run_leaves_a_trace_in_every_metric() {
    let relay = mixed().await;
    let scrape = Scrape::of(&relay).await;
    let missing: Vec<_> = declared()
        .into_iter()
        .filter(|name| !scrape.families.contains_key(name))
        .collect();
    assert!(missing.is_empty(), "not in /metrics: {missing:?}");
}

#[tokio::test]
async fn every_metric_is_declared_described_and_well_named() {
    let relay = mixed().await;
    let scrape = Scrape::of(&relay).await;
    let declared = declared();
    for (name, family) in &scrape.families {
        let known = declared.contains(name) || name.starts_with("process_");
        assert!(known, "{name} is not declared in telemetry/metrics");
        assert!(!family.help.is_empty(), "{name} has no help");
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{name}"
        );
        assert_eq!(
            family.kind == "counter",
            name.ends_with("_total"),
            "{name} is a {}",
            family.kind
        );
        for part in [
            "_ms",
            "milli",
            "minutes",
            "hours",
            "kilobytes",
            "megabytes",
            "counter",
            "gauge",
            "histogram",
        ] {
            assert!(!name.contains(part), "{name}: base units, and no types in names");
        }
        if family.kind == "histogram" {
            assert!(
                ["_seconds", "_bytes", "_size"].iter().any(|unit| name.ends_with(unit)),
                "{name} has no unit"
            );
        }
    }
}

#[tokio::test]
async fn closed_sets_are_there_before_their_first_event() {
    let relay = Relay::start().await;
    let scrape = Scrape::of(&relay).await;
    let account = &relay.services().relay.accounts()[0].account.to_string();
    for operation in Operation::VOLCENGINE {
        for outcome in Outcome::ALL {
            assert_eq!(
                scrape.attempts(account, operation, outcome),
                Some(0.0),
                "{operation} {outcome:?}"
            );
        }
        for reason in ["rate_limited", "queue_full", "queue_timeout"] {
            let labels = [("operation", operation.label()), ("reason", reason)];
            assert!(scrape.value("tollgate_admission_rejections_total", &labels).is_some());
        }
    }
    for outcome in ["first", "replayed", "joined", "conflict", "unknown"] {
        assert!(
            scrape
                .value("tollgate_idempotency_total", &[("outcome", outcome)])
                .is_some(),
            "{outcome}"
        );
    }
    for reason in ["connect", "limited", "failed", "refused"] {
        assert!(
            scrape
                .value("tollgate_upstream_retries_total", &[("reason", reason)])
                .is_some(),
            "{reason}"
        );
    }
    for queue in ["default", "content_generation", "roadmap_workflow", "media"] {
        for state in ["ready", "retrying", "polling", "dead"] {
            let labels = [("queue", queue), ("state", state)];
            assert!(scrape.value("tollgate_jobs", &labels).is_some(), "{queue} {state}");
        }
        for name in ["enqueued_total", "taken_total", "ended_total", "duration_seconds_count"] {
            let name = format!("tollgate_job_{name}");
            assert!(scrape.value(&name, &[("queue", queue)]).is_some(), "{name} {queue}");
        }
        for outcome in [
            "succeeded",
            "failed",
            "unknown",
            "retried",
            "bounced",
            "dead",
            "polling",
        ] {
            let labels = [("queue", queue), ("outcome", outcome)];
            assert!(scrape.value("tollgate_job_attempts_total", &labels).is_some());
        }
    }
    for outcome in ["pending", "done", "failed", "unanswered"] {
        let labels = [("outcome", outcome)];
        assert!(scrape.value("tollgate_job_polls_total", &labels).is_some(), "{outcome}");
    }
    assert_eq!(
        scrape.value("tollgate_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        Some(1.0)
    );
}

#[tokio::test]
async fn attempts_are_counted_by_account_operation_and_outcome() {
    let relay = mixed().await;
    let scrape = Scrape::of(&relay).await;
    let account = &relay.services().relay.accounts()[0].account.to_string();
    let attempts = |operation, outcome| scrape.attempts(account, operation, outcome).unwrap();
    assert!(attempts(Operation::Sync2AsyncSubmitTask, Outcome::Succeeded) >= 2.0);
    assert!(attempts(Operation::Sync2AsyncSubmitTask, Outcome::Refused) >= 1.0);
    assert!(attempts(Operation::Sync2AsyncSubmitTask, Outcome::Unknown) >= 1.0);
    assert!(attempts(Operation::Sync2AsyncGetResult, Outcome::Succeeded) >= 1.0);
    assert!(attempts(Operation::SubmitTask, Outcome::Succeeded) < 1.0);
}

#[tokio::test]
async fn each_account_is_in_one_state_and_one_that_is_gone_is_in_none() {
    let provider = Provider::with(&["red", "green"]).await;
    let relay = Relay::start().await;
    let operator = relay.operator();
    let upstream = json!({"id": "local", "base_url": provider.url()});
    operator.post("/admin/upstreams", &upstream.to_string()).await;
    let mut ids = Vec::new();
    for name in ["red", "green"] {
        let account = json!({"credential": key_of(name)}).to_string();
        let added = operator.post("/admin/upstreams/local/accounts", &account).await;
        ids.push(added.json()["id"].as_str().unwrap().to_owned());
    }
    let target = json!({"targets": [{"upstream": "local", "model": "m"}]}).to_string();
    operator.send(Method::PUT, "/admin/models/m", &target).await.unwrap();
    let client = relay.client("app").await;
    provider.always("red", error(401));
    provider.always("green", error(500));
    for _ in 0..7 {
        client.chat("m").await;
    }

    let scrape = Scrape::of(&relay).await;
    assert_eq!(scrape.states("tollgate_account_state", &ids[0]), ["disabled"]);
    assert_eq!(scrape.states("tollgate_breaker_state", &ids[0]), ["closed"]);
    assert_eq!(scrape.states("tollgate_account_state", &ids[1]), ["active"]);
    assert_eq!(scrape.states("tollgate_breaker_state", &ids[1]), ["open"]);

    let path = format!("/admin/upstreams/local/accounts/{}", ids[0]);
    operator.send(Method::DELETE, &path, "").await.unwrap();
    let scrape = Scrape::of(&relay).await;
    assert_eq!(scrape.states("tollgate_account_state", &ids[0]), [""; 0]);
    assert_eq!(scrape.states("tollgate_breaker_state", &ids[0]), [""; 0]);
    let capacity = scrape.value("tollgate_queue_capacity", &[("account", &ids[0]), ("class", "call")]);
    assert_eq!(capacity, Some(0.0));
    assert_eq!(scrape.states("tollgate_account_state", &ids[1]), ["active"]);
}

#[tokio::test]
async fn tokens_streams_and_the_reason_of_a_switch_are_counted() {
    let provider = Provider::with(&["red", "green"]).await;
    let relay = provider
        .behind(Relay::build())
        .with("OPENAI_MODEL", "counted-model")
        .start()
        .await;
    let client = relay.client("app").await;
    let before = Scrape::of(&relay).await;
    provider.next(error(401));
    assert_eq!(client.chat("counted-model").await.status, 200);
    provider.order(Rule::any(Fault::Stall { frames: 2 }));
    let streaming = {
        let client = client.clone();
        let body = json!({"model": "counted-model", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
        TaskTracker::new().spawn(async move { client.post("/v1/chat/completions", &body.to_string()).await })
    };
    // Other tests have streams of their own in this process.
    let open = async || Scrape::of(&relay).await.value("tollgate_streams_open", &[]).unwrap() >= 1.0;
    eventually("the stream is counted", open).await;
    streaming.abort();

    let after = Scrape::of(&relay).await;
    let refused = |scrape: &Scrape| scrape.value("tollgate_upstream_retries_total", &[("reason", "refused")]);
    assert!(refused(&after) > refused(&before));
    for direction in ["input", "output"] {
        let labels = [("direction", direction), ("model", "counted-model")];
        assert!(
            after.value("tollgate_tokens_total", &labels).unwrap() >= 1.0,
            "{direction}"
        );
    }
    let first_byte = [("upstream", "openai"), ("operation", "chat_completions")];
    assert!(
        after
            .value("tollgate_upstream_first_byte_seconds_count", &first_byte)
            .unwrap()
            >= 2.0
    );
}

#[test]
fn the_dashboards_show_every_metric_that_is_declared_and_none_that_is_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let mut shown = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        shown.extend(metrics_in(&std::fs::read_to_string(file.unwrap().path()).unwrap()));
    }
    assert_eq!(shown, declared());
}

#[test]
fn alerts_look_at_nothing_but_metrics_that_are_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts.yml");
    let looked_at = metrics_in(&std::fs::read_to_string(path).unwrap());
    assert!(looked_at.len() > 5);
    assert_eq!(looked_at.difference(&declared()).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn refusals_replays_and_retries_are_counted() {
    let relay = Relay::start().await;
    let before = Scrape::of(&relay).await;
    drop(mixed().await);
    let after = Scrape::of(&relay).await;
    let grown = |name: &str, labels: &[(&str, &str)]| {
        after.value(name, labels).unwrap() - before.value(name, labels).unwrap_or(0.0)
    };
    let rejected = [("operation", "cv_sync2async_submit_task"), ("reason", "rate_limited")];
    assert!(grown("tollgate_admission_rejections_total", &rejected) >= 1.0);
    assert!(grown("tollgate_idempotency_total", &[("outcome", "first")]) >= 1.0);
    assert!(grown("tollgate_idempotency_total", &[("outcome", "replayed")]) >= 1.0);
    assert!(grown("tollgate_idempotency_total", &[("outcome", "conflict")]) >= 1.0);
    assert!(grown("tollgate_upstream_retries_total", &[("reason", "limited")]) >= 1.0);
    let submitted = [("route", "/v1/submit"), ("method", "POST"), ("status", "200")];
    assert!(grown("tollgate_http_requests_total", &submitted) >= 2.0);
}

#[tokio::test]
async fn routes_are_labelled_by_their_patterns() {
    let relay = Relay::start().await;
    relay.operator().get("/admin/keys/key_0123456789abcdef").await;
    relay.operator().post("/admin/keys/import", r#"{"rows":[]}"#).await;
    relay.stranger().get("/a/path/that/is/not?there=1").await;
    let scrape = Scrape::of(&relay).await;
    let routes: BTreeSet<_> = scrape.labels("tollgate_http_requests_total", "route");
    for route in ["/admin/keys/{id}", "/admin/keys/import", "unmatched"] {
        assert!(routes.contains(route), "{route}: {routes:?}");
    }
    assert!(!scrape.text.contains("key_0123456789abcdef") && !scrape.text.contains("/a/path"));
}

#[tokio::test]
async fn what_a_model_costs_and_takes_is_counted_from_zero_once_it_has_a_price() {
    let relay = Relay::start().await;
    let put = async |name: &str, price: &str| {
        let model = format!(r#"{{"targets":[{{"upstream":"volcengine","model":"jimeng_t2i_v40"}}],"price":{price}}}"#);
        let path = format!("/admin/models/{name}");
        let put = relay.operator().send(Method::PUT, &path, &model).await.unwrap();
        assert_eq!(put.status, 200, "{}", put.text());
    };
    put("of-tokens", r#"{"currency":"EUR","input":5,"output":7}"#).await;
    put("of-images", r#"{"currency":"EUR","image":5}"#).await;

    let scrape = Scrape::of(&relay).await;

    for model in ["of-tokens", "of-images"] {
        let labels = [("currency", "EUR"), ("model", model)];
        assert_eq!(
            scrape.value("tollgate_cost_microunits_total", &labels),
            Some(0.0),
            "{model}"
        );
    }
    for direction in ["input", "output"] {
        let tokens = |model| scrape.value("tollgate_tokens_total", &[("direction", direction), ("model", model)]);
        assert_eq!(
            (tokens("of-tokens"), tokens("of-images")),
            (Some(0.0), None),
            "{direction}"
        );
    }
}

/// A relay that has seen a success, a replay, a conflict, a wait, a refusal, a retry and a lost answer.
async fn mixed() -> Relay {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::build()
        .with("BACKUP_URL", folder.path().to_str().unwrap())
        .with("BACKUP_EVERY", "0")
        .with("AUDIT_EXPORT_URL", folder.path().to_str().unwrap())
        .with("UPSTREAM_MAX_RUNNING_TASKS", "50")
        .with("PER_KEY_MAX_QUEUE", "1")
        .start()
        .await;
    let priced =
        r#"{"targets":[{"upstream":"volcengine","model":"jimeng_t2i_v40"}],"price":{"currency":"CNY","image":5}}"#;
    let (operator, path) = (relay.operator(), "/admin/models/jimeng_t2i_v40");
    let put = operator.send(http::Method::PUT, path, priced).await.unwrap();
    assert_eq!(put.status, 200);
    let alice = relay.client("alice").await;
    let task = alice.submit(&submit_body("metrics")).await.task_id();
    alice.query(&query_body(&task)).await;
    alice.process(&submit_body("metrics-call")).await;
    let keyed = alice.idempotent("metrics-1");
    keyed.submit(&submit_body("metrics-keyed")).await;
    keyed.submit(&submit_body("metrics-keyed")).await;
    keyed.submit(&submit_body("metrics-other")).await;
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::concurrency_limit()))
        .unwrap();
    alice.submit(&submit_body("metrics-retried")).await;
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    alice.submit(&submit_body("metrics-lost")).await;
    let (first, second, third, fourth) = (
        submit_body("metrics-1"),
        submit_body("metrics-2"),
        submit_body("metrics-3"),
        submit_body("metrics-4"),
    );
    tokio::join!(
        alice.submit(&first),
        alice.submit(&second),
        alice.submit(&third),
        alice.submit(&fourth)
    );
    relay.stranger().get("/health").await;
    let backed_up = operator.post("/admin/backup", "").await;
    assert_eq!(backed_up.status, 200, "{}", backed_up.text());
    eventually("the export has looked for days that ended", async || {
        let text = relay.stranger().get("/metrics").await.text();
        text.contains("\ntollgate_audit_export_last_success_timestamp_seconds ")
    })
    .await;
    relay
}

/// The metrics that a text names, without what a histogram appends.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    let names = words.filter(|word| word.starts_with("tollgate_"));
    names
        .map(|name| {
            let ends = ["_bucket", "_sum", "_count"];
            ends.iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name)
                .to_owned()
        })
        .collect()
}

/// The names that `telemetry/metrics` declares.
fn declared() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/metrics");
    let files = std::fs::read_dir(folder).unwrap();
    let text: String = files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let constants = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = \""));
    let names: BTreeSet<_> = constants
        .map(|(_, rest)| rest.trim_end_matches("\";").to_owned())
        .collect();
    assert!(names.len() > 20);
    names
}

/// What `/metrics` answered.
struct Scrape {
    text: String,
    families: BTreeMap<String, Family>,
}

#[derive(Default)]
struct Family {
    kind: String,
    help: String,
}

impl Scrape {
    async fn of(relay: &Relay) -> Self {
        let reply = relay.stranger().get("/metrics").await;
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let text = String::from_utf8(reply.body).unwrap();
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            if let (Some("#"), Some(what), Some(name), rest) = (words.next(), words.next(), words.next(), words.next())
            {
                let family = families.entry(name.to_owned()).or_default();
                let slot = if what == "TYPE" {
                    &mut family.kind
                } else {
                    &mut family.help
                };
                rest.unwrap_or_default().clone_into(slot);
            }
        }
        Self { text, families }
    }

    /// The value of the series that has all of these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut series = self.series(name).filter(|line| {
            labels
                .iter()
                .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        });
        series.next()?.rsplit_once(' ')?.1.parse().ok()
    }

    fn attempts(&self, account: &str, operation: Operation, outcome: Outcome) -> Option<f64> {
        let labels = [
            ("account", account),
            ("operation", operation.label()),
            ("outcome", outcome.label()),
        ];
        self.value("tollgate_upstream_attempts_total", &labels)
    }

    /// The states whose series of this account are 1; none may be anything but 0 or 1.
    fn states<'a>(&'a self, name: &'a str, account: &str) -> Vec<&'a str> {
        let label = format!("account=\"{account}\"");
        let series = self.series(name).filter(|line| line.contains(&label));
        series
            .filter_map(|line| {
                let (labels, value) = line.rsplit_once(' ').unwrap();
                assert!(["0", "1"].contains(&value), "{line}");
                let state = labels.split_once("state=\"").unwrap().1.split('"').next();
                state.filter(|_| value == "1")
            })
            .collect()
    }

    fn labels<'a>(&'a self, name: &'a str, label: &str) -> BTreeSet<&'a str> {
        let start = format!("{label}=\"");
        self.series(name)
            .filter_map(|line| line.split_once(&start)?.1.split('"').next())
            .collect()
    }

    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.text
            .lines()
            .filter(move |line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
    }
}
