//! How much of a model a call used, and how much many calls did together.

use serde::{Deserialize, Serialize};

use super::money::Units;

/// The tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// What was asked: the prompt, in tokens.
    pub input: u64,
    /// What was answered, in tokens.
    pub output: u64,
    /// How much of the input the upstream had in its cache. The log book has it in the entry of what the call cost: the
    /// layout of an entry never changes.
    #[serde(skip)]
    pub cached: u64,
}

/// Where a usage is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// The upstream said it.
    Reported,
    /// Nobody said it: it is estimated from the text.
    Estimated,
}

/// What calls used and cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many were sent, whatever came of them; those that an upstream refused outright are none.
    pub calls: u64,
    /// Those whose cost rests on an estimate.
    pub estimated_calls: u64,
    /// What they used.
    pub units: Units,
    /// What they cost, in micro-units of the currency that they are counted under.
    pub cost: u64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Totals {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What is left when a part is given back. Never negative.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    /// Whether nothing is counted.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    fn with(self, other: Self, change: impl Fn(u64, u64) -> u64) -> Self {
        let (mine, theirs) = (self.units, other.units);
        Self {
            calls: change(self.calls, other.calls),
            estimated_calls: change(self.estimated_calls, other.estimated_calls),
            units: Units {
                input: change(mine.input, theirs.input),
                cached: change(mine.cached, theirs.cached),
                output: change(mine.output, theirs.output),
                images: change(mine.images, theirs.images),
                seconds: change(mine.seconds, theirs.seconds),
            },
            cost: change(self.cost, other.cost),
        }
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
