//! `cargo bench --bench relay`: what Tollgate costs beside a plain reverse proxy, as ratios of one run.
//!
//! Everything runs on loopback: an imitation of the upstream that answers at once, nginx, the `tollgate` program on a
//! real file, and the same relay over a store in memory that never syncs. Chat completions and streams come from another
//! upstream, which has every answer ready. Each is a process of its own; this one makes the load. The machine is shared
//! by all of them, so only ratios of one run mean anything. It is no test: nothing fails when a target is missed.
//!
//! `-- --quick` runs shorter, and `-- speed` runs one section: `speed`, `chat`, `stream`, `size`, `start`, `queue`,
//! `choice`, `enqueue`, `jobs`, `usage`, `scrape` or `backup`. `benches/celery/run` measures `enqueue` in turns with Celery and
//! Redis.

mod backlog;
mod backup;
mod canned;
mod chat;
mod choice;
mod cost;
mod enqueue;
mod jobs;
mod line;
mod load;
mod nginx;
mod process;
mod queue;
mod records;
mod relay;
mod scrape;
mod size;
mod speed;
mod start;
mod streams;
mod table;
mod upstream;
mod usage;
mod watch;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use self::table::Table;

/// The program's own, since the bench runs the relay over a store in memory itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever went wrong: a bench has nobody who could handle it.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// One round of one line.
    round: Duration,
    /// Rounds of each line, interleaved with those of the lines it is compared with.
    rounds: usize,
    /// Requests before the memory is looked at again.
    requests: usize,
    /// Entries in the long log book.
    records: u64,
    /// Starts of each kind.
    starts: usize,
    /// For how long many streams run.
    streaming: Duration,
    /// For how long jobs are enqueued.
    enqueueing: Duration,
    /// Jobs that are dispatched one after the other.
    dispatched: usize,
    /// Jobs in the long backlog.
    waiting: usize,
    /// Tasks that are polled at once.
    polled: usize,
}

impl Plan {
    const WHOLE: Self = Self {
        round: Duration::from_millis(1500),
        rounds: 7,
        requests: 200_000,
        records: 1_000_000,
        starts: 5,
        streaming: Duration::from_secs(10),
        enqueueing: Duration::from_secs(5),
        dispatched: 20_000,
        waiting: 100_000,
        polled: 10_000,
    };

    const QUICK: Self = Self {
        round: Duration::from_millis(400),
        rounds: 3,
        requests: 20_000,
        records: 100_000,
        starts: 3,
        streaming: Duration::from_secs(3),
        enqueueing: Duration::from_secs(2),
        dispatched: 4_000,
        waiting: 10_000,
        polled: 1_000,
    };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(upstream::ROLE) => run(upstream::serve()),
        Some(canned::ROLE) => run(canned::serve()),
        Some(relay::ROLE) => run(relay::serve_in_memory()),
        _ => {
            let quick = arguments.iter().any(|argument| argument == "--quick");
            let only = arguments.iter().find(|argument| !argument.starts_with('-'));
            run(measure(
                if quick { Plan::QUICK } else { Plan::WHOLE },
                only.map(String::as_str),
            ))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            table::say(&format!("the bench ended early: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures every section, or the one whose name is given.
async fn measure(plan: Plan, only: Option<&str>) -> Result<()> {
    let wanted = |section: &str| only.is_none_or(|only| only == section);
    let mut table = Table::default();
    if wanted("speed") {
        speed::measure(plan, &mut table).await?;
    }
    if wanted("chat") {
        chat::measure(plan, &mut table).await?;
    }
    if wanted("stream") {
        streams::measure(plan, &mut table).await?;
    }
    if wanted("size") {
        size::measure(plan, &mut table).await?;
    }
    if wanted("start") {
        start::measure(plan, &mut table).await?;
    }
    if wanted("queue") {
        queue::measure(&mut table);
    }
    if wanted("choice") {
        choice::measure(&mut table);
    }
    if wanted("enqueue") {
        enqueue::measure(plan, &mut table).await?;
    }
    if wanted("jobs") {
        jobs::measure(plan, &mut table).await?;
    }
    if wanted("usage") {
        usage::measure(&mut table).await?;
    }
    if wanted("scrape") {
        scrape::measure(plan, &mut table).await?;
    }
    if wanted("backup") {
        backup::measure(plan, &mut table).await?;
    }
    table.print();
    Ok(())
}

fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
