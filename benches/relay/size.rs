//! Memory: idle, and after many requests.

use super::load::Until;
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table};
use super::upstream::Upstream;
use super::{Plan, Result};

pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let store = OnDisk::make(async |_| Ok(())).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    table.section("resident memory");
    table.line("idle", megabytes(relay.process.resident()?), "MB", Bound::AtMost(30.0));
    relay.target.load(64, Until::Answered(plan.requests)).await?;
    let after = megabytes(relay.process.resident()?);
    table.line(
        &format!("after {} requests", plan.requests),
        after,
        "MB",
        Bound::AtMost(80.0),
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52 bytes")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
