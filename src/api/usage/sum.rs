//! Adding usage up by what is asked for.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::shapes::{UsageItem, UsageTotal};
use crate::api::error::ApiError;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::model::money::Currency;
use crate::model::usage::Totals;
use crate::store::Rows;
use crate::store::error::StoreError;
use crate::store::usage::{self, Asked, Counted};

/// By what usage is told apart. The currency always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grouping {
    day: Apart,
    owner: Apart,
    model: Apart,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Apart {
    #[default]
    No,
    Yes,
}

impl Apart {
    fn of<T>(self, value: T) -> Option<T> {
        (self == Self::Yes).then_some(value)
    }
}

/// What is added up.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) days: RangeInclusive<Day>,
    pub(super) owner: Option<OwnerId>,
    pub(super) model: Option<String>,
    pub(super) grouping: Grouping,
}

/// What one sum is of.
type Place = (Option<Day>, Option<OwnerId>, Option<String>, Option<Currency>);

/// Sums by what they are of.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<Place, Totals>);

impl Grouping {
    pub(super) const BY_DAY_AND_MODEL: Self = Self {
        day: Apart::Yes,
        owner: Apart::No,
        model: Apart::Yes,
    };

    /// As `group_by` says it: `day`, `key` and `model`, by commas.
    pub(super) fn read(text: Option<&str>) -> Result<Self, ApiError> {
        let Some(text) = text else {
            return Ok(Self::BY_DAY_AND_MODEL);
        };
        let mut grouping = Self::default();
        for name in text.split(',').filter(|name| !name.is_empty()) {
            match name {
                "day" => grouping.day = Apart::Yes,
                "key" => grouping.owner = Apart::Yes,
                "model" => grouping.model = Apart::Yes,
                _ => return Err(ApiError::validation("group_by is of day, key and model").about("group_by")),
            }
        }
        Ok(grouping)
    }
}

impl Wanted {
    /// Which rows of the store.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            days: self.days.clone(),
            model: self.model.as_deref(),
        }
    }

    /// Whether there may be sums without number: of each day and each owner. They are read page by page.
    pub(super) fn is_long(&self) -> bool {
        let Grouping { day, owner, .. } = self.grouping;
        self.owner.is_none() && day == Apart::Yes && owner == Apart::Yes
    }

    /// The same, not told apart: what the totals are of.
    pub(super) fn together(&self) -> Self {
        Self {
            grouping: Grouping::default(),
            ..self.clone()
        }
    }

    fn place(&self, counted: Counted<'_>) -> Place {
        let grouping = self.grouping;
        (
            grouping.day.of(counted.day),
            counted.owner.and_then(|owner| grouping.owner.of(owner)),
            grouping.model.of(counted.model).map(str::to_owned),
            counted.currency,
        )
    }
}

impl Sums {
    /// Reads the table in which the fewest rows answer it.
    pub(super) fn read(rows: &mut impl Rows, wanted: &Wanted) -> Result<Self, StoreError> {
        let mut sums = Self::default();
        let asked = wanted.asked();
        match (wanted.owner, wanted.grouping.owner) {
            (Some(owner), _) => {
                usage::of_owner(rows, owner, &asked, |counted, totals| sums.add(wanted, counted, totals))?;
            }
            (None, Apart::No) => {
                usage::by_model(rows, &asked, |counted, totals| sums.add(wanted, counted, totals))?;
            }
            (None, Apart::Yes) => usage::shares(rows, &asked, |share, totals| {
                let model = wanted.grouping.model.of(share.model).map(str::to_owned);
                sums.put((None, Some(share.owner), model, share.currency), totals);
            })?,
        }
        Ok(sums)
    }

    pub(super) fn add(&mut self, wanted: &Wanted, counted: Counted<'_>, totals: Totals) {
        self.put(wanted.place(counted), totals);
    }

    fn put(&mut self, place: Place, totals: Totals) {
        let sum = self.0.entry(place).or_default();
        *sum = sum.plus(totals);
    }

    /// By currency.
    pub(super) fn totals(&self) -> Vec<UsageTotal> {
        let mut totals = BTreeMap::<Option<Currency>, Totals>::new();
        for ((.., currency), sum) in &self.0 {
            let total = totals.entry(*currency).or_default();
            *total = total.plus(*sum);
        }
        let view = |(currency, total): (Option<Currency>, Totals)| UsageTotal {
            currency: currency.map(|currency| currency.to_string()),
            calls: total.calls,
            cost_microunits: total.cost,
        };
        totals.into_iter().map(view).collect()
    }

    /// In the order of day, owner, model and currency.
    pub(super) fn into_items(self) -> impl Iterator<Item = UsageItem> {
        self.0
            .into_iter()
            .map(|((day, owner, model, currency), totals)| UsageItem {
                day: day.map(|day| day.to_string()),
                owner: owner.map(|owner| owner.to_string()),
                model,
                currency: currency.map(|currency| currency.to_string()),
                ..UsageItem::new(totals)
            })
    }
}
