//! What requests and calls tell: how many, how long, at what cost.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::model::operation::Operation;
use crate::model::record::Refusal;
use crate::model::usage::Usage;

/// Requests answered. Labels: `route`, `method`, `status`.
pub const HTTP_REQUESTS: &str = "tollgate_http_requests_total";
/// From the head of a request to the head of its answer. Seconds. Label: `route`.
pub const HTTP_DURATION: &str = "tollgate_http_request_duration_seconds";
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
/// What came of an idempotency key. Label: `outcome`.
pub const IDEMPOTENCY: &str = "tollgate_idempotency_total";

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

/// Describes them, and sets the closed-set series to 0.
pub(super) fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered");
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "From the head of a request to the head of its answer"
    );
    describe_gauge!(STREAMS, "Streams that are being relayed");
    gauge!(STREAMS).set(0.0);
    describe_counter!(TOKENS, "Tokens that calls used");
    tokens(None, Usage::default());
    describe_counter!(COST, "What calls cost, in millionths of the currency's unit");
    describe_histogram!(
        OVERHEAD,
        Unit::Seconds,
        "What Tollgate added to a call: total minus upstream"
    );
    describe_gauge!(IN_FLIGHT, "Calls between admission and settlement");
    describe_counter!(REJECTIONS, "Calls that were not admitted");
    describe_counter!(IDEMPOTENCY, "What came of idempotency keys");

    for operation in Operation::ALL {
        gauge!(IN_FLIGHT, "operation" => operation.label()).set(0.0);
        for reason in REJECTION_REASONS {
            counter!(REJECTIONS, "operation" => operation.label(), "reason" => reason.label()).absolute(0);
        }
    }
    for presented in KeyPresented::ALL {
        counter!(IDEMPOTENCY, "outcome" => presented.label()).absolute(0);
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

/// A call in flight.
#[derive(Debug)]
pub struct InFlight(Operation);

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT, "operation" => self.0.label()).decrement(1.0);
    }
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

/// A call was not admitted.
pub fn rejection(operation: Operation, reason: Refusal) {
    counter!(REJECTIONS, "operation" => operation.label(), "reason" => reason.label()).increment(1);
}

/// An idempotency key was presented.
pub fn idempotency(presented: KeyPresented) {
    counter!(IDEMPOTENCY, "outcome" => presented.label()).increment(1);
}

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
