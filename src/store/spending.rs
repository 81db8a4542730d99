//! What owners have spent and reserved, by period, and what settled calls of unknown outcome were charged.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::model::money::{Currency, Money, Period, Spending};
use crate::model::usage::Totals;

const SPENDING: &str = "spending.v1";
const DOUBTS: &str = "doubtful_charges.v1";

/// What a call of unknown outcome was charged, so that a person who knows better can have it given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Whose it is.
    pub owner: OwnerId,
    /// The day on which it counts.
    pub day: Day,
    /// As what it is counted.
    pub model: String,
    /// What its cost is counted in.
    pub currency: Option<Currency>,
    /// What was counted.
    pub totals: Totals,
}

/// Sorts by period first, so that what is over can be forgotten at once.
fn key(period: Period, number: u32, owner: OwnerId, currency: [u8; 3]) -> [u8; 16] {
    let kind = match period {
        Period::Day => 0_u8,
        Period::Month => 1,
    };
    let [a, b, c] = currency;
    let currency = u32::from_be_bytes([0, a, b, c]);
    let head = (u64::from(kind) << 32) | u64::from(number);
    let whole = (u128::from(head) << 88) | (u128::from(owner.bits()) << 24) | u128::from(currency);
    whole.to_be_bytes()
}

fn place(period: Period, day: Day, owner: OwnerId, currency: Currency) -> [u8; 16] {
    key(period, period.number(day), owner, currency.bytes())
}

/// What an owner has spent and reserved in the period that holds `day`.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn of(
    rows: &mut impl Rows,
    owner: OwnerId,
    currency: Currency,
    period: Period,
    day: Day,
) -> Result<Spending, StoreError> {
    let row = rows.spending()?.get(place(period, day, owner, currency))?;
    let spending = row.map(|row| codec::decode(SPENDING, row.value())).transpose()?;
    Ok(spending.unwrap_or_default())
}

/// What a call of unknown outcome was charged, if it was and nobody has decided its fate.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn doubt(rows: &mut impl Rows, intent: u64) -> Result<Option<Doubt>, StoreError> {
    let row = rows.doubtful_charges()?.get(intent)?;
    row.map(|row| codec::decode(DOUBTS, row.value())).transpose()
}

impl Tables<'_> {
    /// Reserves what a call may cost.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn reserve(&mut self, owner: OwnerId, day: Day, money: Money) -> Result<(), StoreError> {
        self.change_spending(owner, day, money.currency, |present| Spending {
            reserved: present.reserved.saturating_add(money.microunits),
            ..present
        })
    }

    /// Gives back what was reserved, and takes what the call cost instead.
    ///
    /// # Errors
    /// As [`Tables::reserve`].
    pub fn spend(&mut self, owner: OwnerId, day: Day, reserved: Money, cost: u64) -> Result<(), StoreError> {
        self.change_spending(owner, day, reserved.currency, |present| Spending {
            spent: present.spent.saturating_add(cost),
            reserved: present.reserved.saturating_sub(reserved.microunits),
        })
    }

    /// Gives back what was spent on a call that turned out never to have been made.
    ///
    /// # Errors
    /// As [`Tables::reserve`].
    pub fn unspend(&mut self, owner: OwnerId, day: Day, money: Money) -> Result<(), StoreError> {
        self.change_spending(owner, day, money.currency, |present| Spending {
            spent: present.spent.saturating_sub(money.microunits),
            ..present
        })
    }

    fn change_spending(
        &mut self,
        owner: OwnerId,
        day: Day,
        currency: Currency,
        change: impl Fn(Spending) -> Spending,
    ) -> Result<(), StoreError> {
        for period in Period::ALL {
            let present = of(self.view(), owner, currency, period, day)?;
            let changed = change(present);
            if changed == present {
                continue;
            }
            let value = codec::encode(SPENDING, &changed)?;
            let place = place(period, day, owner, currency);
            self.opened().spending()?.insert(place, value.as_slice())?;
        }
        Ok(())
    }

    /// Keeps what a call of unknown outcome was charged.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_doubt(&mut self, intent: u64, doubt: &Doubt) -> Result<(), StoreError> {
        let value = codec::encode(DOUBTS, doubt)?;
        self.opened().doubtful_charges()?.insert(intent, value.as_slice())?;
        Ok(())
    }

    /// Takes it out, once the call's fate is decided.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be read or removed.
    pub fn take_doubt(&mut self, intent: u64) -> Result<Option<Doubt>, StoreError> {
        let found = doubt(self.view(), intent)?;
        if found.is_some() {
            self.opened().doubtful_charges()?.remove(intent)?;
        }
        Ok(found)
    }

    /// Forgets those of intents that have gone from the log book: nobody can decide their fate any more.
    pub(super) fn forget_doubts(&mut self, through: u64) -> Result<(), StoreError> {
        self.opened().doubtful_charges()?.retain_in(..=through, |_, _| false)?;
        Ok(())
    }

    /// Forgets the periods that were over before `day`.
    ///
    /// # Errors
    /// [`StoreError`] when rows cannot be removed.
    pub fn forget_spending(&mut self, before: Day) -> Result<(), StoreError> {
        for period in Period::ALL {
            let first = |number| key(period, number, OwnerId::from_bits(0), [0; 3]);
            let range = first(0)..first(period.number(before));
            self.opened().spending()?.retain_in(range, |_, _| false)?;
        }
        Ok(())
    }
}
