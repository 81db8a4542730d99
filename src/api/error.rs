//! Every error as a client sees it: one envelope, one table of statuses.
//!
//! `error` has the words that OpenAI's SDKs read, the numbers beside it are what Volcengine's clients act on.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use serde_json::json;

use super::schema::ErrorEnvelope;
use crate::admission::error::Rejected;
use crate::auth::AuthError;
use crate::model::id::RequestId;
use crate::record::ResolveError;
use crate::record::error::RecordError;
use crate::relay::error::{Failure, RelayError};
use crate::store::error::StoreError;

/// What went wrong, as a closed set of stable words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request itself is wrong.
    ValidationFailed,
    /// No credential, or one we do not know.
    AuthFailed,
    /// The signature does not match.
    InvalidSignature,
    /// The key was revoked.
    KeyRevoked,
    /// The key has expired.
    KeyExpired,
    /// The key lacks the scope.
    ScopeDenied,
    /// The key may not use the model.
    ModelDenied,
    /// Nothing is there, or nothing of the caller's.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed,
    /// The idempotency key was used with another request.
    IdempotencyConflict,
    /// The first request with the idempotency key is in flight.
    IdempotencyInFlight,
    /// Nobody knows what came of the first request.
    OutcomeUnknown,
    /// The first request's reply was not kept.
    ReplayUnavailable,
    /// The body is larger than `MAX_BODY_BYTES`.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTimeout,
    /// The body is not of a type we read.
    UnsupportedMediaType,
    /// A limit of the key.
    RateLimited,
    /// A queue, or the room for bodies, is full.
    QueueFull,
    /// No place came in time.
    QueueTimeout,
    /// Tollgate failed.
    InternalError,
    /// The upstream failed.
    UpstreamFailed,
    /// The intent could not be recorded: nothing was sent.
    AuditUnavailable,
    /// No account can serve the call.
    NoAccount,
    /// The process starts.
    Starting,
    /// The process ends.
    Draining,
    /// The store takes nothing new.
    StoreFull,
    /// The upstream did not answer in time.
    UpstreamTimeout,
}

impl Code {
    /// Every code, for the test that keeps the table.
    pub const ALL: [Self; 27] = [
        Self::ValidationFailed,
        Self::AuthFailed,
        Self::InvalidSignature,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::ScopeDenied,
        Self::ModelDenied,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::IdempotencyConflict,
        Self::IdempotencyInFlight,
        Self::OutcomeUnknown,
        Self::ReplayUnavailable,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::InternalError,
        Self::UpstreamFailed,
        Self::AuditUnavailable,
        Self::NoAccount,
        Self::Starting,
        Self::Draining,
        Self::StoreFull,
        Self::UpstreamTimeout,
    ];

