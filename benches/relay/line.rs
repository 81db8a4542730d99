//! One line of a comparison: the same load again and again, in turns with that of the other lines.

use std::time::Duration;

use super::load::{Measured, Target, Until};
use super::process::Process;
use super::table::{Table, median};
use super::{Plan, Result};

/// The rounds of one line.
pub(crate) struct Line<'a> {
    pub(crate) name: &'static str,
    target: Target,
    process: Option<&'a Process>,
    rates: Vec<f64>,
    /// Each round's median latency, in microseconds.
    pub(crate) medians: Vec<f64>,
    /// CPU time of one request, in microseconds.
    cpu: Vec<f64>,
}

impl<'a> Line<'a> {
    /// A line without rounds. The CPU time is that of `process`.
    pub(crate) fn new(name: &'static str, target: Target, process: Option<&'a Process>) -> Self {
        Self {
            name,
            target,
            process,
            rates: Vec::new(),
            medians: Vec::new(),
            cpu: Vec::new(),
        }
    }

    /// Its requests a second over those of another line, the median of the rounds.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        let ratios: Vec<f64> = self
            .rates
            .iter()
            .zip(&other.rates)
            .map(|(own, other)| own / other)
            .collect();
        median(&ratios)
    }

    pub(crate) fn note(&self, table: &mut Table) {
        table.note(&format!(
            "{:<44}{:>8.0} requests/s {:>9.3} ms {:>7.1} µs CPU a request",
            self.name,
            median(&self.rates),
            median(&self.medians) / 1000.0,
            median(&self.cpu),
        ));
    }

    async fn round(&mut self, connections: usize, length: Duration) -> Result<()> {
        let cpu = |process: Option<&Process>| process.map_or(Ok(Duration::ZERO), Process::cpu);
        let before = cpu(self.process)?;
        let Measured {
            requests, rate, median, ..
        } = self.target.load(connections, Until::Passed(length)).await?;
        let used = cpu(self.process)?.saturating_sub(before);
        self.rates.push(rate);
        self.medians.push(micros(median));
        self.cpu.push(micros(used) / per(requests));
        Ok(())
    }
}

/// Measures the lines side by side. A shorter round that does not count comes first.
pub(crate) async fn measure(lines: &mut [Line<'_>], connections: usize, plan: Plan) -> Result<()> {
    for line in &mut *lines {
        line.round(connections, plan.round / 2).await?;
        (line.rates, line.medians, line.cpu) = Default::default();
    }
    for _ in 0..plan.rounds {
        for line in &mut *lines {
            line.round(connections, plan.round).await?;
        }
    }
    Ok(())
}

fn micros(length: Duration) -> f64 {
    length.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
fn per(requests: usize) -> f64 {
    requests.max(1) as f64
}
