//! Every metric: its name, unit, labels and buckets. Nothing else in the program names one.
//!
//! Labels are closed sets or configured names, never ids of clients or texts of errors.

mod backup;
mod export;
mod jobs;

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

pub use self::backup::{
    BACKUP_BYTES, BACKUP_DURATION, BACKUP_FAILURES, BACKUP_LAST_SUCCESS, backed_up, backup_failed, backup_found,
};
pub use self::export::{EXPORT_FAILURES, EXPORT_LAST_SUCCESS, export_failed, exported};
pub use self::jobs::{
    JOB_ATTEMPTS, JOB_DURATION, JOB_ENDED, JOB_ENQUEUED, JOB_EVENT_STREAMS, JOB_LEASES_LOST, JOB_POLLS,
    JOB_QUEUE_OLDEST, JOB_TAKEN, JOBS, JobAttempt, JobEventStream, JobPoll, job_attempt, job_ended, job_event_stream,
    job_poll, job_queue, lease_lost,
};

use crate::model::key::KeyStatus;
use crate::model::operation::{Class, Operation, Protocol};
use crate::model::outcome::Outcome;
use crate::model::record::Refusal;
use crate::model::usage::Usage;
use crate::model::webhook::Fate;

/// Requests answered. Labels: `route`, `method`, `status`.
pub const HTTP_REQUESTS: &str = "tollgate_http_requests_total";
/// From the head of a request to the head of its answer. Seconds. Label: `route`.
pub const HTTP_DURATION: &str = "tollgate_http_request_duration_seconds";
/// Connections that are open.
pub const CONNECTIONS: &str = "tollgate_connections_open";
/// Streams that are being relayed.
pub const STREAMS: &str = "tollgate_streams_open";
/// Tokens that calls used. Labels: `direction`, `model`.
pub const TOKENS: &str = "tollgate_tokens_total";
/// What calls cost, in millionths of the currency's unit. Labels: `currency`, `model`.
pub const COST: &str = "tollgate_cost_microunits_total";
/// What Tollgate added to a call: total minus upstream. Seconds. Label: `operation`.
pub const OVERHEAD: &str = "tollgate_overhead_seconds";
/// Calls between admission and settlement. Label: `operation`.
pub const IN_FLIGHT: &str = "tollgate_inflight";
/// Calls that were not admitted. Labels: `operation`, `reason`.
pub const REJECTIONS: &str = "tollgate_admission_rejections_total";
/// Calls that wait at an account's gate. Labels: `upstream`, `account`, `class`.
pub const QUEUE_DEPTH: &str = "tollgate_queue_depth";
/// How many may wait there. Labels as above.
pub const QUEUE_CAPACITY: &str = "tollgate_queue_capacity";
/// How long calls waited for a place. Seconds. Labels: `upstream`, `class`.
pub const QUEUE_WAIT: &str = "tollgate_queue_wait_seconds";
/// How long the oldest waiter has waited. Seconds. Labels: `upstream`, `account`, `class`.
pub const QUEUE_WAITING_MAX: &str = "tollgate_queue_waiting_max_seconds";
/// Tries at an account. Labels: `upstream`, `account`, `operation`, `outcome`.
pub const ATTEMPTS: &str = "tollgate_upstream_attempts_total";
/// From the first byte sent to the last byte received. Seconds. Labels: `upstream`, `operation`.
pub const UPSTREAM_DURATION: &str = "tollgate_upstream_duration_seconds";
/// From the first byte sent to the head of the reply. Seconds. Labels: `upstream`, `operation`.
pub const UPSTREAM_FIRST_BYTE: &str = "tollgate_upstream_first_byte_seconds";
/// 1 for the state that an account is in, 0 for the others. Labels: `upstream`, `account`, `state`.
pub const ACCOUNT_STATE: &str = "tollgate_account_state";
/// 1 for what an account's breaker lets through, 0 for the others. Labels: `upstream`, `account`, `state`.
pub const BREAKER_STATE: &str = "tollgate_breaker_state";
/// Attempts after the first. Label: `reason`.
pub const RETRIES: &str = "tollgate_upstream_retries_total";
/// Slots of the running-task limit that are taken. Labels: `upstream`, `account`.
pub const RUNNING_TASKS: &str = "tollgate_running_tasks";
/// A commit of the store, from the first row to the disk. Seconds.
pub const AUDIT_COMMIT: &str = "tollgate_audit_commit_seconds";
/// Writes in one commit.
pub const AUDIT_BATCH: &str = "tollgate_audit_batch_size";
/// Size of the store's file. Bytes.
pub const STORE_FILE: &str = "tollgate_store_file_bytes";
/// What the disk has left. Bytes.
pub const STORE_FREE: &str = "tollgate_store_free_bytes";
/// Rows of a table. Label: `table`.
pub const STORE_ROWS: &str = "tollgate_store_rows";
/// What came of an idempotency key. Label: `outcome`.
pub const IDEMPOTENCY: &str = "tollgate_idempotency_total";
/// What came of attempts at webhook deliveries. Label: `outcome`.
pub const WEBHOOKS: &str = "tollgate_webhook_deliveries_total";
/// Client keys. Label: `status`.
pub const KEYS: &str = "tollgate_keys";
/// 1 when `/ready` says so.
pub const READY: &str = "tollgate_ready";
/// 1. Label: `version`.
pub const BUILD_INFO: &str = "tollgate_build_info";