    /// Its name on the wire and its status: the one table.
    const fn row(self) -> (&'static str, u16) {
        match self {
            Self::ValidationFailed => ("VALIDATION_FAILED", 400),
            Self::AuthFailed => ("AUTH_FAILED", 401),
            Self::InvalidSignature => ("INVALID_SIGNATURE", 401),
            Self::KeyRevoked => ("KEY_REVOKED", 401),
            Self::KeyExpired => ("KEY_EXPIRED", 401),
            Self::ScopeDenied => ("SCOPE_DENIED", 403),
            Self::ModelDenied => ("MODEL_DENIED", 403),
            Self::NotFound => ("NOT_FOUND", 404),
            Self::MethodNotAllowed => ("METHOD_NOT_ALLOWED", 405),
            Self::BodyTimeout => ("BODY_TIMEOUT", 408),
            Self::IdempotencyConflict => ("IDEMPOTENCY_CONFLICT", 409),
            Self::IdempotencyInFlight => ("IDEMPOTENCY_IN_FLIGHT", 409),
            Self::OutcomeUnknown => ("OUTCOME_UNKNOWN", 409),
            Self::ReplayUnavailable => ("REPLAY_UNAVAILABLE", 409),
            Self::BodyTooLarge => ("BODY_TOO_LARGE", 413),
            Self::UnsupportedMediaType => ("UNSUPPORTED_MEDIA_TYPE", 415),
            Self::RateLimited => ("RATE_LIMITED", 429),
            Self::QueueFull => ("QUEUE_FULL", 429),
            Self::QueueTimeout => ("QUEUE_TIMEOUT", 429),
            Self::InternalError => ("INTERNAL_ERROR", 500),
            Self::UpstreamFailed => ("UPSTREAM_FAILED", 502),
            Self::AuditUnavailable => ("AUDIT_UNAVAILABLE", 503),
            Self::NoAccount => ("NO_ACCOUNT", 503),
            Self::Starting => ("STARTING", 503),
            Self::Draining => ("DRAINING", 503),
            Self::StoreFull => ("STORE_FULL", 503),
            Self::UpstreamTimeout => ("UPSTREAM_TIMEOUT", 504),
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The word for the kind of error that OpenAI's SDKs know.
    const fn kind(self) -> &'static str {
        match self.row().1 {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            409 => "conflict_error",
            429 => "rate_limit_error",
            500..=599 => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// Whether a repeat can only make it worse: these SDKs retry twice unasked, and each retry would be paid or futile.
    const fn forbids_retry(self) -> bool {
        matches!(
            self,
            Self::IdempotencyConflict | Self::IdempotencyInFlight | Self::OutcomeUnknown | Self::ReplayUnavailable
        )
    }
}

/// The number that stands for a status with Volcengine's clients: limits are retried, rights are explained, and no other
/// number of theirs is ever used, since they act on it.
const fn numeric(status: u16) -> u16 {
    match status {
        429 => 50_430,
        500..=599 => 50_500,
        401 | 403 => 50_400,
        _ => 50_499,
    }
}

/// An error on its way to a client.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    status: StatusCode,
    message: String,
    param: Option<String>,
    /// `Retry-After` and `Allow`, where they are called for.
    headers: Option<Box<HeaderMap>>,
    audit: Option<u64>,
    retry: Retry,
}

/// What a client may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// As its status says.
    Free,
    /// Not: something was committed, or a repeat is futile.
    Never,
}

impl ApiError {
    /// An error with a sentence for the client. The sentence holds nothing secret and nothing internal.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let retry = if code.forbids_retry() {
            Retry::Never
        } else {
            Retry::Free
        };
        Self {
            code,
            status: code.status(),
            message: message.into(),
            param: None,
            headers: None,
            audit: None,
            retry,
        }
    }

    /// A request that is wrong.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::ValidationFailed, message)
    }

    /// Names the field or header that is wrong.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says which methods the path has.
    #[must_use]
    pub fn allowing(self, methods: &str) -> Self {
        match HeaderValue::from_str(methods) {
            Ok(methods) => self.with(ALLOW, methods),
            Err(_) => self,
        }
    }

    /// When to come back, rounded up to whole seconds.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// Something was committed: a repeat could be paid twice.
    #[must_use]
    fn committed(mut self, intent: Option<u64>) -> Self {
        if intent.is_some() {
            self.audit = intent;
            self.retry = Retry::Never;
        }
        self
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The whole answer, in the envelope.
    #[must_use]
    pub fn render(&self, request: RequestId) -> Response {
        let number = numeric(self.status.as_u16());
        let request = request.to_string();
        let body = json!({
            "error": {
                "code": self.code.name(),
                "type": self.code.kind(),
                "message": self.message,
                "param": self.param,
                "request_id": request,
                "audit_id": self.audit,
            },
            "code": number,
            "status": number,
            "message": self.message,
            "request_id": request,
            "data": null,
        });
        let mut response = Response::builder()
            .status(self.status)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let headers = response.headers_mut();
        if let Some(own) = &self.headers {
            headers.extend(own.as_ref().clone());
        }
        if self.retry == Retry::Never {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// The way through poem: the edge finds the error in the response's extensions and renders it.
impl From<ApiError> for poem::Error {
    fn from(error: ApiError) -> Self {
        let mut carrier = Self::from_response(error.clone().into_response());
        // poem puts its error's extensions in the place of the response's.
        carrier.set_data(error);
        carrier
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status).finish();
        response.extensions_mut().insert(self);
        response
    }
}

/// What poem itself refused.
#[must_use]
pub fn from_poem(error: &poem::Error) -> ApiError {
    match error.status() {
        StatusCode::NOT_FOUND => ApiError::new(Code::NotFound, "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::new(Code::MethodNotAllowed, "method not allowed"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ApiError::new(Code::UnsupportedMediaType, "the body must be application/json")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::BodyTooLarge, "the body is too large"),
        status if status.is_client_error() => ApiError::validation(error.to_string()),
        _ => {
            tracing::error!(error = %error, "a handler failed");
            ApiError::new(
                Code::InternalError,
                "Tollgate failed; the log names the cause under this request id",
            )
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Full => Code::StoreFull,
            StoreError::Closed => Code::Draining,
            StoreError::Io(_) => Code::AuditUnavailable,
            StoreError::Corrupt { .. } | StoreError::Panicked | StoreError::Seal(_) => Code::InternalError,
        };
        tracing::error!(error = %error, "the store failed a request");
        Self::new(
            code,
            "the store cannot serve this; the log names the cause under this request id",
        )
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let code = match &error {
            AuthError::Missing
            | AuthError::Malformed(_)
            | AuthError::MalformedToken
            | AuthError::UnknownKey
            | AuthError::SchemeNotAllowed { .. }
            | AuthError::Replayed => Code::AuthFailed,
            AuthError::InvalidSignature(_) => Code::InvalidSignature,
            AuthError::Revoked => Code::KeyRevoked,
            AuthError::Expired => Code::KeyExpired,
            AuthError::ScopeDenied { .. } => Code::ScopeDenied,
            AuthError::TwoCredentials | AuthError::RepeatedHeader { .. } => Code::ValidationFailed,
            AuthError::TooManySigned => return Self::new(Code::RateLimited, error.to_string()).after(MINUTE),
        };
        Self::new(code, error.to_string())
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        let message = rejected.to_string();
        match rejected {
            Rejected::KeyBusy { retry_after } => Self::new(Code::RateLimited, message).after(retry_after),
            Rejected::QueueFull { retry_after } => Self::new(Code::QueueFull, message).after(retry_after),
            Rejected::QueueTimeout { retry_after } => Self::new(Code::QueueTimeout, message).after(retry_after),
            Rejected::Draining => Self::new(Code::Draining, message).after(RESTART),
            Rejected::NoAccount => Self::new(Code::NoAccount, message).after(MINUTE),
        }
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        let message = error.to_string();
        match error {
            RecordError::Unavailable(StoreError::Full) | RecordError::Full(_) => {
                Self::new(Code::StoreFull, message).after(MINUTE)
            }
            RecordError::Unavailable(cause) => {
                tracing::error!(error = %cause, "an intent could not be recorded");
                Self::new(
                    Code::AuditUnavailable,
                    "the call could not be recorded, so it was not sent",
                )
                .after(RESTART)
            }
            RecordError::TooSlow => Self::new(
                Code::AuditUnavailable,
                "the call was not recorded in time, so it was not sent",
            )
            .after(RESTART),
            RecordError::Conflict => Self::new(Code::IdempotencyConflict, message).about("Idempotency-Key"),
            RecordError::InFlight => Self::new(Code::IdempotencyInFlight, message).about("Idempotency-Key"),
            RecordError::OutcomeUnknown { intent } => Self::new(Code::OutcomeUnknown, message).committed(Some(intent)),
            RecordError::ReplayUnavailable { intent } => {
                Self::new(Code::ReplayUnavailable, message).committed(Some(intent))
            }
        }
    }
}

impl From<RelayError> for ApiError {
    fn from(error: RelayError) -> Self {
        let message = error.to_string();
        match error {
            RelayError::Rejected(rejected) => rejected.into(),
            RelayError::Record(error) => error.into(),
            RelayError::Store(error) => error.into(),
            RelayError::ModelDenied => Self::new(Code::ModelDenied, message),
            RelayError::TaskNotFound => Self::new(Code::NotFound, message).about("task_id"),
            RelayError::Deadline { intent } => Self::new(Code::UpstreamTimeout, message).committed(intent),
            RelayError::Interrupted => Self {
                retry: Retry::Never,
                ..Self::new(Code::InternalError, message)
            },
            RelayError::Upstream { cause, intent } => Self::from_failure(cause, message).committed(intent),
        }
    }
}

impl ApiError {
    fn from_failure(cause: Failure, message: String) -> Self {
        match cause {
            Failure::Connect | Failure::Broken | Failure::TooLarge | Failure::Unusable => {
                Self::new(Code::UpstreamFailed, message)
            }
            Failure::Timeout => Self::new(Code::UpstreamTimeout, message),
            Failure::Status { status, retry_after } => {
                let code = if status == StatusCode::TOO_MANY_REQUESTS {
                    Code::RateLimited
                } else {
                    Code::UpstreamFailed
                };
                let error = Self {
                    status,
                    ..Self::new(code, message)
                };
                match retry_after {
                    Some(wait) => error.with(RETRY_AFTER, wait),
                    None => error,
                }
            }
        }
    }
}

impl From<ResolveError> for ApiError {
    fn from(error: ResolveError) -> Self {
        let message = error.to_string();
        match error {
            ResolveError::NotFound => Self::new(Code::NotFound, message),
            ResolveError::NotUnknown | ResolveError::NotASubmit => Self::validation(message),
            ResolveError::Store(error) => error.into(),
        }
    }
}

/// Every status an operation may answer with besides its own success.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let statuses: &[(u16, &'static str)] = &[
            (400, "The request is wrong: `VALIDATION_FAILED`."),
            (401, "The credential is missing, unknown, or no longer valid."),
            (403, "The credential lacks the scope, or may not use the model."),
            (404, "Nothing is there, or nothing of the caller's."),
            (408, "The body did not come in time."),
            (
                409,
                "The idempotency key's first use is another request, in flight, or of unknown outcome.",
            ),
            (413, "The body is larger than `MAX_BODY_BYTES`."),
            (415, "The body is not JSON."),
            (429, "A limit or a queue is full. `Retry-After` says when to come back."),
            (500, "Tollgate failed."),
            (502, "The upstream failed, or its reply cannot be used."),
            (
                503,
                "The call could not be recorded, no account is usable, or the process starts or drains.",
            ),
            (504, "The upstream did not answer before the deadline."),
        ];
        let response = |&(status, description): &(u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/json",
                schema: ErrorEnvelope::schema_ref(),
            }],
            headers: super::schema::error_headers(status),
        };
        MetaResponses {
            responses: statuses.iter().map(response).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ErrorEnvelope::register(registry);
    }
}

