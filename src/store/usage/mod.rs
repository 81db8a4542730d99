//! What was used and what it cost, added up by day: of each owner and model, and of each model; and by month, of each
//! owner and model.
//!
//! All three tables change in the commit of the settlement that they count, so they always agree with the log book and
//! with each other. Whole months are read by their own rows: a year of a thousand keys has few of those.

mod key;
mod read;

use redb::ReadableTable;

pub use self::read::{Asked, by_model, by_owner, of_owner, shares};

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::model::money::Currency;
use crate::model::usage::Totals;

/// What one row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// The day, by UTC.
    pub day: Day,
    /// Whose calls; `None` for everybody's.
    pub owner: Option<OwnerId>,
    /// Of which model.
    pub model: &'a str,
    /// What its cost is counted in; `None` where it has no price.
    pub currency: Option<Currency>,
}

/// What an owner used over many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share<'a> {
    /// Whose calls.
    pub owner: OwnerId,
    /// Of which model.
    pub model: &'a str,
    /// What its cost is counted in; `None` where it has no price.
    pub currency: Option<Currency>,
}

/// The first day of which anything is counted.
pub(super) fn first_day(rows: &mut impl Rows) -> Result<Option<Day>, StoreError> {
    let first = rows.usage_by_model()?.first()?;
    first.map(|(key, _)| key::day(BY_MODEL, key.value())).transpose()
}

/// The last one.
fn last_day(rows: &mut impl Rows) -> Result<Option<Day>, StoreError> {
    let last = rows.usage_by_model()?.last()?;
    last.map(|(key, _)| key::day(BY_MODEL, key.value())).transpose()
}

impl Tables<'_> {
    /// Adds to what an owner used of a model on a day, and to what everybody did.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn count_usage(&mut self, counted: Counted<'_>, more: Totals) -> Result<(), StoreError> {
        self.change_usage(counted, |present| present.plus(more))
    }

    /// Takes back what was added for a call that turned out never to have been made.
    ///
    /// # Errors
    /// As [`Tables::count_usage`].
    pub fn uncount_usage(&mut self, counted: Counted<'_>, less: Totals) -> Result<(), StoreError> {
        self.change_usage(counted, |present| present.minus(less))
    }

    fn change_usage(&mut self, counted: Counted<'_>, change: impl Fn(Totals) -> Totals) -> Result<(), StoreError> {
        let (day, month) = (counted.day.number(), counted.day.month().number());
        let everybody = Counted { owner: None, ..counted };
        let opened = self.opened();
        change_row(opened.usage_by_model()?, BY_MODEL, &key::of(day, everybody), &change)?;
        let (before, after) = change_row(opened.usage_by_owner()?, BY_OWNER, &key::of(day, counted), &change)?;
        // A month is the sum of its days, whatever a change comes to.
        let of_month = |present: Totals| present.minus(before).plus(after);
        change_row(opened.usage_by_month()?, BY_MONTH, &key::of(month, counted), of_month)?;
        Ok(())
    }

    /// Forgets the days before one.
    ///
    /// # Errors
    /// [`StoreError`] when rows cannot be read or removed.
    pub fn forget_usage(&mut self, before: Day) -> Result<(), StoreError> {
        let (day, month) = (before.number().to_be_bytes(), before.month());
        let begun = month.first_day().number().to_be_bytes();
        let opened = self.opened();
        opened
            .usage_by_model()?
            .retain_in::<&[u8], _>(..day.as_slice(), |_, _| false)?;
        opened
            .usage_by_month()?
            .retain_in::<&[u8], _>(..month.number().to_be_bytes().as_slice(), |_, _| false)?;
        let mut of_month = Vec::new();
        opened
            .usage_by_owner()?
            .retain_in::<&[u8], _>(..day.as_slice(), |key, value| {
                if key >= begun.as_slice() {
                    of_month.push((key.to_vec(), value.to_vec()));
                }
                false
            })?;
        for (key, value) in of_month {
            let gone: Totals = codec::decode(BY_OWNER, &value)?;
            let key = key::moved(BY_OWNER, &key, month.number())?;
            change_row(opened.usage_by_month()?, BY_MONTH, &key, |present| present.minus(gone))?;
        }
        Ok(())
    }
}

/// Changes one row; one that counts nothing any more goes. Returns what it was before and after.
fn change_row(
    table: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    name: &'static str,
    key: &[u8],
    change: impl Fn(Totals) -> Totals,
) -> Result<(Totals, Totals), StoreError> {
    let present = table
        .get(key)?
        .map(|row| codec::decode(name, row.value()))
        .transpose()?
        .unwrap_or_default();
    let changed = change(present);
    if changed.is_zero() {
        table.remove(key)?;
    } else {
        table.insert(key, codec::encode(name, &changed)?.as_slice())?;
    }
    Ok((present, changed))
}

const BY_OWNER: &str = "usage_by_owner.v1";
const BY_MONTH: &str = "usage_by_month.v1";
const BY_MODEL: &str = "usage_by_model.v1";
