//! Log lines that a client writes beside a job: what its own workflow did.

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// What is told of it without opening it.
    pub head: LogHead,
    /// What only its job's owner reads.
    pub text: LogText,
}

/// What searches and sums look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// When it happened, as its writer says, or when it came.
    pub at: Timestamp,
    /// How bad it is.
    pub level: LogLevel,
    /// What part of the work it is about, 1 to 64 characters, such as `workflow`, `agent`, `tool`, `database`, `api` or
    /// `retry`.
    pub category: String,
    /// How long that took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// What is sealed of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogText {
    /// What happened.
    pub message: String,
    /// More about it: JSON, as text.
    pub details: Option<String>,
    /// The step of the work.
    pub step: Option<String>,
    /// The agent that did it.
    pub agent_name: Option<String>,
    /// The concept it was done for.
    pub concept_id: Option<String>,
}

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// For whoever looks for a fault.
    Debug,
    /// As it should be.
    Info,
    /// Odd, but the work goes on.
    Warning,
    /// A part of the work failed.
    Error,
    /// All of it did.
    Critical,
}

impl LogLevel {
    /// Every level, from the mildest.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// Its name in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The level that `label` names.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.label() == label)
    }
}

impl LogLine {
    /// About how many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        let LogText {
            message,
            details,
            step,
            agent_name,
            concept_id,
        } = &self.text;
        let optional = [details, step, agent_name, concept_id];
        let optional = optional.into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + self.head.category.len() + message.len() + optional
    }
}
