//! Every metric: its name, unit, labels and buckets. Nothing else in the program names one.
//!
//! Labels are closed sets or configured names, never ids of clients or texts of errors.

mod backup;
mod calls;
mod export;
mod jobs;
mod store;
mod upstreams;

use metrics::{counter, describe_counter, describe_gauge, gauge};

pub use self::backup::{
    BACKUP_BYTES, BACKUP_DURATION, BACKUP_FAILURES, BACKUP_LAST_SUCCESS, backed_up, backup_failed, backup_found,
};
pub use self::calls::{
    COST, HTTP_DURATION, HTTP_REQUESTS, IDEMPOTENCY, IN_FLIGHT, InFlight, KeyPresented, OVERHEAD, OpenStream,
    REJECTIONS, STREAMS, TOKENS, cost, http_request, idempotency, in_flight, overhead, rejection, stream, tokens,
};
pub use self::export::{EXPORT_FAILURES, EXPORT_LAST_SUCCESS, export_failed, exported};
pub use self::jobs::{
    JOB_ATTEMPTS, JOB_DURATION, JOB_ENDED, JOB_ENQUEUED, JOB_EVENT_STREAMS, JOB_LEASES_LOST, JOB_POLLS,
    JOB_QUEUE_OLDEST, JOB_TAKEN, JOBS, JobAttempt, JobEventStream, JobPoll, job_attempt, job_ended, job_event_stream,
    job_poll, job_queue, lease_lost,
};
pub use self::store::{
    AUDIT_BATCH, AUDIT_COMMIT, STORE_FILE, STORE_FREE, STORE_ROWS, audit_batch, audit_commit, store,
};
pub use self::upstreams::{
    ACCOUNT_STATE, ATTEMPTS, BREAKER_STATE, QUEUE_CAPACITY, QUEUE_DEPTH, QUEUE_WAIT, QUEUE_WAITING_MAX, RETRIES,
    RUNNING_TASKS, RetryReason, UPSTREAM_DURATION, UPSTREAM_FIRST_BYTE, account_state, attempt, breaker_state,
    introduce_account, queue, queue_wait, retry, running_tasks, upstream_duration, upstream_first_byte,
};

use crate::model::key::KeyStatus;
use crate::model::webhook::Fate;

/// Connections that are open.
pub const CONNECTIONS: &str = "tollgate_connections_open";
/// What came of attempts at webhook deliveries. Label: `outcome`.
pub const WEBHOOKS: &str = "tollgate_webhook_deliveries_total";
/// Client keys. Label: `status`.
pub const KEYS: &str = "tollgate_keys";
/// 1 when `/ready` says so.
pub const READY: &str = "tollgate_ready";
/// 1. Label: `version`.
pub const BUILD_INFO: &str = "tollgate_build_info";

/// Describes every metric, and sets the closed-set series to 0, so that `increase()` sees the first event.
pub fn describe_all() {
    calls::describe();
    upstreams::describe();
    store::describe();
    jobs::describe();
    backup::describe();
    export::describe();
    describe_gauge!(CONNECTIONS, "Connections that are open");
    describe_counter!(WEBHOOKS, "What came of attempts at webhook deliveries");
    describe_gauge!(KEYS, "Client keys");
    describe_gauge!(READY, "Whether the process is ready");
    describe_gauge!(BUILD_INFO, "The version that runs");

    for fate in Fate::ALL {
        counter!(WEBHOOKS, "outcome" => fate.label()).absolute(0);
    }
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// A webhook delivery was tried.
pub fn webhook(fate: Fate) {
    counter!(WEBHOOKS, "outcome" => fate.label()).increment(1);
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
