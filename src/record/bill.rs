//! What a call is charged: a part of its owner's budget is held with the intent, and the settlement takes what it cost.

use crate::model::id::OwnerId;
use crate::model::money::{Budget, Hold, Money, OverBudget, Period};
use crate::model::outcome::Outcome;
use crate::model::record::{Charge, Event, Intent, Reservation};
use crate::model::usage::{Source, Totals};
use crate::store::error::StoreError;
use crate::store::spending::{self, Doubt};
use crate::store::usage::Counted;
use crate::store::{Rows, Tables};

/// What a call is charged in the commit of its settlement.
#[derive(Clone, Debug)]
pub(super) struct Bill {
    owner: OwnerId,
    model: Option<String>,
    hold: Hold,
    totals: Totals,
}

/// Whether what an intent holds fits into what is left of its owner's budget, by rows that no other call changes
/// meanwhile: it is asked within the writer's plan.
pub(super) fn afford(
    rows: &mut impl Rows,
    intent: &Intent,
    budget: Option<Budget>,
) -> Result<Option<OverBudget>, StoreError> {
    let (Some(budget), Reservation::Held(hold)) = (budget, intent.reservation) else {
        return Ok(None);
    };
    // A call without a price in the budget's currency was refused before; if not, it fits into none.
    let priced = hold.money.filter(|money| money.currency == budget.currency);
    let needed = priced.map_or(u64::MAX, |money| money.microunits);
    let mut over = None;
    for period in Period::ALL {
        let Some(limit) = budget.limit(period) else { continue };
        let left = spending::of(rows, intent.owner, budget.currency, period, hold.day)?.left(limit);
        if left < needed {
            // The last one is the one that lasts longest: nothing can be done before it begins anew.
            over = Some(OverBudget {
                period,
                currency: budget.currency,
                limit,
                left,
                needed,
                resets_at: period.ends_at(hold.day),
            });
        }
    }
    Ok(over)
}

/// Holds what an intent reserves.
pub(super) fn reserve(tables: &mut Tables<'_>, intent: &Intent) -> Result<(), StoreError> {
    match intent.reservation {
        Reservation::Held(Hold {
            day,
            money: Some(money),
            ..
        }) => tables.reserve(intent.owner, day, money),
        Reservation::Held(_) | Reservation::Empty => Ok(()),
    }
}

/// Gives back what a call of unknown outcome was charged, which turned out never to have been made.
pub(super) fn give_back(tables: &mut Tables<'_>, intent: u64) -> Result<(), StoreError> {
    let Some(doubt) = tables.take_doubt(intent)? else {
        return Ok(());
    };
    let counted = Counted {
        day: doubt.day,
        owner: Some(doubt.owner),
        model: &doubt.model,
        currency: doubt.currency,
    };
    tables.uncount_usage(counted, doubt.totals)?;
    match doubt.currency {
        Some(currency) => {
            let microunits = doubt.totals.cost;
            tables.unspend(doubt.owner, doubt.day, Money { currency, microunits })
        }
        None => Ok(()),
    }
}

impl Bill {
    /// For a call of which this is known; `None` for one of a version that held nothing.
    pub(super) fn new(intent: &Intent, totals: Totals) -> Option<Self> {
        match intent.reservation {
            Reservation::Empty => None,
            Reservation::Held(hold) => Some(Self {
                owner: intent.owner,
                model: intent.model.clone(),
                hold,
                totals,
            }),
        }
    }

    /// For one that was not sent.
    pub(super) fn nothing(intent: &Intent) -> Option<Self> {
        Self::new(intent, Totals::default())
    }

    /// For one of which nothing is known: what was held.
    pub(super) fn held(intent: &Intent) -> Option<Self> {
        let Reservation::Held(hold) = intent.reservation else {
            return None;
        };
        let totals = Totals {
            calls: 1,
            estimated_calls: 1,
            units: hold.expected,
            cost: hold.money.map_or(0, |money| money.microunits),
        };
        Self::new(intent, totals)
    }

    /// Writes it.
    pub(super) fn settle(&self, tables: &mut Tables<'_>, intent: u64, outcome: Outcome) -> Result<(), StoreError> {
        let (hold, totals) = (self.hold, self.totals);
        if let Some(held) = hold.money {
            tables.spend(self.owner, hold.day, held, totals.cost)?;
        }
        if totals.is_zero() {
            return Ok(());
        }
        let model = hold.label.name(self.model.as_deref(), outcome);
        let currency = hold.money.map(|money| money.currency);
        let counted = Counted {
            day: hold.day,
            owner: Some(self.owner),
            model,
            currency,
        };
        tables.count_usage(counted, totals)?;
        if let Some(currency) = currency {
            let microunits = totals.cost;
            tables.append(Event::Charged(Charge {
                intent,
                money: Money { currency, microunits },
                units: totals.units,
                source: if totals.estimated_calls > 0 {
                    Source::Estimated
                } else {
                    Source::Reported
                },
            }))?;
        }
        if outcome == Outcome::Unknown {
            tables.put_doubt(
                intent,
                &Doubt {
                    owner: self.owner,
                    day: hold.day,
                    model: model.to_owned(),
                    currency,
                    totals,
                },
            )?;
        }
        Ok(())
    }
}
