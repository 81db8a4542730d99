//! A year of usage: how long it takes to answer what was used, and by whom.

use bytes::Bytes;
use http::Method;
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
use super::table::{Bound, Table, median};
use super::upstream::Upstream;

pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let store = OnDisk::make(fill).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let today = Day::of(SystemClock.wall());
    let year = format!("from={}&to={today}", today.minus(DAYS - 1));
    table.section(&format!("a year of usage, {KEYS} keys × {MODELS} models"));
    for (what, query, bound) in [
        ("by day and model", "limit=1000", Bound::AtMost(MOST)),
        (
            "of one key by day and model",
            "key=own_0000000000000001",
            Bound::AtMost(MOST),
        ),
        ("by model alone", "group_by=model", Bound::AtMost(MOST)),
        ("by key, which reads every row", "group_by=key", Bound::None),
    ] {
        let mut taken = Vec::new();
        for _ in 0..ROUNDS {
            let mut request = relay.target.request("/admin/usage", Bytes::new());
            *request.method_mut() = Method::GET;
            *request.uri_mut() = format!("/admin/usage?{year}&{query}").parse()?;
            let begun = Instant::now();
            relay.target.once(request).await?;
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        table.line(what, median(&taken), "ms", bound);
    }
    Ok(())
}

/// Every key uses every model on every day.
async fn fill(services: &Services) -> Result<()> {
    let today = Day::of(SystemClock.wall());
    for before in (0..DAYS).rev() {
        services.store.change(OneDay(today.minus(before))).await?;
    }
    Ok(())
}

struct OneDay(Day);

impl Change for OneDay {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> std::result::Result<(), StoreError> {
        for owner in 1..=KEYS {
            for model in 0..MODELS {
                let counted = Counted {
                    day: self.0,
                    owner: Some(OwnerId::from_bits(owner)),
                    model: &format!("provider/model-{model}"),
                    currency: "USD".parse().ok(),
                };
                let totals = Totals {
                    calls: 120,
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
const KEYS: u64 = 50;
const MODELS: u32 = 20;
const ROUNDS: usize = 9;

/// In milliseconds.
const MOST: f64 = 50.0;
