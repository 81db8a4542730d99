//! Requests a second beside nginx, and what one request costs more than without anything between.

use super::line::Line;
use super::load::Target;
use super::nginx::Nginx;
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::{Plan, Result, line};

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
        line::measure(&mut lines, connections, plan).await?;
        report(connections, &lines, table);
    }
    Ok(())
}

fn report(connections: usize, lines: &[Line<'_>], table: &mut Table) {
    table.section(&format!("{connections} connections, CVProcess with a bearer key"));
    let find = |name| lines.iter().find(|line| line.name == name);
    let direct = find(DIRECT).map_or(0.0, |line| median(&line.medians));
    for line in lines {
        line.note(table);
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
            let bound = over.get(at).copied().flatten().map_or(Bound::None, Bound::AtLeast);
            table.line(&format!("requests/s over nginx, {name}"), line.over(nginx), "", bound);
        }
        if connections == 1 {
            let added_now = (median(&line.medians) - direct) / 1000.0;
            table.line(&format!("median added, {name}"), added_now, "ms", Bound::AtMost(added));
        }
    }
}

const DIRECT: &str = "the upstream itself";
const NGINX: &str = "nginx, a plain reverse proxy";
const ON: &str = "Tollgate, log book on";
/// Entries are made and chained as ever, but nothing is written to a disk or synced.
const OFF: &str = "Tollgate, log book in memory, never synced";
