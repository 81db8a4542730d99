//! Streams: how soon they begin, whether each frame passes alone and at once, and what a thousand of them cost.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::canned::Pace;
use super::cost::Cost;
use super::load::Target;
use super::process::allow_files;
use super::relay::{OnDisk, Relay};
use super::size::megabytes;
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::watch::Watched;
use super::{Plan, Result};

pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    // Each stream takes one file here and in the upstream, and two in the relay.
    allow_files(3 * STREAMS)?;
    let upstream = Upstream::start_canned()?;
    let store = OnDisk::make(async |_| Ok(())).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let direct = Target::new(upstream.address, "none")?;

    table.section("1 connection, streamed chat completions");
    first_frame(plan, &direct, &relay.target, table).await?;
    each_frame(plan, &direct, &relay.target, table).await?;
    table.section(&format!("{STREAMS} streams of 10 frames/s at once"));
    many(plan, &relay, table).await
}

/// How much later a stream begins: of streams one after the other, and for comparison of lone ones, before which
/// everything has gone to sleep.
async fn first_frame(plan: Plan, direct: &Target, relayed: &Target, table: &mut Table) -> Result<()> {
    let pace = Pace { frames: 3, pause: 0 };
    for (rest, bound) in [(Duration::ZERO, Bound::AtMost(0.5)), (REST, Bound::None)] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for round in 0..=plan.rounds {
            for (target, medians) in [(direct, &mut without), (relayed, &mut with)] {
                let watched = target.watch(pace, rest, Instant::now() + plan.round).await?;
                // The first round warms both up.
                if round > 0 {
                    medians.push(median(&watched.first.into_iter().map(millis).collect::<Vec<_>>()));
                }
            }
        }
        let (without, with) = (median(&without), median(&with));
        let after = rest.as_millis();
        table.note(&format!(
            "{after} ms after another stream: first frame after {without:.3} ms direct, {with:.3} ms through Tollgate"
        ));
        table.line(
            &format!("first frame, median added, {after} ms after another stream"),
            with - without,
            "ms",
            bound,
        );
    }
    Ok(())
}

/// Whether frames are merged or held back where there is time between them.
async fn each_frame(plan: Plan, direct: &Target, relayed: &Target, table: &mut Table) -> Result<()> {
    let pace = Pace { frames: 50, pause: 10 };
    let (mut without, mut with) = (Watched::default(), Watched::default());
    for _ in 0..plan.rounds {
        for (target, watched) in [(direct, &mut without), (relayed, &mut with)] {
            watched.add(target.watch(pace, Duration::ZERO, Instant::now() + plan.round).await?);
        }
    }
    let (direct, relayed) = (Ways::of(&without), Ways::of(&with));
    table.note(&format!("a frame every {} ms, direct: {direct}", pace.pause));
    table.note(&format!("a frame every {} ms, through Tollgate: {relayed}", pace.pause));
    table.line(
        &format!("of {} frames, lost, merged or parted", with.sent),
        count(with.amiss()),
        "",
        Bound::AtMost(0.0),
    );
    table.line(
        "a frame's way, median added",
        relayed.median - direct.median,
        "ms",
        Bound::AtMost(0.5),
    );
    table.line(
        "frames that came within 1 ms, over direct",
        relayed.at_once / direct.at_once,
        "",
        Bound::AtLeast(0.99),
    );
    Ok(())
}

/// What many streams cost while all of them run.
async fn many(plan: Plan, relay: &Relay, table: &mut Table) -> Result<()> {
    let idle = megabytes(relay.process.resident()?);
    let pause = Duration::from_millis(100);
    let begun = Instant::now();
    let mut streams = JoinSet::new();
    for number in 0..STREAMS {
        let target = relay.target.clone();
        let pace = Pace {
            frames: u32::try_from((RAMP + plan.streaming).as_millis() / pause.as_millis())?,
            pause: u32::try_from(pause.as_millis())?,
        };
        streams.spawn(async move {
            sleep_until(begun + RAMP.mul_f64(count(number) / count(STREAMS))).await;
            let watched = target.watch(pace, Duration::ZERO, begun).await;
            watched.map_err(|error| error.to_string())
        });
    }
    // The last stream has begun, and the first has not ended.
    sleep_until(begun + RAMP).await;
    let cost = Cost::measure(&relay.process, plan.streaming).await?;
    let mut all = Watched::default();
    while let Some(watched) = streams.join_next().await {
        all.add(watched??);
    }

    let came = all.arrivals.iter().filter(|(at, _)| cost.during.contains(at)).count();
    let seconds = (cost.during.end - cost.during.start).as_secs_f64();
    table.note(&format!(
        "{:.0} frames/s came, {}",
        count(u64::try_from(came)?) / seconds,
        Ways::of(&all)
    ));
    table.note(&format!("{idle:.1} MB resident before"));
    table.line("resident memory, the most", cost.resident, "MB", Bound::AtMost(150.0));
    table.line("CPU", cost.cores, "cores", Bound::AtMost(1.0));
    table.line(
        &format!("of {} frames, lost, merged or parted", all.sent),
        count(all.amiss()),
        "",
        Bound::AtMost(0.0),
    );
    Ok(())
}

/// How long frames were under way, in milliseconds.
struct Ways {
    median: f64,
    /// The 99th percentile.
    late: f64,
    /// The share that took no more than one.
    at_once: f64,
}

impl Ways {
    fn of(watched: &Watched) -> Self {
        let mut ways: Vec<f64> = watched.arrivals.iter().map(|&(_, way)| millis(way)).collect();
        ways.sort_by(f64::total_cmp);
        let place = |share: usize| ways.get(ways.len() * share / 100).copied().unwrap_or_default();
        let punctual = ways.iter().filter(|&&way| way <= 1.0).map(|_| 1.0).sum::<f64>();
        let all = ways.iter().map(|_| 1.0).sum::<f64>();
        Self {
            median: place(50),
            late: place(99),
            at_once: punctual / all,
        }
    }
}

impl std::fmt::Display for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, late, at_once } = self;
        let share = at_once * 100.0;
        write!(
            f,
            "{median:.3} ms under way, {late:.3} ms at the 99th percentile, {share:.1} % within 1 ms"
        )
    }
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

const STREAMS: u64 = 1000;
/// Over this the streams begin, as they would not all at one moment.
const RAMP: Duration = Duration::from_secs(2);
/// Between two lone streams: longer than a settlement takes.
const REST: Duration = Duration::from_millis(20);