/// What came of an idempotency key that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPresented {
    /// It was new: the call was sent.
    First,
    /// A stored reply was given again.
    Replayed,
    /// It waited for its twin in flight.
    Joined,
    /// It was used with another body.
    Conflict,
    /// Nobody knows what came of its first use.
    Unknown,
}

impl KeyPresented {
    const ALL: [Self; 5] = [Self::First, Self::Replayed, Self::Joined, Self::Conflict, Self::Unknown];

    const fn label(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Replayed => "replayed",
            Self::Joined => "joined",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
        }
    }
}

/// Why an attempt was followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// No connection took it.
    Connect,
    /// The upstream refused it for now.
    Limited,
    /// The upstream failed, and the operation is free to repeat.
    Failed,
    /// The account was refused (401, 402, 403); another may do.
    Refused,
}

impl RetryReason {
    const ALL: [Self; 4] = [Self::Connect, Self::Limited, Self::Failed, Self::Refused];

    const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Describes every metric, and sets the closed-set series to 0, so that `increase()` sees the first event.
pub fn describe_all() {
    describe_counter!(HTTP_REQUESTS, "Requests answered");
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "From the head of a request to the head of its answer"
    );
    describe_gauge!(CONNECTIONS, "Connections that are open");
    describe_histogram!(
        OVERHEAD,
        Unit::Seconds,
        "What Tollgate added to a call: total minus upstream"
    );
    describe_gauge!(IN_FLIGHT, "Calls between admission and settlement");
    describe_gauge!(STREAMS, "Streams that are being relayed");
    gauge!(STREAMS).set(0.0);
    describe_counter!(TOKENS, "Tokens that calls used");
    tokens(None, Usage::default());
    describe_counter!(COST, "What calls cost, in millionths of the currency's unit");
    describe_counter!(REJECTIONS, "Calls that were not admitted");
    describe_gauge!(QUEUE_DEPTH, "Calls that wait at an account's gate");
    describe_gauge!(QUEUE_CAPACITY, "How many may wait at an account's gate");
    describe_histogram!(QUEUE_WAIT, Unit::Seconds, "How long calls waited for a place");
    describe_gauge!(
        QUEUE_WAITING_MAX,
        Unit::Seconds,
        "How long the oldest waiter has waited"
    );
    describe_counter!(ATTEMPTS, "Tries at an account");
    describe_histogram!(
        UPSTREAM_DURATION,
        Unit::Seconds,
        "From the first byte sent to the last byte received"
    );
    describe_histogram!(
        UPSTREAM_FIRST_BYTE,
        Unit::Seconds,
        "From the first byte sent to the head of the reply"
    );
    describe_gauge!(ACCOUNT_STATE, "1 for the state that an account is in");
    describe_gauge!(BREAKER_STATE, "1 for what an account's breaker lets through");
    describe_counter!(RETRIES, "Attempts after the first");
    describe_gauge!(RUNNING_TASKS, "Slots of the running-task limit that are taken");
    describe_histogram!(AUDIT_COMMIT, Unit::Seconds, "A commit of the store");
    describe_histogram!(AUDIT_BATCH, "Writes in one commit");
    describe_gauge!(STORE_FILE, Unit::Bytes, "Size of the store's file");
    describe_gauge!(STORE_FREE, Unit::Bytes, "What the disk under the store has left");
    describe_gauge!(STORE_ROWS, "Rows of a table");
    describe_counter!(IDEMPOTENCY, "What came of idempotency keys");
    describe_counter!(WEBHOOKS, "What came of attempts at webhook deliveries");
    describe_gauge!(KEYS, "Client keys");
    describe_gauge!(READY, "Whether the process is ready");
    describe_gauge!(BUILD_INFO, "The version that runs");
    jobs::describe();
    backup::describe();
    export::describe();

