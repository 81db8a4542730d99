//! The one table: every error's stable word, its status, and the number that Volcengine's clients act on.

use http::StatusCode;

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
    /// No model of this name may be used.
    ModelNotFound,
    /// The question fills too much of the model's context. In lower case: the MegaLLM proxy's clients act on it.
    ContextLengthExceeded,
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
    /// It was there, and the provider keeps it no longer.
    Gone,
    /// The body is larger than `MAX_BODY_BYTES`.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTimeout,
    /// The body is not of a type we read.
    UnsupportedMediaType,
    /// A limit of the key.
    RateLimited,
    /// A budget of the key is spent.
    QuotaExceeded,
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
    pub const ALL: [Self; 31] = [
        Self::ValidationFailed,
        Self::AuthFailed,
        Self::InvalidSignature,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::ScopeDenied,
        Self::ModelDenied,
        Self::NotFound,
        Self::ModelNotFound,
        Self::ContextLengthExceeded,
        Self::MethodNotAllowed,
        Self::IdempotencyConflict,
        Self::IdempotencyInFlight,
        Self::OutcomeUnknown,
        Self::ReplayUnavailable,
        Self::Gone,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::QuotaExceeded,
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
            Self::ModelNotFound => ("MODEL_NOT_FOUND", 404),
            Self::ContextLengthExceeded => ("context_length_exceeded", 400),
            Self::MethodNotAllowed => ("METHOD_NOT_ALLOWED", 405),
            Self::BodyTimeout => ("BODY_TIMEOUT", 408),
            Self::IdempotencyConflict => ("IDEMPOTENCY_CONFLICT", 409),
            Self::IdempotencyInFlight => ("IDEMPOTENCY_IN_FLIGHT", 409),
            Self::OutcomeUnknown => ("OUTCOME_UNKNOWN", 409),
            Self::ReplayUnavailable => ("REPLAY_UNAVAILABLE", 409),
            Self::Gone => ("GONE", 410),
            Self::BodyTooLarge => ("BODY_TOO_LARGE", 413),
            Self::UnsupportedMediaType => ("UNSUPPORTED_MEDIA_TYPE", 415),
            Self::RateLimited => ("RATE_LIMITED", 429),
            Self::QuotaExceeded => ("QUOTA_EXCEEDED", 429),
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

    /// The code of a name, if there is one.
    pub(in crate::api) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The word for the kind of error that OpenAI's SDKs know.
    pub(super) const fn kind(self) -> &'static str {
        if matches!(self, Self::QuotaExceeded) {
            return "insufficient_quota";
        }
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
    pub(super) const fn forbids_retry(self) -> bool {
        matches!(
            self,
            Self::IdempotencyConflict
                | Self::IdempotencyInFlight
                | Self::OutcomeUnknown
                | Self::ReplayUnavailable
                | Self::QuotaExceeded
        )
    }
}

/// The number that stands for a status with Volcengine's clients: limits are retried, rights are explained, and no other
/// number of theirs is ever used, since they act on it.
pub(super) const fn numeric(status: u16) -> u16 {
    match status {
        429 => 50_430,
        500..=599 => 50_500,
        401 | 403 => 50_400,
        _ => 50_499,
    }
}
