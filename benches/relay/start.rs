//! A long log book: how long the start takes on it, and whether a call costs more.

use std::time::Duration;

use tokio::time::Instant;

use super::load::Until;
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::{Plan, Result, records};

pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let empty = OnDisk::make(async |_| Ok(())).await?;
    let long = OnDisk::make(async |services| records::write(services, plan.records).await).await?;
    table.section(&format!("{} records in the log book", plan.records));

    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..plan.starts {
        let begun = Instant::now();
        let relay = Relay::start(&long, upstream.address).await?;
        clean.push(millis(begun.elapsed()));
        relay.target.load(4, Until::Answered(200)).await?;
        relay.process.kill()?;
        let begun = Instant::now();
        let relay = Relay::start(&long, upstream.address).await?;
        killed.push(millis(begun.elapsed()));
        relay.process.end()?;
    }
    table.line(
        "start to ready after a clean stop",
        median(&clean),
        "ms",
        Bound::AtMost(300.0),
    );
    table.line(
        "start to ready after a kill",
        median(&killed),
        "ms",
        Bound::AtMost(2000.0),
    );

    let few = Relay::start(&empty, upstream.address).await?;
    let many = Relay::start(&long, upstream.address).await?;
    let mut ratios = Vec::new();
    for _ in 0..=plan.rounds {
        let until = Until::Passed(plan.round);
        let before = few.target.load(32, until).await?;
        let after = many.target.load(32, until).await?;
        ratios.push(after.rate / before.rate);
    }
    // The first round warms both up.
    ratios.remove(0);
    table.line(
        "requests/s over those with an empty log book, 32 connections",
        median(&ratios),
        "",
        Bound::AtLeast(0.9),
    );
    Ok(())
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}
