//! Requests a second beside nginx, and what one request costs more than without anything between.

use std::time::Duration;

use super::load::{Measured, Target, Until};
use super::nginx::Nginx;
use super::process::Process;
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::{Plan, Result};

/// The rounds of one line.
struct Line<'a> {
    name: &'static str,
    target: Target,
    process: Option<&'a Process>,
    rates: Vec<f64>,
    medians: Vec<f64>,
    /// CPU time of one request, in microseconds.
    cpu: Vec<f64>,
}

impl<'a> Line<'a> {
    fn new(name: &'static str, target: Target, process: Option<&'a Process>) -> Self {
        Self {
            name,
            target,
            process,
            rates: Vec::new(),
            medians: Vec::new(),
            cpu: Vec::new(),
        }
    }

    async fn round(&mut self, connections: usize, length: Duration) -> Result<()> {
        let cpu = |process: Option<&Process>| process.map_or(Ok(Duration::ZERO), Process::cpu);
        let before = cpu(self.process)?;
        let Measured { requests, rate, median } = self.target.load(connections, Until::Passed(length)).await?;
        let used = cpu(self.process)?.saturating_sub(before);
        self.rates.push(rate);
        self.medians.push(micros(median));
        self.cpu.push(micros(used) / per(requests));
        Ok(())
    }
}

/// Measures the lines side by side at each number of connections.
pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let nginx = Nginx::start(upstream.address).await?;
    let store = OnDisk::make(async |_| Ok(())).await?;
    let on = Relay::start(&store, upstream.address).await?;
    let off = Relay::start_in_memory(upstream.address).await?;
    for connections in [1, 32, 128] {
        let mut lines = vec![Line::new(DIRECT, Target::new(upstream.address, "none")?, None)];
        if let Some(nginx) = &nginx {
            lines.push(Line::new(
                NGINX,
                Target::new(nginx.address, "none")?,
                Some(&nginx.process),
            ));
        }
        lines.push(Line::new(ON, on.target.clone(), Some(&on.process)));
        lines.push(Line::new(OFF, off.target.clone(), Some(&off.process)));
        for line in &mut lines {
            line.round(connections, plan.round / 2).await?;
            (line.rates, line.medians, line.cpu) = Default::default();
        }
        for _ in 0..plan.rounds {
            for line in &mut lines {
                line.round(connections, plan.round).await?;
            }
        }
        report(connections, &lines, table);
    }
    Ok(())
}

fn report(connections: usize, lines: &[Line<'_>], table: &mut Table) {
    table.section(&format!("{connections} connections, CVProcess with a bearer key"));
    let find = |name| lines.iter().find(|line| line.name == name);
    let direct = find(DIRECT).map_or(0.0, |line| median(&line.medians));
    for line in lines {
        table.note(&format!(
            "{:<44}{:>8.0} requests/s {:>9.3} ms {:>7.1} µs CPU a request",
            line.name,
            median(&line.rates),
            median(&line.medians) / 1000.0,
            median(&line.cpu),
        ));
    }
    if find(NGINX).is_none() {
        table.note("nginx is not installed: no ratios");
    }
    for (name, over, added) in [
        (ON, [None, Some(0.35), Some(0.40)], 0.6),
        (OFF, [None, Some(0.50), Some(0.50)], 0.25),
    ] {
        let Some(line) = find(name) else { continue };
        let at = usize::from(connections >= 32) + usize::from(connections >= 128);
        if let Some(nginx) = find(NGINX) {
            let ratios: Vec<f64> = line
                .rates
                .iter()
                .zip(&nginx.rates)
                .map(|(own, other)| own / other)
                .collect();
            let bound = over.get(at).copied().flatten().map_or(Bound::None, Bound::AtLeast);
            table.line(&format!("requests/s over nginx, {name}"), median(&ratios), "", bound);
        }
        if connections == 1 {
            let added_now = (median(&line.medians) - direct) / 1000.0;
            table.line(&format!("median added, {name}"), added_now, "ms", Bound::AtMost(added));
        }
    }
}

fn micros(length: Duration) -> f64 {
    length.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
fn per(requests: usize) -> f64 {
    requests.max(1) as f64
}

const DIRECT: &str = "the upstream itself";
const NGINX: &str = "nginx, a plain reverse proxy";
const ON: &str = "Tollgate, log book on";
/// Entries are made and chained as ever, but nothing is written to a disk or synced.
const OFF: &str = "Tollgate, log book in memory, never synced";
