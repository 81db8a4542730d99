//! How much of a model a call used, in tokens.

use serde::{Deserialize, Serialize};

/// The tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// What was asked: the prompt, in tokens.
    pub input: u64,
    /// What was answered, in tokens.
    pub output: u64,
}

/// Where a usage is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// The upstream said it.
    Reported,
    /// Nobody said it: it is estimated from the text.
    Estimated,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Source {
    /// Its name in metrics, logs and lists.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated => "estimated",
        }
    }
}
