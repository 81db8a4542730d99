//! Backups of a long log book: how fast one is, and what it takes from the calls beside it.

use tokio::time::Instant;

use super::load::{Target, Until};
use super::relay::{OnDisk, Relay};
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

    let (bytes, rate) = backup(&relay.target).await?;
    table.note(&format!("{:.0} MB in one backup", megabytes(bytes)));
    table.line("a backup alone", rate, "MB/s", Bound::AtLeast(50.0));

    let until = Until::Passed(plan.round);
    relay.target.load(CONNECTIONS, until).await?;
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
    if !rates.is_empty() {
        table.line("a backup beside calls", median(&rates), "MB/s", Bound::None);
    }
    Ok(())
}

async fn again_and_again(target: &Target, rates: &mut Vec<f64>) -> Result<()> {
    loop {
        rates.push(backup(target).await?.1);
    }
}

/// One backup, thrown away as it comes: its size in bytes, and megabytes a second.
async fn backup(target: &Target) -> Result<(u64, f64)> {
    let begun = Instant::now();
    let bytes = target.download("/admin/backup").await?;
    Ok((bytes, megabytes(bytes) / begun.elapsed().as_secs_f64()))
}

#[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

const CONNECTIONS: usize = 8;
