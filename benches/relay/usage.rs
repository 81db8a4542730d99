//! A year of usage: how long it takes to answer what was used, and by whom, whatever it is grouped by.

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::time::Instant;
use tollgate::api::Services;
use tollgate::model::clock::{Clock, SystemClock};
use tollgate::model::day::Day;
use tollgate::model::id::OwnerId;
use tollgate::model::money::Units;
use tollgate::model::usage::Totals;
use tollgate::store::error::StoreError;
use tollgate::store::usage::Counted;
use tollgate::store::{Change, Tables};

use super::Result;
use super::relay::{OnDisk, Relay};
use super::size::megabytes;
use super::table::{Bound, Table, median};
use super::upstream::Upstream;

pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let store = OnDisk::make(fill).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let today = Day::of(SystemClock.wall());
    // The least that months help: the last one lacks its last day.
    let uneven = today.month().first_day().minus(2);
    table.section(&format!(
        "a year of usage, {KEYS} keys, each with {MODELS_A_DAY} of {MODELS} models a day"
    ));
    for (what, query, last) in [
        ("by day and model", "group_by=day,model", today),
        ("by model", "group_by=model", today),
        ("by day", "group_by=day", today),
        ("of one key by day and model", "key=own_0000000000000001", today),
        ("by key", "group_by=key", today),
        (
            "by key, of a year that begins and ends within months",
            "group_by=key",
            uneven,
        ),
        ("by key, of one model", "group_by=key&model=provider/model-7", today),
        ("by key and model", "group_by=key,model", today),
        ("by day and key", "group_by=day,key", today),
        (
            "by day and key, of one model",
            "group_by=day,key&model=provider/model-7",
            today,
        ),
        ("by day, key and model", "group_by=day,key,model", today),
    ] {
        let path = format!("/admin/usage?from={}&to={last}&{query}", last.minus(DAYS - 1));
        measure_one(&relay, what, &path, table).await?;
    }
    let resident = megabytes(relay.process.resident()?);
    table.line(
        "resident memory after all of these",
        resident,
        "MB",
        Bound::AtMost(80.0),
    );
    Ok(())
}

/// Measures the first page and, where there is one, the second.
async fn measure_one(relay: &Relay, what: &str, path: &str, table: &mut Table) -> Result<()> {
    let (first, page) = time(relay, path).await?;
    let calls = page.pointer("/totals/0/calls").and_then(Value::as_u64);
    let whole = u64::from(DAYS) * KEYS * MODELS_A_DAY * CALLS;
    if calls.is_none_or(|calls| calls == 0)
        || (!path.contains("key=own") && !path.contains("model=") && calls != Some(whole))
    {
        return Err(format!("{path}: {calls:?} calls are not those that were counted").into());
    }
    table.line(what, first, "ms", Bound::AtMost(MOST));
    if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
        let (next, _) = time(relay, &format!("{path}&cursor={cursor}")).await?;
        table.line("  its next page", next, "ms", Bound::AtMost(MOST));
    }
    Ok(())
}

/// How many milliseconds an answer takes, and the answer.
async fn time(relay: &Relay, path: &str) -> Result<(f64, Value)> {
    let (mut taken, mut page) = (Vec::new(), Bytes::new());
    for _ in 0..ROUNDS {
        let mut request = relay.target.request("/admin/usage", Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = path.parse()?;
        let begun = Instant::now();
        page = relay.target.once(request).await?;
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok((median(&taken), serde_json::from_slice(&page)?))
}

/// A year, and the month before it.
async fn fill(services: &Services) -> Result<()> {
    let today = Day::of(SystemClock.wall());
    for before in (0..DAYS + 33).rev() {
        services.store.change(OneDay(today.minus(before))).await?;
    }
    Ok(())
}

struct OneDay(Day);

impl Change for OneDay {
    type Done = ();

    /// Every key has twice as many models as it uses on a day, and they are others than its neighbour's.
    fn apply(&mut self, tables: &mut Tables<'_>) -> std::result::Result<(), StoreError> {
        let turn = u64::from(self.0.number() % 2) * MODELS_A_DAY;
        for owner in 1..=KEYS {
            for at in turn..turn + MODELS_A_DAY {
                let counted = Counted {
                    day: self.0,
                    owner: Some(OwnerId::from_bits(owner)),
                    model: &format!("provider/model-{}", (owner + 5 * at) % MODELS),
                    currency: "USD".parse().ok(),
                };
                let totals = Totals {
                    calls: CALLS,
                    estimated_calls: 3,
                    units: Units {
                        input: 340_000,
                        cached: 20_000,
                        output: 90_000,
                        ..Units::default()
                    },
                    cost: 105_000,
                };
                tables.count_usage(counted, totals)?;
            }
        }
        Ok(())
    }
}

const DAYS: u32 = 365;
const KEYS: u64 = 1000;
const MODELS: u64 = 20;
const MODELS_A_DAY: u64 = 2;
/// Of a key, a model and a day.
const CALLS: u64 = 120;
const ROUNDS: usize = 9;

/// In milliseconds.
const MOST: f64 = 50.0;
