//! What each layer's error becomes: the sentence for the client stays here, the cause goes to the log.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::{ApiError, Code, Retry};
use crate::admission::error::Rejected;
use crate::admission::rate::AddressBusy;
use crate::api::keys::no_such_key;
use crate::auth::{AuthError, KeyError};
use crate::backup::BackupError;
use crate::catalogue::CurateError;
use crate::jobs::gallery::MediaError;
use crate::jobs::{GalleryError, JobError};
use crate::model::catalogue::NoRoute;
use crate::record::ResolveError;
use crate::record::error::RecordError;
use crate::rekey::RekeyError;
use crate::relay::UnusableKind;
use crate::relay::error::{Failure, RelayError};
use crate::store::error::StoreError;

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

impl From<RekeyError> for ApiError {
    fn from(error: RekeyError) -> Self {
        match error {
            RekeyError::Store(error) => error.into(),
            RekeyError::Entropy(error) => {
                tracing::error!(error = %error, "keys could not be replaced");
                Self::new(
                    Code::InternalError,
                    "no random bytes are to be had: the keys are what they were",
                )
            }
        }
    }
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::Busy => Self::new(Code::QueueFull, error.to_string()).after(MINUTE),
            BackupError::NoPlace => Self::validation(error.to_string()),
            // Whoever asks is the operator, who is to learn what is wrong with the place.
            other => {
                tracing::error!(error = %other, "a backup failed");
                Self::new(Code::InternalError, other.to_string())
            }
        }
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
            Rejected::OverQuota {
                retry_after, allowance, ..
            } => Self::new(Code::RateLimited, message)
                .after(retry_after)
                .standing(&allowance),
            Rejected::QueueFull { retry_after } => Self::new(Code::QueueFull, message).after(retry_after),
            Rejected::QueueTimeout { retry_after } => Self::new(Code::QueueTimeout, message).after(retry_after),
            Rejected::Draining => Self::new(Code::Draining, message).after(RESTART),
            Rejected::NoAccount => Self::new(Code::NoAccount, message).after(MINUTE),
        }
    }
}

impl From<AddressBusy> for ApiError {
    fn from(busy: AddressBusy) -> Self {
        Self::new(Code::RateLimited, busy.to_string()).after(busy.retry_after)
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
            RecordError::OverBudget { over, resets_in } => {
                Self::new(Code::QuotaExceeded, message).after(resets_in).over(over)
            }
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
            RelayError::NoRoute(NoRoute::Unnamed) => Self::validation(message).about("model"),
            RelayError::NoRoute(NoRoute::Unknown(_)) => Self::new(Code::ModelNotFound, message).about("model"),
            RelayError::Unusable(unusable) => {
                let code = match unusable.kind {
                    UnusableKind::Limited => Code::RateLimited,
                    UnusableKind::NoAccount => Code::NoAccount,
                };
                Self::new(code, "no account can serve this call now").after(unusable.retry_after)
            }
            RelayError::ContextExceeded(_) => Self::new(Code::ContextLengthExceeded, message).about("messages"),
            RelayError::ModelDenied | RelayError::Unpriced { .. } => Self::new(Code::ModelDenied, message),
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

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let message = error.to_string();
        match error {
            KeyError::NotFound { .. } => no_such_key(),
            KeyError::Revoked { .. } => Self::validation(message),
            KeyError::Invalid { field, .. } => Self::validation(message).about(field),
            KeyError::Exceeds { field } => Self::new(Code::ScopeDenied, message).about(field),
            KeyError::ActorNotActive => Self::new(Code::ScopeDenied, message),
            KeyError::Entropy(_) => Self::new(Code::InternalError, message),
            KeyError::Store(error) => error.into(),
        }
    }
}

impl From<CurateError> for ApiError {
    fn from(error: CurateError) -> Self {
        let message = error.to_string();
        match error {
            CurateError::NotFound { .. } => Self::new(Code::NotFound, message),
            CurateError::ReadOnly { .. } | CurateError::Exists { .. } | CurateError::InUse { .. } => {
                Self::validation(message)
            }
            CurateError::Invalid { field, .. } => Self::validation(message).about(field),
            CurateError::KeyFile(_) => Self::validation(message).about("KEY_FILE_PATH"),
            CurateError::Entropy(_) => Self::new(Code::InternalError, message),
            CurateError::Store(error) => error.into(),
        }
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::NotFound => Self::new(Code::NotFound, message),
            JobError::Invalid { field, .. } => Self::validation(message).about(field),
            JobError::Item { index, cause } => {
                let cause = Self::from(*cause);
                Self { message, ..cause }.about(format!("items[{index}]"))
            }
            JobError::Streamed { index, .. } => Self::validation(message).about(format!("items[{index}].operation")),
            JobError::State { .. } | JobError::NothingToRetry(_) => Self::validation(message),
            JobError::Conflict => Self::new(Code::IdempotencyConflict, message).about("Idempotency-Key"),
            JobError::Draining(_) | JobError::Closing => Self::new(Code::Draining, message).after(RESTART),
            JobError::Full => Self::new(Code::StoreFull, message).after(MINUTE),
            JobError::TooManyStreams(_) => Self::new(Code::RateLimited, message).after(RESTART),
            JobError::LogsBusy => Self::new(Code::QueueFull, message).after(SOON),
            JobError::Entropy => Self::new(Code::InternalError, message),
            JobError::Store(error) => error.into(),
        }
    }
}

impl From<GalleryError> for ApiError {
    fn from(error: GalleryError) -> Self {
        let message = error.to_string();
        match error {
            GalleryError::Job(error) => error.into(),
            GalleryError::NotMade(_) => Self::validation(message),
            GalleryError::Gone => Self::new(Code::Gone, message),
            GalleryError::NoProvider => Self::new(Code::NoAccount, message),
            GalleryError::Fetch(MediaError::Range) => Self {
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                ..Self::validation(message).about("Range")
            },
            GalleryError::NoOutput(_) | GalleryError::NotAsked(_) | GalleryError::Fetch(_) => {
                tracing::warn!(error = %error, "what a task made could not be fetched");
                Self::new(Code::UpstreamFailed, message)
            }
        }
    }
}

/// A process that ends is replaced within some seconds.
const RESTART: Duration = Duration::from_secs(5);

const MINUTE: Duration = Duration::from_mins(1);

/// Log lines are written within two seconds.
const SOON: Duration = Duration::from_secs(2);