    for operation in Operation::ALL {
        gauge!(IN_FLIGHT, "operation" => operation.label()).set(0.0);
        for reason in REJECTION_REASONS {
            counter!(REJECTIONS, "operation" => operation.label(), "reason" => reason.label()).absolute(0);
        }
    }
    for presented in KeyPresented::ALL {
        counter!(IDEMPOTENCY, "outcome" => presented.label()).absolute(0);
    }
    for fate in Fate::ALL {
        counter!(WEBHOOKS, "outcome" => fate.label()).absolute(0);
    }
    for reason in RetryReason::ALL {
        counter!(RETRIES, "reason" => reason.label()).absolute(0);
    }
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Sets the series of an account to 0, once it is configured.
pub fn introduce_account(upstream: &str, account: &str, protocol: Protocol) {
    let operations = Operation::ALL.into_iter();
    for operation in operations.filter(|operation| operation.protocol() == protocol) {
        for outcome in Outcome::ALL {
            counter!(ATTEMPTS, "upstream" => upstream.to_owned(), "account" => account.to_owned(), "operation" => operation.label(), "outcome" => outcome.label()).absolute(0);
        }
    }
}

/// A request was answered.
pub fn http_request(route: &'static str, method: &'static str, status: u16, took: Duration) {
    counter!(HTTP_REQUESTS, "route" => route, "method" => method, "status" => status_label(status)).increment(1);
    histogram!(HTTP_DURATION, "route" => route).record(took.as_secs_f64());
}

/// A call was settled: what Tollgate itself cost it.
pub fn overhead(operation: Operation, added: Duration) {
    histogram!(OVERHEAD, "operation" => operation.label()).record(added.as_secs_f64());
}

/// One more call in flight, until the guard is dropped.
#[must_use]
pub fn in_flight(operation: Operation) -> InFlight {
    gauge!(IN_FLIGHT, "operation" => operation.label()).increment(1.0);
    InFlight(operation)
}

/// One more stream that is being relayed, until the guard is dropped.
#[must_use]
pub fn stream() -> OpenStream {
    gauge!(STREAMS).increment(1.0);
    OpenStream(())
}

/// A stream that is being relayed.
#[derive(Debug)]
pub struct OpenStream(());

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!(STREAMS).decrement(1.0);
    }
}

/// A call used tokens. `model` is a registered model's name; every other is one to the metrics.
pub fn tokens(model: Option<&str>, usage: Usage) {
    let model = model.unwrap_or("other");
    for (direction, tokens) in [("input", usage.input), ("output", usage.output)] {
        counter!(TOKENS, "direction" => direction, "model" => model.to_owned()).increment(tokens);
    }
}

/// A call cost so much. Only models with a price have one, which are registered, or lead to one that is.
pub fn cost(currency: &str, model: &str, microunits: u64) {
    let labels = [("currency", currency.to_owned()), ("model", model.to_owned())];
    counter!(COST, &labels).increment(microunits);
}

/// A call in flight.
#[derive(Debug)]
pub struct InFlight(Operation);

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT, "operation" => self.0.label()).decrement(1.0);
    }
}

/// A call was not admitted.
pub fn rejection(operation: Operation, reason: Refusal) {
    counter!(REJECTIONS, "operation" => operation.label(), "reason" => reason.label()).increment(1);
}

/// A call waited this long for a place.
pub fn queue_wait(upstream: &str, class: Class, waited: Duration) {
    histogram!(QUEUE_WAIT, "upstream" => upstream.to_owned(), "class" => class.label()).record(waited.as_secs_f64());
}

/// How an account's gate stands, at a scrape.
pub fn queue(upstream: &str, account: &str, class: Class, depth: usize, capacity: usize, oldest: Option<Duration>) {
    let labels = [
        ("upstream", upstream.to_owned()),
        ("account", account.to_owned()),
        ("class", class.label().to_owned()),
    ];
    gauge!(QUEUE_DEPTH, &labels).set(count(depth));
    gauge!(QUEUE_CAPACITY, &labels).set(count(capacity));
    gauge!(QUEUE_WAITING_MAX, &labels).set(oldest.unwrap_or_default().as_secs_f64());
}

/// How many slots of the running-task limit an account has taken, at a scrape.
pub fn running_tasks(upstream: &str, account: &str, taken: usize) {
    gauge!(RUNNING_TASKS, "upstream" => upstream.to_owned(), "account" => account.to_owned()).set(count(taken));
}

