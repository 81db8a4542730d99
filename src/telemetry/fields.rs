//! The names of span and log fields, in one place.
//!
//! Units stand in the name. Bodies, query strings and credentials are never a field.

/// Our id of the request.
pub const REQUEST_ID: &str = "request.id";
/// The id that the client gave the request.
pub const CLIENT_REQUEST_ID: &str = "request.client_id";
/// The route that matched, not the path.
pub const ROUTE: &str = "http.route";
/// The method.
pub const METHOD: &str = "http.method";
/// The status of the answer.
pub const STATUS: &str = "http.status";
/// The client key.
pub const KEY_ID: &str = "key.id";
/// The kind of call.
pub const OPERATION: &str = "operation";
/// The upstream.
pub const UPSTREAM: &str = "upstream";
/// The account of an attempt.
pub const ACCOUNT_ID: &str = "account.id";
/// How a call ended.
pub const OUTCOME: &str = "outcome";
/// Which attempt it is, from 1.
pub const ATTEMPT: &str = "attempt";
/// How long it took.
pub const DURATION_MS: &str = "duration_ms";

/// Every field, for the test that keeps the spans to them.
pub const ALL: &[&str] = &[
    REQUEST_ID,
    CLIENT_REQUEST_ID,
    ROUTE,
    METHOD,
    STATUS,
    KEY_ID,
    OPERATION,
    UPSTREAM,
    ACCOUNT_ID,
    OUTCOME,
    ATTEMPT,
    DURATION_MS,
];
