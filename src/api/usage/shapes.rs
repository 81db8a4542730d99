//! Usage as JSON.

use poem_openapi::Object;

use crate::model::day::Day;
use crate::model::money::{Budget, Period, Spending};
use crate::model::usage::Totals;

/// What was used and what it cost, of one day, owner and model, or of several together.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct UsageItem {
    /// The day, by UTC; absent where days are added up.
    pub day: Option<String>,
    /// The rotation family (`own_…`); absent where owners are added up.
    pub owner: Option<String>,
    /// The model, or `other` for what nobody knows; absent where models are added up.
    pub model: Option<String>,
    /// What `cost_microunits` is counted in; absent for what has no price.
    pub currency: Option<String>,
    /// Calls that were sent, but for those that an upstream refused outright.
    pub calls: u64,
    /// Tokens of input, those out of a cache among them.
    pub input_tokens: u64,
    /// Of these, tokens out of the upstream's cache.
    pub cached_tokens: u64,
    /// Tokens of output.
    pub output_tokens: u64,
    /// Images that were made.
    pub images: u64,
    /// Seconds of film that were made.
    pub seconds: u64,
    /// What it cost, in millionths of the currency's unit.
    pub cost_microunits: u64,
    /// Calls whose cost rests on an estimate: nobody counted their tokens, or their outcome is unknown.
    pub estimated_calls: u64,
}

/// What everything cost in one currency.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct UsageTotal {
    /// The currency; absent for what has no price.
    pub currency: Option<String>,
    /// How many calls.
    pub calls: u64,
    /// What they cost, in millionths of the currency's unit.
    pub cost_microunits: u64,
}

/// Usage of some days.
#[derive(Debug, Object)]
pub struct UsagePage {
    /// The first day, by UTC.
    pub from: String,
    /// The last day, which is included.
    pub to: String,
    /// By day, owner and model.
    pub items: Vec<UsageItem>,
    /// Of all pages together, by currency.
    pub totals: Vec<UsageTotal>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// The caller's usage of some days.
#[derive(Debug, Object)]
pub struct OwnUsage {
    /// What was used.
    #[oai(flatten)]
    pub usage: UsagePage,
    /// How the key's budget stands now; null without one.
    pub budget: Option<BudgetStanding>,
}

/// How a budget stands.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct BudgetStanding {
    /// What the amounts are counted in.
    pub currency: String,
    /// That of today, by UTC; absent where days are not limited.
    pub day: Option<PeriodStanding>,
    /// That of this calendar month, by UTC; absent where months are not limited.
    pub month: Option<PeriodStanding>,
}

/// How the budget of a period stands, in millionths of the currency's unit.
#[derive(Debug, Object)]
pub struct PeriodStanding {
    /// What may be spent.
    pub limit_microunits: u64,
    /// What settled calls cost.
    pub spent_microunits: u64,
    /// What calls in flight may cost.
    pub reserved_microunits: u64,
    /// What is left: neither spent nor reserved.
    pub left_microunits: u64,
    /// When it begins anew.
    pub resets_at: String,
}

impl BudgetStanding {
    /// How `budget` stands on `today`, by what was `spent` in each period.
    pub(super) fn new(budget: &Budget, today: Day, spent: impl Fn(Period) -> Spending) -> Self {
        let period = |period: Period| {
            let (limit, spending) = (budget.limit(period)?, spent(period));
            Some(PeriodStanding {
                limit_microunits: limit,
                spent_microunits: spending.spent,
                reserved_microunits: spending.reserved,
                left_microunits: spending.left(limit),
                resets_at: period.ends_at(today).to_string(),
            })
        };
        Self {
            currency: budget.currency.to_string(),
            day: period(Period::Day),
            month: period(Period::Month),
        }
    }
}

impl UsageItem {
    /// What was counted, without saying of what.
    pub(super) fn new(totals: Totals) -> Self {
        let units = totals.units;
        Self {
            day: None,
            owner: None,
            model: None,
            currency: None,
            calls: totals.calls,
            input_tokens: units.input,
            cached_tokens: units.cached,
            output_tokens: units.output,
            images: units.images,
            seconds: units.seconds,
            cost_microunits: totals.cost,
            estimated_calls: totals.estimated_calls,
        }
    }
}