/// Which of `states` an account is in, at a scrape; `None` for one that is gone: its series fall to 0.
pub fn account_state(upstream: &str, account: &str, states: &[&'static str], present: Option<&'static str>) {
    one_of(ACCOUNT_STATE, upstream, account, states, present);
}

/// Which of `states` an account's breaker is in, as above.
pub fn breaker_state(upstream: &str, account: &str, states: &[&'static str], present: Option<&'static str>) {
    one_of(BREAKER_STATE, upstream, account, states, present);
}

fn one_of(name: &'static str, upstream: &str, account: &str, states: &[&'static str], present: Option<&'static str>) {
    for state in states {
        let value = if present == Some(*state) { 1.0 } else { 0.0 };
        gauge!(name, "upstream" => upstream.to_owned(), "account" => account.to_owned(), "state" => *state).set(value);
    }
}

/// An attempt ended.
pub fn attempt(upstream: &str, account: &str, operation: Operation, outcome: Outcome) {
    counter!(ATTEMPTS, "upstream" => upstream.to_owned(), "account" => account.to_owned(), "operation" => operation.label(), "outcome" => outcome.label()).increment(1);
}

/// The head of a reply has come.
pub fn upstream_first_byte(upstream: &str, operation: Operation, first_byte: Duration) {
    histogram!(UPSTREAM_FIRST_BYTE, "upstream" => upstream.to_owned(), "operation" => operation.label())
        .record(first_byte.as_secs_f64());
}

/// A reply was read to its end.
pub fn upstream_duration(upstream: &str, operation: Operation, total: Duration) {
    histogram!(UPSTREAM_DURATION, "upstream" => upstream.to_owned(), "operation" => operation.label())
        .record(total.as_secs_f64());
}

/// An attempt is followed by another.
pub fn retry(reason: RetryReason) {
    counter!(RETRIES, "reason" => reason.label()).increment(1);
}

/// A batch is about to be written.
pub fn audit_batch(writes: usize) {
    histogram!(AUDIT_BATCH).record(count(writes));
}

/// A batch is on the disk.
pub fn audit_commit(took: Duration) {
    histogram!(AUDIT_COMMIT).record(took.as_secs_f64());
}

/// An idempotency key was presented.
pub fn idempotency(presented: KeyPresented) {
    counter!(IDEMPOTENCY, "outcome" => presented.label()).increment(1);
}

/// A webhook delivery was tried.
pub fn webhook(fate: Fate) {
    counter!(WEBHOOKS, "outcome" => fate.label()).increment(1);
}

/// How the store stands, at a scrape.
pub fn store(file_bytes: u64, free_bytes: u64, rows: &[(&'static str, u64)]) {
    gauge!(STORE_FILE).set(bytes(file_bytes));
    gauge!(STORE_FREE).set(bytes(free_bytes));
    for (table, number) in rows {
        gauge!(STORE_ROWS, "table" => *table).set(bytes(*number));
    }
}

/// How many keys have a status, at a scrape.
pub fn keys(status: KeyStatus, number: usize) {
    gauge!(KEYS, "status" => status.label()).set(count(number));
}

/// Whether the process is ready, and how many connections it has, at a scrape.
pub fn process(ready: bool, connections: usize) {
    gauge!(READY).set(if ready { 1.0 } else { 0.0 });
    gauge!(CONNECTIONS).set(count(connections));
}

/// Buckets of every histogram.
pub const BUCKETS: &[(&str, &[f64])] = &[
    (HTTP_DURATION, SECONDS),
    (OVERHEAD, SHORT_SECONDS),
    (QUEUE_WAIT, SECONDS),
    (UPSTREAM_DURATION, SECONDS),
    (UPSTREAM_FIRST_BYTE, SECONDS),
    (AUDIT_COMMIT, SHORT_SECONDS),
    (JOB_DURATION, jobs::JOB_SECONDS),
    (
        AUDIT_BATCH,
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
    ),
];

const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];

const SHORT_SECONDS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0,
];

/// The refusals that admission itself may answer.
const REJECTION_REASONS: [Refusal; 3] = [Refusal::RateLimited, Refusal::QueueFull, Refusal::QueueTimeout];

/// Statuses we answer or pass through often, as static text; the rest share their class.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        410 => "410",
        413 => "413",
        415 => "415",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; counts here stay far below 2^52"
)]
const fn count(number: usize) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; sizes here stay far below 2^52"
)]
const fn bytes(number: u64) -> f64 {
    number as f64
}
