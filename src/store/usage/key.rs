//! The keys of usage: the day or the month, the owner if there is one, the model's name, the currency.

use std::ops::Bound;

use super::Counted;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::model::money::Currency;
use crate::store::error::StoreError;

/// The key of what is counted, under the number of its day or month.
pub(super) fn of(number: u32, counted: Counted<'_>) -> Vec<u8> {
    let owner = counted.owner.map(|owner| owner.bits().to_be_bytes());
    let owner: &[u8] = owner.as_ref().map_or(&[], |bytes| bytes);
    let currency = counted.currency.map_or(NO_CURRENCY, Currency::bytes);
    [&number.to_be_bytes(), owner, counted.model.as_bytes(), &currency].concat()
}

/// The number of a day or month that a key begins with, and what is left of it.
pub(super) fn number<'a>(table: &'static str, key: &'a [u8]) -> Result<(u32, &'a [u8]), StoreError> {
    let (number, rest) = key.split_first_chunk().ok_or_else(|| damaged(table))?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// The day that a key begins with.
pub(super) fn day(table: &'static str, key: &[u8]) -> Result<Day, StoreError> {
    number(table, key).map(|(number, _)| Day::from_number(number))
}

/// The same key under another number.
pub(super) fn moved(table: &'static str, key: &[u8], to: u32) -> Result<Vec<u8>, StoreError> {
    let (_, rest) = number(table, key)?;
    Ok([to.to_be_bytes().as_slice(), rest].concat())
}

/// The owner behind it, and what is left.
pub(super) fn owner<'a>(table: &'static str, rest: &'a [u8]) -> Result<(OwnerId, &'a [u8]), StoreError> {
    let (owner, rest) = rest.split_first_chunk().ok_or_else(|| damaged(table))?;
    Ok((OwnerId::from_bits(u64::from_be_bytes(*owner)), rest))
}

/// What a key ends with.
pub(super) fn name<'a>(table: &'static str, rest: &'a [u8]) -> Result<(&'a str, Option<Currency>), StoreError> {
    let (model, currency) = rest.split_last_chunk::<3>().ok_or_else(|| damaged(table))?;
    let model = str::from_utf8(model).map_err(|_| damaged(table))?;
    let currency = match *currency {
        NO_CURRENCY => None,
        letters => Some(letters.try_into().map_err(|_| damaged(table))?),
    };
    Ok((model, currency))
}

/// The keys from a number on, up to another that is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Span {
    /// Of days or months, by their numbers, the last one with them.
    pub(super) fn numbers(first: u32, last: u32) -> Self {
        let behind = last.checked_add(1);
        Self {
            from: first.to_be_bytes().to_vec(),
            to: behind.map(|number| number.to_be_bytes().to_vec()),
        }
    }

    /// The same, from an owner of the first number on.
    pub(super) fn from_owner(first: u32, owner: OwnerId, last: u32) -> Self {
        Self {
            from: place(first, owner.bits()),
            ..Self::numbers(first, last)
        }
    }

    /// Of one owner under one number.
    pub(super) fn of_owner(number: u32, owner: OwnerId) -> Self {
        let to = match owner.bits().checked_add(1) {
            Some(next) => Some(place(number, next)),
            None => number.checked_add(1).map(|next| place(next, 0)),
        };
        Self {
            from: place(number, owner.bits()),
            to,
        }
    }

    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(&self.from), to)
    }
}

fn place(number: u32, owner: u64) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), &owner.to_be_bytes()].concat()
}

fn damaged(table: &'static str) -> StoreError {
    StoreError::corrupt(table, "a key that is none")
}

/// In the place of a currency where there is no price.
const NO_CURRENCY: [u8; 3] = [0; 3];
