//! What a key may spend.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::Currency;
use crate::model::clock::Timestamp;
use crate::model::day::Day;

/// What the owner of a key may spend, in micro-units. At least one of the two is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The currency: models without a price in it may not be used.
    pub currency: Currency,
    /// On any day, by UTC.
    pub day: Option<NonZeroU64>,
    /// In any calendar month, by UTC.
    pub month: Option<NonZeroU64>,
}

/// How long a budget lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Period {
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

/// What an owner has spent of one currency in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// What settled calls cost.
    pub spent: u64,
    /// What calls in flight may cost.
    pub reserved: u64,
}

/// A call does not fit into what is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key's budget of the {} leaves {left} of {limit} millionths of a {currency}, and this call may cost {needed}; \
     it begins anew at {resets_at}",
    period.label()
)]
pub struct OverBudget {
    /// Which budget.
    pub period: Period,
    /// Of what.
    pub currency: Currency,
    /// What it is.
    pub limit: u64,
    /// What is left of it: neither spent nor reserved by calls in flight.
    pub left: u64,
    /// What the call may cost at most.
    pub needed: u64,
    /// When it begins anew.
    pub resets_at: Timestamp,
}

impl Period {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// Its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The number of the one that holds `day`.
    #[must_use]
    pub fn number(self, day: Day) -> u32 {
        match self {
            Self::Day => day.number(),
            Self::Month => day.month().number(),
        }
    }

    /// When the one that holds `day` is over.
    #[must_use]
    pub fn ends_at(self, day: Day) -> Timestamp {
        match self {
            Self::Day => day.ends_at(),
            Self::Month => day.month().ends_at(),
        }
    }
}

impl Budget {
    /// What may be spent in a period, where that is limited.
    #[must_use]
    pub fn limit(&self, period: Period) -> Option<u64> {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
        }
        .map(NonZeroU64::get)
    }

    /// Whether holding `self` gives nothing that holding `other` does not give.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let within = |period| match (self.limit(period), other.limit(period)) {
            (_, None) => true,
            (Some(mine), Some(theirs)) => mine <= theirs,
            (None, Some(_)) => false,
        };
        self.currency == other.currency && Period::ALL.into_iter().all(within)
    }
}

impl Spending {
    /// What is left of a limit.
    #[must_use]
    pub const fn left(self, limit: u64) -> u64 {
        limit.saturating_sub(self.spent).saturating_sub(self.reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(currency: &str, day: u64, month: u64) -> Budget {
        Budget {
            currency: currency.parse().unwrap(),
            day: NonZeroU64::new(day),
            month: NonZeroU64::new(month),
        }
    }

    #[test]
    fn a_budget_lies_within_another_of_its_currency_that_is_nowhere_smaller() {
        let whole = budget("USD", 10, 100);
        assert!(budget("USD", 10, 100).is_within(&whole));
        assert!(budget("USD", 1, 50).is_within(&budget("USD", 0, 50)));
        assert!(!budget("USD", 11, 100).is_within(&whole));
        assert!(!budget("USD", 0, 100).is_within(&whole));
        assert!(!budget("CNY", 1, 1).is_within(&whole));
    }

    #[test]
    fn what_is_left_is_neither_spent_nor_reserved_and_never_negative() {
        let spending = Spending { spent: 7, reserved: 2 };
        assert_eq!((spending.left(10), spending.left(9), spending.left(3)), (1, 0, 0));
    }
}
