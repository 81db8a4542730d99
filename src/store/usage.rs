//! What was used and what it cost, added up by day: of each owner and model, and of each model.
//!
//! Both tables change in the commit of the settlement that they count, so they always agree with the log book.

use std::ops::{Bound, RangeInclusive};

use redb::ReadableTable;

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::model::money::Currency;
use crate::model::usage::Totals;

const BY_OWNER: &str = "usage_by_owner.v1";
const BY_MODEL: &str = "usage_by_model.v1";

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

impl Counted<'_> {
    /// The day, the owner if there is one, the name, the currency.
    fn key(&self) -> Vec<u8> {
        let owner = self.owner.map(|owner| owner.bits().to_be_bytes());
        let owner: &[u8] = owner.as_ref().map_or(&[], |bytes| bytes);
        let currency = self.currency.map_or(NO_CURRENCY, Currency::bytes);
        [
            &self.day.number().to_be_bytes(),
            owner,
            self.model.as_bytes(),
            &currency,
        ]
        .concat()
    }
}

/// What is left of a key behind its day and owner.
fn name<'a>(table: &'static str, rest: &'a [u8]) -> Result<(&'a str, Option<Currency>), StoreError> {
    let damaged = || StoreError::corrupt(table, "a key that is none");
    let (model, currency) = rest.split_last_chunk::<3>().ok_or_else(damaged)?;
    let model = str::from_utf8(model).map_err(|_| damaged())?;
    let currency = match *currency {
        NO_CURRENCY => None,
        letters => Some(letters.try_into().map_err(|_| damaged())?),
    };
    Ok((model, currency))
}

fn day<'a>(table: &'static str, key: &'a [u8]) -> Result<(Day, &'a [u8]), StoreError> {
    let damaged = || StoreError::corrupt(table, "a key that is none");
    let (day, rest) = key.split_first_chunk::<4>().ok_or_else(damaged)?;
    Ok((Day::from_number(u32::from_be_bytes(*day)), rest))
}

/// The first day of which anything is counted.
pub(super) fn first_day(rows: &mut impl Rows) -> Result<Option<Day>, StoreError> {
    let first = rows.usage_by_model()?.first()?;
    first
        .map(|(key, _)| day(BY_MODEL, key.value()).map(|(day, _)| day))
        .transpose()
}

/// Visits what everybody together used of each model, by day.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn by_model(
    rows: &mut impl Rows,
    days: RangeInclusive<Day>,
    mut visit: impl FnMut(Counted<'_>, Totals),
) -> Result<(), StoreError> {
    let (from, to) = bounds(&days);
    for row in rows
        .usage_by_model()?
        .range::<&[u8]>(span(&from, to.as_ref().map(<[u8; 4]>::as_slice)))?
    {
        let (key, value) = row?;
        let (day, rest) = day(BY_MODEL, key.value())?;
        let (model, currency) = name(BY_MODEL, rest)?;
        let counted = Counted {
            day,
            owner: None,
            model,
            currency,
        };
        visit(counted, codec::decode(BY_MODEL, value.value())?);
    }
    Ok(())
}

/// Visits what each owner used of each model, by day.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn by_owner(
    rows: &mut impl Rows,
    days: RangeInclusive<Day>,
    mut visit: impl FnMut(Counted<'_>, Totals),
) -> Result<(), StoreError> {
    let (from, to) = bounds(&days);
    visit_owners(rows, &from, to.as_ref().map(<[u8; 4]>::as_slice), &mut visit)
}

/// Visits what one owner used of each model, by day: one look-up for each of the days.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn of_owner(
    rows: &mut impl Rows,
    owner: OwnerId,
    days: RangeInclusive<Day>,
    mut visit: impl FnMut(Counted<'_>, Totals),
) -> Result<(), StoreError> {
    let place = |day: u32, owner: u64| [day.to_be_bytes().as_slice(), &owner.to_be_bytes()].concat();
    for day in days.start().number()..=days.end().number() {
        let from = place(day, owner.bits());
        let to = match owner.bits().checked_add(1) {
            Some(next) => Some(place(day, next)),
            None => day.checked_add(1).map(|next| place(next, 0)),
        };
        visit_owners(rows, &from, to.as_deref(), &mut visit)?;
    }
    Ok(())
}

fn visit_owners(
    rows: &mut impl Rows,
    from: &[u8],
    to: Option<&[u8]>,
    visit: &mut impl FnMut(Counted<'_>, Totals),
) -> Result<(), StoreError> {
    for row in rows.usage_by_owner()?.range::<&[u8]>(span(from, to))? {
        let (key, value) = row?;
        let (day, rest) = day(BY_OWNER, key.value())?;
        let damaged = || StoreError::corrupt(BY_OWNER, "a key that is none");
        let (owner, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (model, currency) = name(BY_OWNER, rest)?;
        let counted = Counted {
            day,
            owner: Some(OwnerId::from_bits(u64::from_be_bytes(*owner))),
            model,
            currency,
        };
        visit(counted, codec::decode(BY_OWNER, value.value())?);
    }
    Ok(())
}

/// The first key of the days, and the first one behind them.
fn bounds(days: &RangeInclusive<Day>) -> ([u8; 4], Option<[u8; 4]>) {
    let behind = days.end().number().checked_add(1);
    (days.start().number().to_be_bytes(), behind.map(u32::to_be_bytes))
}

fn span<'a>(from: &'a [u8], to: Option<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let to = to.map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(from), to)
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
        let own = self.opened().usage_by_owner()?;
        change_row(own, BY_OWNER, &counted.key(), &change)?;
        let everybody = Counted { owner: None, ..counted };
        change_row(self.opened().usage_by_model()?, BY_MODEL, &everybody.key(), &change)
    }

    /// Forgets the days before one.
    ///
    /// # Errors
    /// [`StoreError`] when rows cannot be removed.
    pub fn forget_usage(&mut self, before: Day) -> Result<(), StoreError> {
        let end = before.number().to_be_bytes();
        self.opened()
            .usage_by_owner()?
            .retain_in::<&[u8], _>(..end.as_slice(), |_, _| false)?;
        self.opened()
            .usage_by_model()?
            .retain_in::<&[u8], _>(..end.as_slice(), |_, _| false)?;
        Ok(())
    }
}

/// Changes one row; one that counts nothing any more goes.
fn change_row(
    table: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    name: &'static str,
    key: &[u8],
    change: impl Fn(Totals) -> Totals,
) -> Result<(), StoreError> {
    let present = table
        .get(key)?
        .map(|row| codec::decode(name, row.value()))
        .transpose()?;
    let changed = change(present.unwrap_or_default());
    if changed.is_zero() {
        table.remove(key)?;
    } else {
        table.insert(key, codec::encode(name, &changed)?.as_slice())?;
    }
    Ok(())
}

/// In the place of a currency where there is no price.
const NO_CURRENCY: [u8; 3] = [0; 3];
