//! What can be asked of an upstream: a closed set.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of call that Tollgate relays.
///
/// The names are Volcengine's visual API actions and OpenAI's endpoints; the store keeps the position of a variant, so
/// new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operation {
    /// `CVSync2AsyncSubmitTask`: creates a paid asynchronous task.
    Sync2AsyncSubmitTask,
    /// `CVSync2AsyncGetResult`: asks how such a task stands.
    Sync2AsyncGetResult,
    /// `CVProcess`: a paid synchronous call.
    Process,
    /// `CVSubmitTask`: the older form of a submit.
    SubmitTask,
    /// `CVGetResult`: the older form of a query.
    GetResult,
    /// `CVCancelTask`: withdraws a task that has not started; free.
    CancelTask,
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/completions`: the older form, of one prompt.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/images/generations`.
    ImagesGenerations,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// Volcengine's visual API: signed requests that name an action.
    Volcengine,
    /// OpenAI's HTTP API, as many providers speak it: a bearer key and a path.
    OpenAi,
}

/// What an operation costs and whether it may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// Creates a paid asynchronous task.
    Submit,
    /// Paid and synchronous.
    Call,
    /// Asks about, or withdraws, a task that exists; free.
    Query,
}

impl Operation {
    /// Every operation, for closed label sets.
    pub const ALL: [Self; 11] = [
        Self::Sync2AsyncSubmitTask,
        Self::Sync2AsyncGetResult,
        Self::Process,
        Self::SubmitTask,
        Self::GetResult,
        Self::CancelTask,
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::ImagesGenerations,
    ];

    /// Volcengine's, in the order of their declaration.
    pub const VOLCENGINE: [Self; 6] = [
        Self::Sync2AsyncSubmitTask,
        Self::Sync2AsyncGetResult,
        Self::Process,
        Self::SubmitTask,
        Self::GetResult,
        Self::CancelTask,
    ];

    /// What an upstream must speak to serve it.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Sync2AsyncSubmitTask
            | Self::Sync2AsyncGetResult
            | Self::Process
            | Self::SubmitTask
            | Self::GetResult
            | Self::CancelTask => Protocol::Volcengine,
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::ImagesGenerations => Protocol::OpenAi,
        }
    }

    /// Its class.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Sync2AsyncSubmitTask | Self::SubmitTask => Class::Submit,
            Self::Process
            | Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::ImagesGenerations => Class::Call,
            Self::Sync2AsyncGetResult | Self::GetResult | Self::CancelTask => Class::Query,
        }
    }

    /// Its name in metrics, logs and the log book.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sync2AsyncSubmitTask => "cv_sync2async_submit_task",
            Self::Sync2AsyncGetResult => "cv_sync2async_get_result",
            Self::Process => "cv_process",
            Self::SubmitTask => "cv_submit_task",
            Self::GetResult => "cv_get_result",
            Self::CancelTask => "cv_cancel_task",
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::ImagesGenerations => "images_generations",
        }
    }

    /// Its name in jobs: Volcengine's action, or OpenAI's path with dots.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync2AsyncSubmitTask => "CVSync2AsyncSubmitTask",
            Self::Sync2AsyncGetResult => "CVSync2AsyncGetResult",
            Self::Process => "CVProcess",
            Self::SubmitTask => "CVSubmitTask",
            Self::GetResult => "CVGetResult",
            Self::CancelTask => "CVCancelTask",
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::ImagesGenerations => "images.generations",
        }
    }

    /// The operation that a job's item names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether what it costs is counted in tokens.
    #[must_use]
    pub const fn is_counted_in_tokens(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions | Self::Completions | Self::Embeddings | Self::Responses
        )
    }

    /// The `Action` that names it on Volcengine's wire; `None` where it is not Volcengine's.
    #[must_use]
    pub const fn action(self) -> Option<&'static str> {
        match self.protocol() {
            Protocol::Volcengine => Some(self.name()),
            Protocol::OpenAi => None,
        }
    }

    /// The `Version` of that action (Volcengine's Python SDK 1.0.229).
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::CancelTask => "2024-06-06",
            _ => "2022-08-31",
        }
    }

    /// The operation that an `Action` names, if we relay it. Case matters, as it does upstream.
    #[must_use]
    pub fn from_action(action: &str) -> Option<Self> {
        Self::VOLCENGINE
            .into_iter()
            .find(|operation| operation.action() == Some(action))
    }
}

impl Protocol {
    /// Its name on the wire and in lists.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Volcengine => "volcengine",
            Self::OpenAi => "openai",
        }
    }
}

impl Class {
    /// Every class, for closed label sets.
    pub const ALL: [Self; 3] = [Self::Submit, Self::Call, Self::Query];

    /// Its name in metrics and limits.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Call => "call",
            Self::Query => "query",
        }
    }

    /// Whether a call of this class costs money, and so is written down before it is sent.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Submit | Self::Call)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A text that names no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an operation; see the document for their names")]
pub struct ParseOperationError;

impl FromStr for Operation {
    type Err = ParseOperationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.label() == text)
            .ok_or(ParseOperationError)
    }
}
