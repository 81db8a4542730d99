//! What was used and what it cost: the caller's own, and everybody's for the operator.

mod long;
pub mod shapes;
mod sum;

use std::ops::RangeInclusive;

use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use self::shapes::{BudgetStanding, OwnUsage, UsagePage};
use self::sum::{Grouping, Sums, Wanted};
use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin, ToRelay};
use super::{Services, Tag, page};
use crate::model::caller::Caller;
use crate::model::day::Day;
use crate::model::id::{KeyId, OwnerId};
use crate::model::money::Period;
use crate::store::{Reader, spending};

/// The caller's own view.
pub struct OwnUsageApi;

#[OpenApi(tag = "Tag::Me")]
impl OwnUsageApi {
    /// Show your usage
    ///
    /// Of every key of your rotation family, by day and model, and how your key's budget stands. A call counts on the day
    /// on which it was asked, by UTC.
    #[oai(path = "/v1/usage", method = "get", operation_id = "me_getUsage")]
    async fn own(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// The first day, as `2026-11-01`; 29 days before the last unless told.
        from: Query<Option<String>>,
        /// The last day, which is included; today unless told. At most 366 days in all.
        to: Query<Option<String>>,
        /// How many items a page has, 1 to 1000; 1000 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<OwnUsage>, ApiError> {
        let (services, caller) = (authorized.services, authorized.caller);
        let today = Day::of(services.clock.wall());
        let wanted = Wanted {
            days: days(from.0.as_deref(), to.0.as_deref(), today)?,
            owner: Some(caller.owner),
            model: None,
            grouping: Grouping::BY_DAY_AND_MODEL,
        };
        let budget = budget(&services, &caller, today).await?;
        let usage = usage(&services, wanted, limit.0, cursor.0.as_deref()).await?;
        Ok(Json(OwnUsage { usage, budget }))
    }
}

/// The operator's view.
pub struct UsageApi;

#[OpenApi(tag = "Tag::Usage")]
impl UsageApi {
    /// Show usage
    ///
    /// Everybody's, added up by what `group_by` does not name. A call counts on the day on which it was asked, by UTC.
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    #[oai(path = "/admin/usage", method = "get", operation_id = "usage_get")]
    async fn all(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// The first day, as `2026-11-01`; 29 days before the last unless told.
        from: Query<Option<String>>,
        /// The last day, which is included; today unless told. At most 366 days in all.
        to: Query<Option<String>>,
        /// `day`, `key` and `model`, by commas; `day,model` unless told. Keys of a rotation family are one.
        group_by: Query<Option<String>>,
        /// Only that of this key's rotation family: `key_…`, or `own_…`.
        key: Query<Option<String>>,
        /// Only that of this model.
        model: Query<Option<String>>,
        /// How many items a page has, 1 to 1000; 1000 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<UsagePage>, ApiError> {
        let services = authorized.services;
        let today = Day::of(services.clock.wall());
        let wanted = Wanted {
            days: days(from.0.as_deref(), to.0.as_deref(), today)?,
            owner: key.0.map(|key| owner(&services, &key)).transpose()?,
            model: model.0,
            grouping: Grouping::read(group_by.0.as_deref())?,
        };
        usage(&services, wanted, limit.0, cursor.0.as_deref()).await.map(Json)
    }
}

/// One page of what is wanted.
async fn usage(
    services: &Services,
    wanted: Wanted,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<UsagePage, ApiError> {
    // A cursor is a place in this list, not in one of other days.
    let list = format!("usage {wanted:?}");
    let (from, to) = (wanted.days.start().to_string(), wanted.days.end().to_string());
    let limit = limit.or(Some(1000));
    let key = &services.store.keyring().cursor;
    let (items, totals, next_cursor) = if wanted.is_long() {
        let (begin, limit) = (page::place(key, &list, cursor)?, page::limit(limit)?);
        let read = move |rows: &mut Reader| {
            let (items, next) = long::page(rows, &wanted, begin, limit)?;
            Ok((items, Sums::read(rows, &wanted.together())?.totals(), next))
        };
        let (items, totals, next) = services.store.read_aside(read).await?;
        (items, totals, next.map(|next| page::cursor(key, &list, next)))
    } else {
        let sums = services.store.read_aside(move |rows| Sums::read(rows, &wanted)).await?;
        let totals = sums.totals();
        let (items, next_cursor) = page::of(sums.into_items(), key, &list, limit, cursor)?;
        (items, totals, next_cursor)
    };
    Ok(UsagePage {
        from,
        to,
        items,
        totals,
        next_cursor,
    })
}

/// How a caller's budget stands, if it has one.
async fn budget(services: &Services, caller: &Caller, today: Day) -> Result<Option<BudgetStanding>, ApiError> {
    let Some(budget) = caller.limits.budget else {
        return Ok(None);
    };
    let owner = caller.owner;
    let read = move |rows: &mut Reader| {
        let mut of = |period| spending::of(rows, owner, budget.currency, period, today);
        Ok((of(Period::Day)?, of(Period::Month)?))
    };
    let (day, month) = services.store.read_aside(read).await?;
    let spent = |period| match period {
        Period::Day => day,
        Period::Month => month,
    };
    Ok(Some(BudgetStanding::new(&budget, today, spent)))
}

/// Whose usage is asked for.
fn owner(services: &Services, key: &str) -> Result<OwnerId, ApiError> {
    if let Ok(owner) = key.parse() {
        return Ok(owner);
    }
    let id = key.parse::<KeyId>().ok();
    let known = id.and_then(|id| services.directory.get(id));
    let wrong = || ApiError::validation("key is a client key that there is, or a rotation family").about("key");
    known.map(|key| key.owner).ok_or_else(wrong)
}

/// The days from one to another, both included.
fn days(from: Option<&str>, to: Option<&str>, today: Day) -> Result<RangeInclusive<Day>, ApiError> {
    let day = |name: &str, text: Option<&str>| {
        let wrong = |error| ApiError::validation(format!("{name} is {error}")).about(name);
        text.map(|text| text.parse::<Day>().map_err(wrong)).transpose()
    };
    let to = day("to", to)?.unwrap_or(today);
    let from = day("from", from)?.unwrap_or_else(|| to.minus(USUAL_DAYS - 1));
    if from > to {
        return Err(ApiError::validation("from lies behind to").about("from"));
    }
    if from < to.minus(MOST_DAYS - 1) {
        return Err(ApiError::validation(format!("at most {MOST_DAYS} days are asked for at once")).about("from"));
    }
    Ok(from..=to)
}

/// How many days are shown unless told.
const USUAL_DAYS: u32 = 30;

/// The most that are shown at once.
const MOST_DAYS: u32 = 366;
