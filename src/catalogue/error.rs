//! Why nothing was changed.

use super::key_file::KeyFileError;
use crate::crypto::entropy::EntropyError;
use crate::store::error::StoreError;

/// Why what is defined was not changed. Nothing was then, except where the store itself failed.
#[derive(Debug, thiserror::Error)]
pub enum CurateError {
    /// There is no such thing.
    #[error("there is no such {what}")]
    NotFound {
        /// `upstream`, `account` or `model`.
        what: &'static str,
    },
    /// It is not the admin interface's to change.
    #[error("the environment defines this {what}, so it is read-only here: change the environment and start again")]
    ReadOnly {
        /// `upstream`, `account` or `model`.
        what: &'static str,
    },
    /// It is there already.
    #[error("there is such {what} already")]
    Exists {
        /// `an upstream` or `an account`.
        what: &'static str,
    },
    /// What was asked for makes no sense.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A model leads to the upstream.
    #[error("the model {model:?} leads there: remove it, or change its targets, first")]
    InUse {
        /// The model.
        model: String,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// No randomness to seal with.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CurateError {
    /// A field that makes no sense.
    pub(super) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            problem: problem.into(),
        }
    }
}
