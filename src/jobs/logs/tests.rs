use tokio_util::task::TaskTracker;

use super::super::fixture::{self, JOB, NOW, OWNER, read, submit};
use super::*;
use crate::model::id::OwnerId;
use crate::model::job::log::{LogHead, LogLevel, LogText};

const OWN: Viewer = Viewer::Owner(OWNER);

/// A store with a job, and what writes its lines.
struct Bench {
    store: Store,
    logs: Arc<LogBuffer>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Bench {
    /// One that nothing writes yet.
    async fn idle() -> Self {
        let store = fixture::store();
        submit(&store, JOB, 1).await;
        Self {
            logs: Arc::new(LogBuffer::new(store.clone(), fixture::vault(&store))),
            store,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    async fn new() -> Self {
        let bench = Self::idle().await;
        bench.run();
        bench
    }

    fn run(&self) {
        self.tasks.spawn(Arc::clone(&self.logs).run(self.stop.clone()));
    }

    async fn end(self) -> Store {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store
    }

    async fn log(&self, lines: Vec<LogLine>) -> Result<usize, JobError> {
        self.logs.accept(OWN, JOB, lines).await
    }

    /// Waits until so many lines are written.
    async fn writes(&self, number: u64) {
        let mut left = self.logs.left.subscribe();
        left.wait_for(|left| *left == number).await.unwrap();
    }

    async fn find(&self, wanted: Wanted, offset: u64, limit: usize) -> Lines {
        self.logs.search(OWN, JOB, wanted, offset, limit).await.unwrap()
    }
}

fn line(level: LogLevel, category: &str, message: &str) -> LogLine {
    LogLine {
        head: LogHead {
            at: NOW,
            level,
            category: category.to_owned(),
            duration_ms: Some(5),
        },
        text: LogText {
            message: message.to_owned(),
            details: Some(r#"{"canary":1}"#.to_owned()),
            ..LogText::default()
        },
    }
}

fn lines(count: usize) -> Vec<LogLine> {
    let line = |number: usize| line(LogLevel::Info, "agent", &number.to_string());
    (1..=count).map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_line_is_in_the_store_within_two_seconds_with_no_further_traffic() {
    let bench = Bench::new().await;
    let begun = Instant::now();
    assert_eq!(bench.log(lines(1)).await.unwrap(), 1);
    sleep(Duration::from_millis(1499)).await;
    assert_eq!(read(&bench.store, JOB).last_log, 0);
    bench.writes(1).await;
    assert_eq!(begun.elapsed(), LONGEST);
    assert_eq!(read(&bench.store, JOB).last_log, 1);
}

#[tokio::test(start_paused = true)]
async fn fifty_lines_wait_for_no_timer() {
    let bench = Bench::new().await;
    bench.log(lines(49)).await.unwrap();
    bench.log(lines(1)).await.unwrap();
    let begun = Instant::now();
    bench.writes(50).await;
    assert!(begun.elapsed() < LONGEST);
    assert_eq!(read(&bench.store, JOB).last_log, 50);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_written_when_the_process_ends() {
    let bench = Bench::new().await;
    bench.log(lines(3)).await.unwrap();
    let logs = Arc::clone(&bench.logs);
    let store = bench.end().await;
    assert_eq!(read(&store, JOB).last_log, 3);
    assert!(matches!(logs.accept(OWN, JOB, lines(1)).await, Err(JobError::Closing)));
}

#[tokio::test]
async fn who_reads_sees_what_was_accepted_before() {
    let bench = Bench::new().await;
    bench.log(lines(2)).await.unwrap();
    let found = bench.find(Wanted::default(), 0, 10).await;
    let messages: Vec<_> = found
        .items
        .iter()
        .map(|(n, line)| (*n, line.text.message.as_str()))
        .collect();
    assert_eq!(messages, [(1, "1"), (2, "2")]);
    assert_eq!(found.total, 2);
}

#[tokio::test]
async fn lines_are_found_by_level_and_category_page_by_page() {
    let bench = Bench::new().await;
    let some = [
        line(LogLevel::Error, "tool", "a"),
        line(LogLevel::Info, "tool", "b"),
        line(LogLevel::Error, "api", "c"),
        line(LogLevel::Error, "tool", "d"),
        line(LogLevel::Error, "tool", "e"),
    ];
    bench.log(some.to_vec()).await.unwrap();
    bench.writes(5).await;
    let errors = || Wanted {
        level: Some(LogLevel::Error),
        category: Some("tool".to_owned()),
    };
    let found = bench.find(errors(), 1, 1).await;
    assert_eq!((found.items, found.total), (vec![(4, some[3].clone())], 3));
    let found = bench.find(Wanted::default(), 3, 9).await;
    let numbers: Vec<_> = found.items.iter().map(|(number, _)| *number).collect();
    assert_eq!((numbers, found.total), (vec![4, 5], 5));

    let summary = bench.logs.summary(OWN, JOB).await.unwrap();
    assert_eq!(summary.levels, [0, 1, 0, 4, 0]);
    assert_eq!(summary.categories["tool"], 4);
    assert_eq!((summary.total, summary.duration_ms), (5, 25));
    assert_eq!((summary.first_at, summary.last_at), (Some(NOW), Some(NOW)));
}

#[tokio::test]
async fn many_lines_leave_in_commits_of_a_thousand_in_their_order() {
    let bench = Bench::idle().await;
    for _ in 0..5 {
        bench.log(lines(500)).await.unwrap();
    }
    bench.run();
    let store = bench.end().await;
    assert_eq!(read(&store, JOB).last_log, 2500);
    let found = store.read(|rows| log::search(rows, JOB, &Wanted::default(), 2400, 200));
    assert_eq!(found.unwrap().lines.len(), 100);
}

#[tokio::test]
async fn too_many_that_wait_are_refused_and_none_of_them_is_taken() {
    let bench = Bench::idle().await;
    for _ in 0..10 {
        bench.log(lines(1000)).await.unwrap();
    }
    assert!(matches!(bench.log(lines(1)).await, Err(JobError::LogsBusy)));
    bench.run();
    bench.writes(10_000).await;
    assert_eq!(bench.find(Wanted::default(), 0, 1).await.total, 10_000);
    assert_eq!(bench.log(lines(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_job_keeps_no_more_lines_than_it_may_have() {
    let bench = Bench::new().await;
    fixture::edit(&bench.store, JOB, |_, edit| {
        edit.job.last_log = MOST_LINES - 1;
        Ok(())
    })
    .await;
    assert!(matches!(bench.log(lines(2)).await, Err(JobError::Invalid { .. })));
    assert_eq!(bench.log(lines(1)).await.unwrap(), 1);
    assert!(matches!(bench.log(lines(1)).await, Err(JobError::Invalid { .. })));
}

#[tokio::test]
async fn nobody_logs_to_or_reads_a_job_of_somebody_elses() {
    let bench = Bench::new().await;
    let stranger = Viewer::Owner(OwnerId::from_bits(8));
    let (logs, no_job) = (&bench.logs, JobId::from_bits(9));
    assert!(matches!(
        logs.accept(stranger, JOB, lines(1)).await,
        Err(JobError::NotFound)
    ));
    assert!(matches!(
        logs.accept(OWN, no_job, lines(1)).await,
        Err(JobError::NotFound)
    ));
    let found = logs.search(stranger, JOB, Wanted::default(), 0, 1).await;
    assert!(matches!(found, Err(JobError::NotFound)));
    assert!(matches!(logs.summary(stranger, JOB).await, Err(JobError::NotFound)));
}
