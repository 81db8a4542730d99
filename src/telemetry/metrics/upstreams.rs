//! What upstreams and their accounts tell: who waits there, how they stand, what came of attempts.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::count;
use crate::model::operation::{Class, Operation, Protocol};
use crate::model::outcome::Outcome;

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

/// Describes them, and sets those to 0 that have no account.
pub(super) fn describe() {
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

    for reason in RetryReason::ALL {
        counter!(RETRIES, "reason" => reason.label()).absolute(0);
    }
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
