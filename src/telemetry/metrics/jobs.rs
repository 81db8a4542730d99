//! The metrics of jobs.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::bytes;
use crate::model::job::QueueName;
use crate::model::job::queue::{QueueRow, Standing};

/// Items of jobs, by where they stand; those that ended, while their job is kept. Labels: `queue`, `state`.
pub const JOBS: &str = "tollgate_jobs";
/// Since when the item waits that has waited longest of those that may be taken. Seconds. Label: `queue`.
pub const JOB_QUEUE_OLDEST: &str = "tollgate_job_queue_oldest_seconds";
/// Items that came to wait: new ones and those that were put back. Label: `queue`.
pub const JOB_ENQUEUED: &str = "tollgate_job_enqueued_total";
/// Items that left the wait. Those that wait are the difference. Label: `queue`.
pub const JOB_TAKEN: &str = "tollgate_job_taken_total";
/// Items that ended, however they did. Label: `queue`.
pub const JOB_ENDED: &str = "tollgate_job_ended_total";
/// From the moment a job was accepted to its end. Seconds. Label: `queue`.
pub const JOB_DURATION: &str = "tollgate_job_duration_seconds";
/// Attempts at items. Labels: `queue`, `outcome`.
pub const JOB_ATTEMPTS: &str = "tollgate_job_attempts_total";
/// Questions about tasks that items submitted. Label: `outcome`.
pub const JOB_POLLS: &str = "tollgate_job_polls_total";
/// Leases that ended without word from their worker.
pub const JOB_LEASES_LOST: &str = "tollgate_job_leases_lost_total";
/// Streams of events that clients follow.
pub const JOB_EVENT_STREAMS: &str = "tollgate_job_event_streams";

/// What came of one attempt at an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobAttempt {
    /// It succeeded.
    Succeeded,
    /// It was rejected for good.
    Failed,
    /// Nobody can know what came of it.
    Unknown,
    /// It was refused, and is tried again.
    Retried,
    /// Our own gates had no room; it counts as no attempt.
    Bounced,
    /// It was refused, and was the last one.
    Dead,
    /// It created a task, which is polled from then on.
    Polling,
}

impl JobAttempt {
    const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Retried,
        Self::Bounced,
        Self::Dead,
        Self::Polling,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Retried => "retried",
            Self::Bounced => "bounced",
            Self::Dead => "dead",
            Self::Polling => "polling",
        }
    }
}

/// What came of one question about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobPoll {
    /// It still runs.
    Pending,
    /// It is done.
    Done,
    /// It failed, or is not there any more.
    Failed,
    /// No usable answer came; it is asked again.
    Unanswered,
}

impl JobPoll {
    const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Failed, Self::Unanswered];

    const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Describes them, and sets those to 0 that have no queue.
pub(super) fn describe() {
    describe_gauge!(JOBS, "Items of jobs, by where they stand");
    describe_gauge!(
        JOB_QUEUE_OLDEST,
        Unit::Seconds,
        "How long the item has waited that has waited longest of those that may be taken"
    );
    describe_counter!(
        JOB_ENQUEUED,
        "Items that came to wait: new ones and those that were put back"
    );
    describe_counter!(JOB_TAKEN, "Items that left the wait");
    describe_counter!(JOB_ENDED, "Items that ended, however they did");
    describe_histogram!(
        JOB_DURATION,
        Unit::Seconds,
        "From the moment a job was accepted to its end"
    );
    describe_counter!(JOB_ATTEMPTS, "What came of attempts at items");
    describe_counter!(JOB_POLLS, "What came of questions about tasks that items submitted");
    describe_counter!(JOB_LEASES_LOST, "Leases that ended without word from their worker");
    describe_gauge!(JOB_EVENT_STREAMS, "Streams of events that clients follow");
    for outcome in JobPoll::ALL {
        counter!(JOB_POLLS, "outcome" => outcome.label()).absolute(0);
    }
    counter!(JOB_LEASES_LOST).absolute(0);
    gauge!(JOB_EVENT_STREAMS).set(0.0);
}

/// How a queue stands, at a scrape. Its other series are there from the first one on.
pub fn job_queue(queue: &QueueName, row: &QueueRow, oldest: Option<Duration>) {
    for standing in Standing::ALL {
        gauge!(JOBS, "queue" => queue.to_string(), "state" => standing.label()).set(bytes(row.of(standing)));
    }
    gauge!(JOB_QUEUE_OLDEST, "queue" => queue.to_string()).set(oldest.unwrap_or_default().as_secs_f64());
    counter!(JOB_ENQUEUED, "queue" => queue.to_string()).absolute(row.enqueued);
    counter!(JOB_TAKEN, "queue" => queue.to_string()).absolute(row.taken);
    counter!(JOB_ENDED, "queue" => queue.to_string()).absolute(row.ended);
    // To ask for a series is what makes it.
    drop(histogram!(JOB_DURATION, "queue" => queue.to_string()));
    for outcome in JobAttempt::ALL {
        counter!(JOB_ATTEMPTS, "queue" => queue.to_string(), "outcome" => outcome.label()).absolute(0);
    }
}

/// A job ended, so long after it was accepted.
pub fn job_ended(queue: &QueueName, took: Duration) {
    histogram!(JOB_DURATION, "queue" => queue.to_string()).record(took.as_secs_f64());
}

/// An attempt at an item ended.
pub fn job_attempt(queue: &QueueName, outcome: JobAttempt) {
    counter!(JOB_ATTEMPTS, "queue" => queue.to_string(), "outcome" => outcome.label()).increment(1);
}

/// A task was asked about.
pub fn job_poll(outcome: JobPoll) {
    counter!(JOB_POLLS, "outcome" => outcome.label()).increment(1);
}

/// A lease ended without word from its worker.
pub fn lease_lost() {
    counter!(JOB_LEASES_LOST).increment(1);
}

/// One more client that follows a job's events, until the guard is dropped.
#[must_use]
pub fn job_event_stream() -> JobEventStream {
    gauge!(JOB_EVENT_STREAMS).increment(1.0);
    JobEventStream(())
}

/// A client that follows a job's events.
#[derive(Debug)]
pub struct JobEventStream(());

impl Drop for JobEventStream {
    fn drop(&mut self) {
        gauge!(JOB_EVENT_STREAMS).decrement(1.0);
    }
}

/// From a call that is answered at once to a night of waiting.
pub(super) const JOB_SECONDS: &[f64] = &[
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0,
];

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn a_queue_has_every_series_from_its_first_scrape_on_and_its_backlog_is_their_difference() {
        let recorder = PrometheusBuilder::new()
            .set_buckets(JOB_SECONDS)
            .unwrap()
            .build_recorder();
        let handle = recorder.handle();
        let mut row = QueueRow::default();
        row.moved(None, Some(Standing::Ready), 5);
        row.moved(Some(Standing::Ready), Some(Standing::Running), 2);

        metrics::with_local_recorder(&recorder, || {
            job_queue(&"reports".parse().unwrap(), &row, Some(Duration::from_millis(1500)));
        });

        let text = handle.render();
        for line in [
            r#"tollgate_jobs{queue="reports",state="ready"} 3"#,
            r#"tollgate_jobs{queue="reports",state="dead"} 0"#,
            r#"tollgate_job_enqueued_total{queue="reports"} 5"#,
            r#"tollgate_job_taken_total{queue="reports"} 2"#,
            r#"tollgate_job_queue_oldest_seconds{queue="reports"} 1.5"#,
            r#"tollgate_job_duration_seconds_count{queue="reports"} 0"#,
            r#"tollgate_job_attempts_total{queue="reports",outcome="bounced"} 0"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
