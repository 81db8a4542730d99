//! Why a request is not let in, and why a key is not changed.

use http::HeaderName;

use crate::crypto::entropy::EntropyError;
use crate::crypto::sigv4::verify::{SignatureError, SignatureErrorKind};
use crate::model::id::KeyId;
use crate::model::key::Scope;
use crate::model::record::Refusal;
use crate::store::error::StoreError;

/// Why a request is not let in. No variant holds a part of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A header that is read once came more than once.
    #[error("repeated {name} header")]
    RepeatedHeader {
        /// The header.
        name: HeaderName,
    },
    /// `Authorization` and `X-Api-Key` came together.
    #[error("two credentials: send either Authorization or X-Api-Key")]
    TwoCredentials,
    /// There is no credential.
    #[error("missing authorization header")]
    Missing,
    /// The signed form is broken, out of its time window, or for another region or service.
    #[error(transparent)]
    Malformed(SignatureError),
    /// The bearer token is empty, too long, or has characters that no token has.
    #[error("invalid bearer token")]
    MalformedToken,
    /// No key has this access key or this secret.
    #[error("api key not found")]
    UnknownKey,
    /// The signature, or the body's digest, is not the one that the key's secret gives.
    #[error(transparent)]
    InvalidSignature(SignatureError),
    /// The key may not be presented this way.
    #[error("this api key may not be used as {scheme}", scheme = .scheme.label())]
    SchemeNotAllowed {
        /// The way it was presented.
        scheme: crate::model::key::Scheme,
    },
    /// The key was withdrawn.
    #[error("api key is revoked")]
    Revoked,
    /// The key's time is over.
    #[error("api key is expired")]
    Expired,
    /// The key is in use, but not for this.
    #[error("this api key lacks the scope {scope}", scope = .scope.label())]
    ScopeDenied {
        /// What it would need.
        scope: Scope,
    },
    /// A signed admin request came a second time, or was signed before this process could watch for that.
    #[error("a signed admin request is accepted once: sign it again")]
    Replayed,
    /// So many signed admin requests came within some minutes that one more could not be remembered.
    #[error("too many signed admin requests: wait some minutes, or use a bearer token")]
    TooManySigned,
}

impl AuthError {
    /// What it is counted as in the log book; `None` for a request that is malformed before it claims to be anybody's.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::RepeatedHeader { .. } | Self::TwoCredentials => None,
            Self::Missing
            | Self::Malformed(_)
            | Self::MalformedToken
            | Self::UnknownKey
            | Self::SchemeNotAllowed { .. }
            | Self::Replayed => Some(Refusal::AuthFailed),
            Self::InvalidSignature(_) => Some(Refusal::InvalidSignature),
            Self::Revoked => Some(Refusal::KeyRevoked),
            Self::Expired => Some(Refusal::KeyExpired),
            Self::ScopeDenied { .. } => Some(Refusal::ScopeDenied),
            Self::TooManySigned => Some(Refusal::RateLimited),
        }
    }
}

impl From<SignatureError> for AuthError {
    fn from(error: SignatureError) -> Self {
        match (error.kind(), error) {
            (_, SignatureError::MissingAuthorization) => Self::Missing,
            (_, SignatureError::Repeated { name }) => Self::RepeatedHeader { name },
            (SignatureErrorKind::Malformed, error) => Self::Malformed(error),
            (SignatureErrorKind::Mismatch, error) => Self::InvalidSignature(error),
        }
    }
}

/// Why a key is not issued or changed. Nothing was changed then, except where the store itself failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no client key {id}")]
    NotFound {
        /// The key that was asked for.
        id: KeyId,
    },
    /// The key was revoked, which is for good.
    #[error("client key {id} is revoked: create another one")]
    Revoked {
        /// The key that was asked for.
        id: KeyId,
    },
    /// What was asked for makes no sense.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// A key asked for more than it may hand on.
    #[error("{field}: a key can only hand on what it has itself")]
    Exceeds {
        /// The field, by its name on the wire.
        field: &'static str,
    },
    /// The key that asks is no longer in use.
    #[error("the key that asks is revoked or expired")]
    ActorNotActive,
    /// No randomness for a new key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
