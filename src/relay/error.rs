//! Why a call got no reply of an upstream.

use http::{HeaderValue, StatusCode};

use crate::admission::error::Rejected;
use crate::dispatch::pool::unusable::Unusable;
use crate::model::catalogue::NoRoute;
use crate::model::money::Currency;
use crate::record::error::RecordError;
use crate::store::error::StoreError;
use crate::upstream::openai::context::ContextExceeded;

/// A call ended without a reply that can be passed on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// It was not let in.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// It was not recorded, or its idempotency key was used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The call has nowhere to go.
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// No account can serve it now.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It fills too much of the model's context.
    #[error(transparent)]
    ContextExceeded(#[from] ContextExceeded),
    /// The model is not on the key's list.
    #[error("the key may not use this model")]
    ModelDenied,
    /// The key has a budget, and nobody knows what the model costs in its currency.
    #[error(
        "the key has a budget in {currency}, and {model:?} has no price in it: register one with `tollgate model put \
         --price`, or use another model"
    )]
    Unpriced {
        /// The model.
        model: String,
        /// The budget's currency.
        currency: Currency,
    },
    /// The task is not the caller's, or not known.
    #[error("no such task")]
    TaskNotFound,
    /// No reply came, or none that can be used.
    #[error("the upstream failed: {cause}")]
    Upstream {
        /// What happened.
        cause: Failure,
        /// The intent in the log book, where a repeat could be paid again.
        intent: Option<u64>,
    },
    /// The call's deadline passed. One already sent finishes in the background.
    #[error("the deadline passed")]
    Deadline {
        /// The intent in the log book, where one was recorded.
        intent: Option<u64>,
    },
    /// A task of ours failed; the record says what is known of the call.
    #[error("the call was interrupted inside Tollgate")]
    Interrupted,
}

/// How an upstream failed a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection could be made; nothing was sent.
    #[error("no connection could be made")]
    Connect,
    /// The connection broke before the whole reply was there.
    #[error("the connection broke before the whole reply was there")]
    Broken,
    /// A timeout passed before the whole reply was there.
    #[error("no whole reply came in time")]
    Timeout,
    /// The reply is larger than `MAX_RESPONSE_BYTES`.
    #[error("the reply is too large")]
    TooLarge,
    /// A success that is no JSON object, or a redirect.
    #[error("the reply cannot be used")]
    Unusable,
    /// An error that is no JSON object: its status is kept.
    #[error("the upstream answered {status}")]
    Status {
        /// Its status.
        status: StatusCode,
        /// Its `Retry-After`, as it came.
        retry_after: Option<HeaderValue>,
    },
}
