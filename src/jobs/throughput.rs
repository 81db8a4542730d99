//! How many items of each queue end in a minute, measured from what their counts were a moment ago.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::job::QueueName;

/// The counts of the last minute, one sample every few seconds. It forgets what is older.
#[derive(Debug, Default)]
pub struct Throughput(Mutex<VecDeque<Sample>>);

#[derive(Debug)]
struct Sample {
    at: Instant,
    ended: BTreeMap<QueueName, u64>,
}

impl Throughput {
    /// Takes a sample: how many items of each queue have ended so far.
    pub fn sample(&self, now: Instant, ended: impl IntoIterator<Item = (QueueName, u64)>) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The youngest of those that are a minute old stays: the minute begins there.
        while samples
            .get(1)
            .is_some_and(|second| now.duration_since(second.at) >= WINDOW)
        {
            samples.pop_front();
        }
        samples.push_back(Sample {
            at: now,
            ended: ended.into_iter().collect(),
        });
    }

    /// Items of a queue that end in a minute, by those that ended in the last one; by the time since the first sample
    /// where that is shorter. Nothing before there is a sample that is at least a second old.
    #[must_use]
    pub fn per_minute(&self, queue: &QueueName, ended: u64, now: Instant) -> Option<f64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = samples.front()?;
        let passed = now.duration_since(first.at);
        if passed < LEAST {
            return None;
        }
        let before = first.ended.get(queue).copied().unwrap_or(0);
        let ended = u32::try_from(ended.saturating_sub(before)).unwrap_or(u32::MAX);
        Some(f64::from(ended) * WINDOW.as_secs_f64() / passed.as_secs_f64())
    }
}

const WINDOW: Duration = Duration::from_mins(1);
const LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_of_the_last_minute_and_of_less_at_the_start() {
        let (throughput, queue) = (Throughput::default(), QueueName::default_queue());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let rate = |ended, seconds| {
            let rate = throughput.per_minute(&queue, 1000 + ended, at(seconds));
            rate.map(|rate| format!("{rate:.0}"))
        };
        assert_eq!(rate(0, 0), None);

        // One item ends each second for two minutes, then none.
        let mut rates = Vec::new();
        for seconds in (0..=240).step_by(5) {
            let ended = seconds.min(120);
            throughput.sample(at(seconds), [(queue.clone(), 1000 + ended)]);
            if [0, 30, 120, 150, 240].contains(&seconds) {
                rates.push(rate(ended, seconds).unwrap_or_default());
            }
        }

        assert_eq!(rates, ["", "60", "60", "30", "0"]);
        assert!(throughput.0.lock().unwrap().len() <= 14);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_was_not_there_began_at_nothing() {
        let throughput = Throughput::default();
        let now = Instant::now();
        throughput.sample(now, []);
        let rate = throughput.per_minute(&QueueName::media(), 3, now + Duration::from_secs(30));
        assert_eq!(rate.map(|rate| format!("{rate:.0}")).as_deref(), Some("6"));
    }
}
