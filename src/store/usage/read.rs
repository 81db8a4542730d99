//! Visiting what was counted.

use std::ops::{ControlFlow, RangeInclusive};

use redb::ReadableTable;

use super::key::{self, Span};
use super::{BY_MODEL, BY_MONTH, BY_OWNER, Counted, Share, last_day};
use crate::model::day::{Day, Month};
use crate::model::id::OwnerId;
use crate::model::usage::Totals;
use crate::store::codec;
use crate::store::error::StoreError;
use crate::store::schema::Rows;

/// Which rows are visited.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Those of these days.
    pub days: RangeInclusive<Day>,
    /// Those of this model; of every one where there is none.
    pub model: Option<&'a str>,
}

/// Visits what everybody together used of each model, by day.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn by_model(
    rows: &mut impl Rows,
    asked: &Asked<'_>,
    mut visit: impl FnMut(Counted<'_>, Totals),
) -> Result<(), StoreError> {
    let span = Span::numbers(asked.days.start().number(), asked.days.end().number());
    for row in rows.usage_by_model()?.range::<&[u8]>(span.bounds())? {
        let (key, value) = row?;
        let (day, rest) = key::number(BY_MODEL, key.value())?;
        let (model, currency) = key::name(BY_MODEL, rest)?;
        if asked.is_for(model) {
            let counted = Counted {
                day: Day::from_number(day),
                owner: None,
                model,
                currency,
            };
            visit(counted, codec::decode(BY_MODEL, value.value())?);
        }
    }
    Ok(())
}

/// Visits what each owner used of each model, by day: from an owner of the first day on, until it is told to stop.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn by_owner(
    rows: &mut impl Rows,
    asked: &Asked<'_>,
    from: OwnerId,
    mut visit: impl FnMut(Counted<'_>, Totals) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let span = Span::from_owner(asked.days.start().number(), from, asked.days.end().number());
    let table = rows.usage_by_owner()?;
    visit_shares(table, BY_OWNER, &span, asked, |day, share, totals| {
        visit(share.on(Day::from_number(day)), totals)
    })
}

/// Visits what one owner used of each model, by day: one look-up for each of the days.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn of_owner(
    rows: &mut impl Rows,
    owner: OwnerId,
    asked: &Asked<'_>,
    mut visit: impl FnMut(Counted<'_>, Totals),
) -> Result<(), StoreError> {
    let table = rows.usage_by_owner()?;
    for day in asked.days.start().number()..=asked.days.end().number() {
        let span = Span::of_owner(day, owner);
        visit_shares(table, BY_OWNER, &span, asked, |day, share, totals| {
            visit(share.on(Day::from_number(day)), totals);
            ControlFlow::Continue(())
        })?;
    }
    Ok(())
}

/// Visits what each owner used of each model in all of the days: a share may come in parts, in no order.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn shares(
    rows: &mut impl Rows,
    asked: &Asked<'_>,
    mut visit: impl FnMut(Share<'_>, Totals),
) -> Result<(), StoreError> {
    let Some(last) = last_day(rows)? else {
        return Ok(());
    };
    let cover = Cover::of(&asked.days, last);
    let mut each = |_: u32, share: Share<'_>, totals| {
        visit(share, totals);
        ControlFlow::Continue(())
    };
    for days in &cover.days {
        let span = Span::numbers(days.start().number(), days.end().number());
        visit_shares(rows.usage_by_owner()?, BY_OWNER, &span, asked, &mut each)?;
    }
    if let Some(months) = &cover.months {
        let span = Span::numbers(months.start().number(), months.end().number());
        visit_shares(rows.usage_by_month()?, BY_MONTH, &span, asked, &mut each)?;
    }
    Ok(())
}

/// Visits rows of a table by owner, with the number of their day or month.
fn visit_shares(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    name: &'static str,
    span: &Span,
    asked: &Asked<'_>,
    mut visit: impl FnMut(u32, Share<'_>, Totals) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    for row in table.range::<&[u8]>(span.bounds())? {
        let (key, value) = row?;
        let (number, rest) = key::number(name, key.value())?;
        let (owner, rest) = key::owner(name, rest)?;
        let (model, currency) = key::name(name, rest)?;
        if !asked.is_for(model) {
            continue;
        }
        let share = Share { owner, model, currency };
        if visit(number, share, codec::decode(name, value.value())?).is_break() {
            break;
        }
    }
    Ok(())
}

impl Asked<'_> {
    fn is_for(&self, model: &str) -> bool {
        self.model.is_none_or(|asked| asked == model)
    }
}

impl<'a> Share<'a> {
    const fn on(self, day: Day) -> Counted<'a> {
        let Self { owner, model, currency } = self;
        Counted {
            day,
            owner: Some(owner),
            model,
            currency,
        }
    }
}

/// Days as whole months, and as the days at both ends that make none.
#[derive(Debug, PartialEq, Eq)]
struct Cover {
    days: Vec<RangeInclusive<Day>>,
    months: Option<RangeInclusive<Month>>,
}

impl Cover {
    /// Of days, where `last` is the last one of which anything is counted.
    fn of(days: &RangeInclusive<Day>, last: Day) -> Self {
        let (start, end) = (*days.start(), *days.end());
        let from = match start.month() {
            month if month.first_day() == start => month,
            month => month.next(),
        };
        // Behind the last day nothing is counted: its month is as good as over.
        let until = if last <= end {
            end.month().next()
        } else {
            end.next().month()
        };
        if from >= until {
            return Self {
                days: vec![days.clone()],
                months: None,
            };
        }
        let mut days = Vec::new();
        if start < from.first_day() {
            days.push(start..=from.first_day().previous());
        }
        if until.first_day() <= end {
            days.push(until.first_day()..=end);
        }
        Self {
            days,
            months: Some(from..=until.previous()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn cover(days: [&str; 2], last: &str) -> (Vec<RangeInclusive<Day>>, u32) {
        let cover = Cover::of(&(day(days[0])..=day(days[1])), day(last));
        let months = cover
            .months
            .map_or(0, |months| months.end().number() + 1 - months.start().number());
        (cover.days, months)
    }

    #[test]
    fn a_year_is_few_days_and_many_months() {
        let (days, months) = cover(["2025-11-22", "2026-11-21"], "2026-11-22");
        let ends = [
            day("2025-11-22")..=day("2025-11-30"),
            day("2026-11-01")..=day("2026-11-21"),
        ];
        assert_eq!((days.as_slice(), months), (ends.as_slice(), 11));
        assert_eq!(cover(["2025-01-01", "2025-12-31"], "2026-11-21"), (vec![], 12));
    }

    #[test]
    fn a_month_behind_whose_days_nothing_is_counted_is_whole() {
        let (days, months) = cover(["2025-11-22", "2026-11-21"], "2026-11-21");
        assert_eq!(days, [day("2025-11-22")..=day("2025-11-30")]);
        assert_eq!(months, 12);
    }

    #[test]
    fn days_within_a_month_are_days() {
        let few = ["2025-11-03", "2025-11-05"];
        assert_eq!(
            cover(few, "2025-11-05"),
            (vec![day("2025-11-03")..=day("2025-11-05")], 0)
        );
        assert_eq!(cover(["2025-11-03", "2025-12-30"], "2026-01-01").1, 0);
    }
}
