//! Backups of a long log book: how fast one is, and what it takes from the calls beside it.

use std::time::Duration;

use tokio::time::Instant;

use super::load::{Target, Until};
use super::relay::{OnDisk, Relay};
use super::size::megabytes;
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::{Plan, Result, records};

/// Measures rounds of calls alone in turns with rounds of calls beside a backup.
pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let store = OnDisk::make(async |services| records::write(services, plan.records).await).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    table.section(&format!(
        "a backup of {} records, {CONNECTIONS} connections beside it",
        plan.records
    ));

    let (bytes, took) = backup(&relay.target).await?;
    table.note(&format!("{:.0} MB in one backup", megabytes(bytes)));
    let alone = megabytes(bytes) / took.as_secs_f64();
    table.line("a backup alone", alone, "MB/s", Bound::AtLeast(LEAST));

    // Long enough for a whole one, so that every part of it is beside calls.
    let until = Until::Passed(plan.round.max(2 * took));
    relay.target.load(CONNECTIONS, Until::Passed(plan.round)).await?;
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let alone = relay.target.load(CONNECTIONS, until).await?;
        let during = tokio::select! {
            during = relay.target.load(CONNECTIONS, until) => during?,
            never = again_and_again(&relay.target, &mut rates) => return never,
        };
        ratios.push(during.rate / alone.rate);
    }
    table.line(
        "requests/s beside a backup over alone",
        median(&ratios),
        "",
        Bound::AtLeast(0.9),
    );
    table.line("a backup beside calls", median(&rates), "MB/s", Bound::AtLeast(LEAST));
    Ok(())
}

async fn again_and_again(target: &Target, rates: &mut Vec<f64>) -> Result<()> {
    loop {
        let (bytes, took) = backup(target).await?;
        rates.push(megabytes(bytes) / took.as_secs_f64());
    }
}

/// One backup, thrown away as it comes: its size in bytes, and how long it took.
async fn backup(target: &Target) -> Result<(u64, Duration)> {
    let begun = Instant::now();
    let bytes = target.download("/admin/backup").await?;
    Ok((bytes, begun.elapsed()))
}

const CONNECTIONS: usize = 8;

/// Megabytes a second.
const LEAST: f64 = 50.0;
