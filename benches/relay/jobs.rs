//! Jobs: how fast they are dispatched, what a long backlog costs, and what polling many tasks does.

use serde_json::json;

use super::backlog::Backlog;
use super::cost::Cost;
use super::load::JOBS;
use super::relay::{JOBS_AT_ONCE, OnDisk, Relay};
use super::size::megabytes;
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::{Plan, Result};

pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start_canned()?;
    dispatch(plan, &upstream, table).await?;
    long_backlog(plan, &upstream, table).await?;
    polled(plan, &upstream, table).await
}

/// Jobs whose one call is answered at once, from the release of the queue to the end of the last.
async fn dispatch(plan: Plan, upstream: &Upstream, table: &mut Table) -> Result<()> {
    let store = OnDisk::make(async |_| Ok(())).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let backlog = Backlog::of(&relay);
    backlog.pause().await?;
    backlog.add(plan.dispatched).await?;
    let before = relay.process.cpu()?;
    let worked = backlog.work_down_to(0.0).await?;
    let used = relay.process.cpu()?.saturating_sub(before);
    backlog.require_success().await?;

    table.section(&format!(
        "{} jobs of one call each, {JOBS_AT_ONCE} at once",
        plan.dispatched
    ));
    table.note(&format!("{:.1} µs CPU a job", used.as_secs_f64() * 1e6 / worked.jobs));
    table.line("jobs dispatched", worked.rate(), "/s", Bound::AtLeast(3000.0));
    Ok(())
}

/// What a job costs, and how much memory is used, while many others wait. The time from claim to end is compared, of
/// which the claim is the part that could depend on them.
async fn long_backlog(plan: Plan, upstream: &Upstream, table: &mut Table) -> Result<()> {
    let stores = [
        OnDisk::make(async |_| Ok(())).await?,
        OnDisk::make(async |_| Ok(())).await?,
    ];
    let [few, many] = &stores;
    let (few, many) = (
        Relay::start(few, upstream.address).await?,
        Relay::start(many, upstream.address).await?,
    );
    let mut depths = [
        Depth::of(Backlog::of(&few), FEW).await?,
        Depth::of(Backlog::of(&many), plan.waiting).await?,
    ];
    let resident = megabytes(many.process.resident()?);
    for round in 0..=BACKLOG_ROUNDS {
        for depth in &mut depths {
            depth.round(round > 0).await?;
        }
    }

    let [few, many] = &depths;
    let ratios: Vec<f64> = many
        .times
        .iter()
        .zip(&few.times)
        .map(|(many, few)| many / few)
        .collect();
    table.section(&format!("{} jobs that wait", plan.waiting));
    table.line("resident memory", resident, "MB", Bound::AtMost(100.0));
    for depth in &depths {
        let micros = median(&depth.times) * 1e6;
        table.note(&format!("{micros:.1} µs a job while {} more wait", depth.behind));
    }
    table.line(
        &format!("a job's time over that while {FEW} wait"),
        median(&ratios),
        "",
        Bound::AtMost(1.2),
    );
    Ok(())
}

/// A backlog of which a part is worked off again and again.
struct Depth {
    backlog: Backlog,
    /// Jobs that wait behind those that are worked off.
    behind: usize,
    /// Seconds of a job, of each round.
    times: Vec<f64>,
}

impl Depth {
    /// A paused queue with so many jobs.
    async fn of(backlog: Backlog, behind: usize) -> Result<Self> {
        backlog.pause().await?;
        backlog.add(behind).await?;
        Ok(Self {
            backlog,
            behind,
            times: Vec::new(),
        })
    }

    /// Some more are added, as many are worked off, and what was begun beyond them is made up for.
    async fn round(&mut self, counts: bool) -> Result<()> {
        let behind = count(self.behind);
        self.backlog.add(AHEAD).await?;
        let worked = self.backlog.work_down_to(behind).await?;
        self.backlog.pause().await?;
        self.backlog.until_idle().await?;
        self.backlog.require_success().await?;
        let missing = (behind - self.backlog.left().await?).max(0.0);
        self.backlog.add(whole(missing)).await?;
        if counts {
            self.times.push(1.0 / worked.rate());
        }
        Ok(())
    }
}

/// Tasks that never end, each asked about at its own time.
async fn polled(plan: Plan, upstream: &Upstream, table: &mut Table) -> Result<()> {
    let store = OnDisk::make(async |_| Ok(())).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let backlog = Backlog::of(&relay);
    let item = json!({
        "operation": "CVSync2AsyncSubmitTask",
        "body": {"req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk, oil on canvas", "force_single": true},
    });
    let job = json!({"queue": "default", "items": vec![item; ITEMS]}).to_string();
    for _ in 0..plan.polled / ITEMS {
        let request = relay.target.request(JOBS, job.clone().into());
        relay.target.once(request).await?;
    }
    backlog.until_polling(count(plan.polled)).await?;
    let cost = Cost::measure(&relay.process, plan.streaming).await?;

    table.section(&format!("{} tasks that are polled", plan.polled));
    table.note(&format!("{:.1} MB resident", cost.resident));
    table.line("CPU", cost.cores, "cores", Bound::AtMost(1.0));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of jobs is whole, small and not negative"
)]
fn whole(number: f64) -> usize {
    number as usize
}

/// In the short backlog.
const FEW: usize = 100;
/// Worked off in a round.
const AHEAD: usize = 2000;
const BACKLOG_ROUNDS: usize = 5;
/// Of one job, where there are many.
const ITEMS: usize = 1000;
