//! Jobs enqueued a second, each acknowledged once it is on the disk. None of them runs: their time is far off.

use std::time::Duration;

use serde_json::json;

use super::load::{Call, Measured, Until};
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table, say};
use super::upstream::Upstream;
use super::{Plan, Result};

/// Measures it, and prints the figure once more in the form that `benches/celery/run` reads.
pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start_canned()?;
    let store = OnDisk::make(async |_| Ok(())).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let target = relay.target.clone().asked(Call::LaterJob);
    target.load(CLIENTS, Until::Passed(WARM_UP)).await?;
    let measured = target.load(CLIENTS, Until::Passed(plan.enqueueing)).await?;

    table.section(&format!("{CLIENTS} clients that enqueue jobs of one item"));
    let Measured { rate, median, late, .. } = measured;
    let (median, late) = (millis(median), millis(late));
    table.note(&format!("{median:.3} ms, {late:.3} ms at the 99th percentile"));
    table.line("jobs enqueued, each on the disk", rate, "/s", Bound::AtLeast(5000.0));
    say(&json!({
        "system": "tollgate", "enqueues_per_second": rate, "clients": CLIENTS, "p50_ms": median, "p99_ms": late,
    })
    .to_string());
    Ok(())
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}

const CLIENTS: usize = 32;
/// As long as the clients of Celery warm up.
const WARM_UP: Duration = Duration::from_secs(1);
