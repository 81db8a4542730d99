//! The jobs of a running relay, as its operator sees them: they are enqueued, held back, let go and counted.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::{Instant, sleep};

use super::Result;
use super::load::{Call, Target, Until};
use super::relay::Relay;

/// The queue that all jobs of the bench are in.
#[derive(Debug)]
pub(crate) struct Backlog {
    target: Target,
}

/// What was done of a backlog, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worked {
    pub(crate) jobs: f64,
    pub(crate) took: Duration,
}

impl Worked {
    /// Jobs a second.
    pub(crate) fn rate(self) -> f64 {
        self.jobs / self.took.as_secs_f64()
    }
}

impl Backlog {
    pub(crate) fn of(relay: &Relay) -> Self {
        let target = relay.target.clone().asked(Call::Job);
        Self { target }
    }

    /// Enqueues so many jobs of one chat completion.
    pub(crate) async fn add(&self, jobs: usize) -> Result<()> {
        self.target.load(CLIENTS, Until::Answered(jobs)).await?;
        Ok(())
    }

    /// Begins none of them until [`Self::resume`].
    pub(crate) async fn pause(&self) -> Result<()> {
        let request = self.target.request("/admin/queues/default/pause", Bytes::new());
        self.target.once(request).await?;
        Ok(())
    }

    pub(crate) async fn resume(&self) -> Result<()> {
        let request = self.target.request("/admin/queues/default/resume", Bytes::new());
        self.target.once(request).await?;
        Ok(())
    }

    /// Lets the jobs go and waits until no more than `least` are left. What was done is counted as it is found, which
    /// may be a few more.
    pub(crate) async fn work_down_to(&self, least: f64) -> Result<Worked> {
        let before = self.left().await?;
        let begun = Instant::now();
        self.resume().await?;
        let left = self.until(States::left, |left| left <= least).await?;
        Ok(Worked {
            jobs: before - left,
            took: begun.elapsed(),
        })
    }

    /// Waits until so many tasks are polled.
    pub(crate) async fn until_polling(&self, tasks: f64) -> Result<()> {
        self.until(|states| states.of("polling"), |polling| polling >= tasks)
            .await?;
        Ok(())
    }

    /// Waits until no job runs.
    pub(crate) async fn until_idle(&self) -> Result<()> {
        self.until(|states| states.of("running"), |running| running <= 0.0)
            .await?;
        Ok(())
    }

    /// Items that have not ended.
    pub(crate) async fn left(&self) -> Result<f64> {
        Ok(self.states().await?.left())
    }

    /// Fails if an item ended in any other way than well.
    pub(crate) async fn require_success(&self) -> Result<()> {
        let states = self.states().await?;
        let amiss: f64 = AMISS.iter().map(|state| states.of(state)).sum();
        if amiss > 0.0 {
            return Err(format!("{amiss} items did not succeed: {states:?}").into());
        }
        Ok(())
    }

    /// Looks again and again until `count` is `enough`, and returns it.
    async fn until(&self, count: impl Fn(&States) -> f64, enough: impl Fn(f64) -> bool) -> Result<f64> {
        let begun = Instant::now();
        loop {
            let states = self.states().await?;
            let found = count(&states);
            if enough(found) {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the jobs did not get on: {states:?}").into());
            }
            sleep(LOOK).await;
        }
    }

    async fn states(&self) -> Result<States> {
        let mut request = self.target.request("/metrics", Bytes::new());
        *request.method_mut() = Method::GET;
        let page = self.target.once(request).await?;
        States::read(str::from_utf8(&page)?)
    }
}

/// How many items are in which state.
#[derive(Debug)]
struct States(Vec<(String, f64)>);

impl States {
    /// From the gauge `tollgate_jobs` of a page of metrics.
    fn read(page: &str) -> Result<Self> {
        let mut states = Vec::new();
        for line in page.lines() {
            let Some((labels, value)) = line
                .strip_prefix("tollgate_jobs{")
                .and_then(|rest| rest.rsplit_once("} "))
            else {
                continue;
            };
            let label = |name: &str| {
                let begun = labels.split(',').find_map(|label| label.strip_prefix(name))?;
                begun.strip_prefix("=\"")?.strip_suffix('"')
            };
            if label("queue") == Some("default") {
                let state = label("state").ok_or("tollgate_jobs has no label state")?;
                states.push((state.to_owned(), value.parse()?));
            }
        }
        if states.is_empty() {
            return Err("the relay does not count its jobs".into());
        }
        Ok(Self(states))
    }

    fn of(&self, state: &str) -> f64 {
        self.sum(|found| found == state)
    }

    fn left(&self) -> f64 {
        self.sum(|found| found != "succeeded" && !AMISS.contains(&found))
    }

    fn sum(&self, which: impl Fn(&str) -> bool) -> f64 {
        let chosen = self.0.iter().filter(|(state, _)| which(state));
        chosen.map(|&(_, count)| count).sum()
    }
}

/// The ends of an item that are not success.
const AMISS: [&str; 4] = ["failed", "unknown", "dead", "cancelled"];
const CLIENTS: usize = 32;
/// Between two looks at the metrics.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(3);
