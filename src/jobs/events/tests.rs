use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{FutureExt, StreamExt};
use tokio_util::task::TaskTracker;

use super::super::fixture::{self, JOB, OWNER, bring, submit};
use super::*;
use crate::model::job::ItemState;
use crate::model::job::event::Happening;

/// A store with a job, and whoever follows it.
struct Bench {
    store: Store,
    hub: Hub,
    followers: Followers,
    ending: CancellationToken,
    allowed: Arc<AtomicBool>,
}

impl Bench {
    async fn with_items(items: u32) -> Self {
        let (store, hub) = (fixture::store(), Hub::default());
        submit(&store, JOB, items).await;
        Self {
            followers: Followers::new(store.clone(), hub.clone()),
            store,
            hub,
            ending: CancellationToken::new(),
            allowed: Arc::new(AtomicBool::new(true)),
        }
    }

    async fn ask(&self, owner: OwnerId, seen: u64) -> Result<Followed<impl Fn() -> bool + Send + use<>>, JobError> {
        let allowed = Arc::clone(&self.allowed);
        let still_allowed = move || allowed.load(Ordering::Relaxed);
        let ending = self.ending.clone();
        self.followers
            .follow(Viewer::Owner(owner), owner, JOB, seen, ending, still_allowed)
            .await
    }

    async fn follow(&self, seen: u64) -> Follower<impl Fn() -> bool + Send + use<>> {
        match self.ask(OWNER, seen).await {
            Ok(Followed::Events(follower)) => *follower,
            _ => panic!("the job cannot be followed behind {seen}"),
        }
    }

    /// Brings an item into a state, and tells of it.
    async fn bring(&self, index: u32, state: ItemState) {
        bring(&self.store, JOB, index, state).await;
        self.hub.touch(JOB);
    }
}

/// The numbers and types of the events that are given next, whatever comes between them.
async fn next<A: Fn() -> bool>(follower: &mut Follower<A>) -> Vec<(u64, String)> {
    loop {
        let bytes = follower.next().await.expect("a frame");
        if !bytes.starts_with(b":") {
            return events_of(&bytes);
        }
    }
}

fn events_of(bytes: &[u8]) -> Vec<(u64, String)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let frames = text.split_terminator("\n\n");
    let event = |frame: &str| {
        let mut lines = frame.lines();
        let seq = lines.next()?.strip_prefix("id: ")?.parse().ok()?;
        Some((seq, lines.next()?.strip_prefix("event: ")?.to_owned()))
    };
    frames.filter_map(event).collect()
}

fn named(events: &[(u64, &str)]) -> Vec<(u64, String)> {
    events.iter().map(|(seq, name)| (*seq, (*name).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_happened_is_replayed_and_what_happens_is_told_until_the_job_ends() {
    let bench = Bench::with_items(1).await;
    let mut follower = bench.follow(0).await;
    assert_eq!(next(&mut follower).await, named(&[(1, "job.queued")]));
    bench.bring(0, ItemState::Running).await;
    assert_eq!(
        next(&mut follower).await,
        named(&[(2, "item.running"), (3, "job.running")])
    );
    bench.bring(0, ItemState::Succeeded).await;
    assert_eq!(
        next(&mut follower).await,
        named(&[(4, "item.succeeded"), (5, "job.succeeded")])
    );
    assert_eq!(follower.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let bench = Bench::with_items(1).await;
    bench.bring(0, ItemState::Running).await;
    bench.bring(0, ItemState::Failed).await;
    let mut follower = bench.follow(3).await;
    assert_eq!(
        next(&mut follower).await,
        named(&[(4, "item.failed"), (5, "job.failed")])
    );
    assert_eq!(follower.next().await, None);
    assert!(matches!(bench.ask(OWNER, 5).await, Ok(Followed::Over)));
}

#[tokio::test(start_paused = true)]
async fn a_change_between_the_replay_and_the_wait_is_told() {
    let bench = Bench::with_items(1).await;
    let mut follower = bench.follow(0).await;
    bench.bring(0, ItemState::Running).await;
    let told = next(&mut follower).await;
    assert_eq!(told.last(), Some(&(3, "job.running".to_owned())));
    assert_eq!(follower.next().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn a_long_past_is_read_page_by_page() {
    let bench = Bench::with_items(300).await;
    fixture::edit(&bench.store, JOB, |tables, edit| {
        (0..300).try_for_each(|index| tables.tell_of_job(edit, Happening::Slow { index }))
    })
    .await;
    let mut follower = bench.follow(0).await;
    assert_eq!(next(&mut follower).await.len(), 256);
    let rest = next(&mut follower).await;
    assert_eq!(rest.first().map(|(seq, _)| *seq), Some(257));
    assert_eq!(rest.len(), 45);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_shows_that_it_lives_every_fifteen_seconds() {
    let bench = Bench::with_items(1).await;
    let mut follower = bench.follow(1).await;
    let begun = Instant::now();
    for beat in 1..=3 {
        assert_eq!(follower.next().await.as_deref(), Some(&b": heartbeat\n\n"[..]));
        assert_eq!(begun.elapsed().as_secs(), 15 * beat);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_lost_its_right_is_told_so_at_the_next_heartbeat_and_hears_no_more() {
    let bench = Bench::with_items(1).await;
    let mut follower = bench.follow(1).await;
    bench.allowed.store(false, Ordering::Relaxed);
    let bytes = follower.next().await.unwrap();
    assert!(bytes.starts_with(b"event: error\ndata: {\"error\":{\"code\":\"AUTH_FAILED\""));
    assert_eq!(follower.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn streams_end_at_once_when_the_process_does() {
    let bench = Bench::with_items(1).await;
    let stream = bench.follow(0).await.into_stream();
    let reader = TaskTracker::new().spawn(stream.collect::<Vec<_>>());
    let begun = Instant::now();
    bench.ending.cancel();
    let frames = reader.await.unwrap();
    assert!(frames.last().unwrap().starts_with(b": the process ends"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_somebody_elses_and_an_event_of_the_future_are_refused() {
    let bench = Bench::with_items(1).await;
    let stranger = OwnerId::from_bits(8);
    assert!(matches!(bench.ask(stranger, 0).await, Err(JobError::NotFound)));
    assert!(matches!(
        bench.ask(OWNER, 2).await,
        Err(JobError::Invalid { field, .. }) if field == "Last-Event-ID"
    ));
}

#[tokio::test(start_paused = true)]
async fn an_owner_follows_eight_streams_and_a_dropped_one_makes_room() {
    let bench = Bench::with_items(1).await;
    let mut followers = Vec::new();
    for _ in 0..8 {
        followers.push(bench.follow(0).await);
    }
    assert!(matches!(bench.ask(OWNER, 0).await, Err(JobError::TooManyStreams(8))));
    drop(followers.pop());
    assert!(bench.ask(OWNER, 0).await.is_ok());
}
