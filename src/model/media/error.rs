//! Why a request for a picture or a film is refused.

use crate::model::vision::ImageError;

/// Why a request is refused before anything is paid for. Every one is the client's to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// It is no JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// It says nothing of what to make.
    #[error("write a prompt")]
    NoPrompt,
    /// It says more than the provider takes.
    #[error("the prompt has {0} characters; Jimeng takes at most {max}", max = super::Prompt::MAX_CHARACTERS)]
    LongPrompt(usize),
    /// A field has a value that it cannot have.
    #[error("{field} is {expected}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A field asks for what Jimeng does not do, or for what is said in another way here.
    #[error("{field}: {reason}")]
    Unavailable {
        /// Which one.
        field: &'static str,
        /// Why not, and what to write instead.
        reason: &'static str,
    },
    /// There is no such field, or it is spelt in another way.
    #[error("{0:?} is not a field of this request")]
    Unknown(String),
    /// A size that the provider does not make.
    #[error("size {size:?} {problem}")]
    Size {
        /// As it was written, cut to 32 characters.
        size: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An image that cannot be passed on.
    #[error("{field}: {error}")]
    Image {
        /// Which field holds it.
        field: &'static str,
        /// What is wrong with it.
        error: ImageError,
    },
    /// The model needs something else.
    #[error("{model} {needs}")]
    Unfit {
        /// The model.
        model: &'static str,
        /// What it needs.
        needs: &'static str,
        /// The field that is missing or one too many.
        field: &'static str,
    },
}

impl InvalidRequest {
    /// The field that is wrong, if it is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotAnObject => None,
            Self::NoPrompt | Self::LongPrompt(_) => Some("prompt"),
            Self::Size { .. } => Some("size"),
            Self::Unknown(name) => Some(name),
            Self::Invalid { field, .. }
            | Self::Unavailable { field, .. }
            | Self::Image { field, .. }
            | Self::Unfit { field, .. } => Some(field),
        }
    }

    /// A field that is not known, by as much of its name as a sentence can hold.
    pub(super) fn unknown(name: &str) -> Self {
        Self::Unknown(name.chars().take(64).collect())
    }

    /// A size, by as much of it as a sentence can hold.
    pub(super) fn size(text: &str, problem: &'static str) -> Self {
        Self::Size {
            size: text.chars().take(32).collect(),
            problem,
        }
    }
}