/// Obeyed by OpenAI's SDKs.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const RESTART: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_a_status_and_a_number_that_is_not_volcengines_own() {
        let mut names = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let status = code.status().as_u16();
            assert!((400..600).contains(&status), "{code:?}");
            assert!([50_400, 50_430, 50_499, 50_500].contains(&numeric(status)), "{code:?}");
            assert!(names.insert(code.name()), "{} stands twice", code.name());
        }
    }

    #[tokio::test]
    async fn an_error_carries_both_shapes_and_the_request_id() {
        let request = RequestId::from_bits(7);
        let error = ApiError::new(Code::RateLimited, "slower").after(Duration::from_millis(1200));
        let response = error.render(request);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        let body: serde_json::Value =
            serde_json::from_slice(&response.into_body().into_bytes().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "RATE_LIMITED");
        assert_eq!(body["error"]["type"], "rate_limit_error");
        assert_eq!(body["code"], 50_430);
        assert_eq!(body["request_id"], request.to_string());
    }

    #[test]
    fn an_error_after_a_commit_forbids_the_retry() {
        let error = RelayError::Upstream {
            cause: Failure::Broken,
            intent: Some(3),
        };
        let response = ApiError::from(error).render(RequestId::from_bits(1));
        assert_eq!(response.headers()["x-should-retry"], "false");
        let unsent = RelayError::Rejected(Rejected::NoAccount);
        assert!(
            !ApiError::from(unsent)
                .render(RequestId::from_bits(1))
                .headers()
                .contains_key("x-should-retry")
        );
    }
}
