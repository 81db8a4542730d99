//! What a call may cost before it is sent, and what it did cost afterwards.

use serde::{Deserialize, Serialize};

use super::{Money, Price, Units};
use crate::model::day::Day;
use crate::model::outcome::Outcome;
use crate::model::usage::{Source, Totals, Usage};

/// What is known of a call's cost before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// As what it is counted.
    pub label: Label,
    /// What its model costs, if anybody said so.
    pub price: Option<Price>,
    /// The most that it is expected to use.
    pub expected: Units,
}

/// Under which name a call is counted: a client must not fill the store with names it makes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// That of its model, which is known here.
    Known,
    /// That of its model, if the upstream knew it, too; else [`Label::OTHER`].
    IfAnswered,
}

/// What an intent holds until its settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The day on which it counts, whenever it is settled.
    pub day: Day,
    /// As what it is counted.
    pub label: Label,
    /// What it may cost; `None` where nobody knows its price.
    pub money: Option<Money>,
    /// For what.
    pub expected: Units,
}

impl Quote {
    /// One of a call of which nothing is known.
    pub const NONE: Self = Self {
        label: Label::IfAnswered,
        price: None,
        expected: Units {
            input: 0,
            cached: 0,
            output: 0,
            images: 0,
            seconds: 0,
        },
    };

    /// What is held for it, on `day`.
    #[must_use]
    pub fn hold(&self, day: Day) -> Hold {
        Hold {
            day,
            label: self.label,
            money: self.price.map(|price| price.of(self.expected)),
            expected: self.expected,
        }
    }

    /// What it cost, by its end: nothing where the upstream did nothing; by its tokens where they are known; else what was
    /// expected, which for an unknown outcome is the safe side.
    #[must_use]
    pub fn charged(&self, outcome: Outcome, consumed: Option<(Usage, Source)>) -> Totals {
        let told = |usage: Usage| Units {
            input: usage.input,
            cached: usage.cached,
            output: usage.output,
            ..self.expected
        };
        let (units, is_estimate) = match (outcome, consumed) {
            (Outcome::NotSent | Outcome::Refused, _) => return Totals::default(),
            (Outcome::Rejected, None) => (Units::default(), false),
            (_, Some((usage, source))) => (told(usage), source == Source::Estimated),
            (Outcome::Succeeded, None) => (self.expected, self.expected.input > 0),
            (Outcome::Unknown, None) => (self.expected, true),
        };
        Totals {
            calls: 1,
            estimated_calls: u64::from(is_estimate),
            units,
            cost: self.price.map_or(0, |price| price.of(units).microunits),
        }
    }
}

impl Label {
    /// What calls are counted as whose model nobody knows.
    pub const OTHER: &'static str = "other";

    /// The name itself.
    #[must_use]
    pub fn name(self, model: Option<&str>, outcome: Outcome) -> &str {
        let model = model.filter(|model| (1..=LONGEST).contains(&model.len()));
        let counts = self == Self::Known || outcome == Outcome::Succeeded;
        model.filter(|_| counts).unwrap_or(Self::OTHER)
    }
}

/// The longest name in bytes that is counted as itself.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> Quote {
        Quote {
            label: Label::Known,
            price: Some(Price {
                currency: "USD".parse().unwrap(),
                input: 1_000_000,
                output: 2_000_000,
                cached: None,
                image: Some(50),
                second: None,
            }),
            expected: Units {
                input: 10,
                output: 100,
                ..Units::default()
            },
        }
    }

    #[test]
    fn what_the_upstream_did_not_do_costs_nothing() {
        for outcome in [Outcome::NotSent, Outcome::Refused] {
            assert_eq!(quote().charged(outcome, None), Totals::default());
        }
        let rejected = quote().charged(Outcome::Rejected, None);
        assert_eq!((rejected.calls, rejected.cost), (1, 0));
    }

    #[test]
    fn a_call_costs_its_tokens_where_they_are_known_and_else_what_was_expected() {
        let usage = Usage {
            input: 3,
            output: 4,
            cached: 1,
        };
        let told = quote().charged(Outcome::Succeeded, Some((usage, Source::Reported)));
        assert_eq!((told.cost, told.estimated_calls, told.units.cached), (11, 0, 1));
        let unknown = quote().charged(Outcome::Unknown, None);
        assert_eq!((unknown.cost, unknown.estimated_calls), (210, 1));
    }

    #[test]
    fn a_name_that_a_client_made_up_is_counted_as_other() {
        assert_eq!(Label::IfAnswered.name(Some("x"), Outcome::Rejected), "other");
        assert_eq!(Label::IfAnswered.name(Some("x"), Outcome::Succeeded), "x");
        assert_eq!(Label::Known.name(Some("x"), Outcome::Unknown), "x");
        assert_eq!(Label::Known.name(Some(&"x".repeat(257)), Outcome::Succeeded), "other");
        assert_eq!(Label::Known.name(None, Outcome::Succeeded), "other");
    }
}
