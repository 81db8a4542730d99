//! Following a job: what happened to it from the store, then what happens, as server-sent events.
//!
//! A reader that comes back names the last event it saw, and misses nothing. Nothing is kept for one that is slow: each
//! page is read when the one before was taken.

mod frame;
mod seats;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use self::seats::{Seat, Seats};
use super::Viewer;
use super::error::JobError;
use super::hub::{Hub, Watch};
use crate::model::id::{JobId, OwnerId};
use crate::model::job::event::JobEvent;
use crate::store::error::StoreError;
use crate::store::jobs::{self, event};
use crate::store::{Rows, Store};
use crate::telemetry::metrics::{self, JobEventStream};

/// Lets owners follow their jobs, and the operator everybody's.
pub struct Followers {
    store: Store,
    hub: Hub,
    seats: Arc<Seats>,
}

/// What came of asking to follow a job.
pub enum Followed<A> {
    /// Its events.
    Events(Box<Follower<A>>),
    /// It has ended, and its last event was seen: there is no reason to come back.
    Over,
}

/// One reader of a job's events. Dropping it gives its seat back.
pub struct Follower<A> {
    store: Store,
    id: JobId,
    /// The last event that was given out.
    seen: u64,
    watch: Watch,
    ending: CancellationToken,
    still_allowed: A,
    heartbeat: Interval,
    next: Next,
    _seat: Seat,
    _open: JobEventStream,
}

/// What a follower does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There may be more in the store.
    Read,
    /// Everything was read.
    Wait,
    /// It has said its last.
    End,
}

/// What a turn of the loop brought.
enum Turn {
    /// The process ends.
    Ending,
    /// It is time for a sign of life.
    Heartbeat,
    /// Something of the job changed.
    Changed,
    /// This was in the store.
    Page(Result<Page, StoreError>),
}

/// Some of a job's events.
struct Page {
    events: Vec<(u64, JobEvent)>,
    /// What follows them, as far as is known.
    next: Next,
}

impl Followers {
    /// Over a store, told by a hub.
    #[must_use]
    pub fn new(store: Store, hub: Hub) -> Self {
        Self {
            store,
            hub,
            seats: Arc::default(),
        }
    }

    /// Follows a job behind its event number `seen`; 0 for all of them. The stream takes one of the seats of `reader`.
    ///
    /// It ends with the job's last event, when `ending` fires, and when `still_allowed`, which is asked every 15 seconds,
    /// says no.
    ///
    /// # Errors
    /// [`JobError::NotFound`] for a job that the viewer does not see, [`JobError::Invalid`] for an event that did not happen yet,
    /// [`JobError::TooManyStreams`].
    pub async fn follow<A: Fn() -> bool>(
        &self,
        viewer: Viewer,
        reader: OwnerId,
        id: JobId,
        seen: u64,
        ending: CancellationToken,
        still_allowed: A,
    ) -> Result<Followed<A>, JobError> {
        let job = self.store.read_aside(move |rows| jobs::get(rows, id)).await?;
        let job = job.filter(|job| viewer.sees(job)).ok_or(JobError::NotFound)?;
        if seen > job.last_event {
            return Err(JobError::Invalid {
                field: "Last-Event-ID".to_owned(),
                message: format!("event {seen} did not happen yet: the last one is {}", job.last_event),
            });
        }
        if job.state.is_finished() && seen == job.last_event {
            return Ok(Followed::Over);
        }
        let seat = Seat::take(&self.seats, reader).ok_or(JobError::TooManyStreams(seats::MOST))?;
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Followed::Events(Box::new(Follower {
            store: self.store.clone(),
            id,
            seen,
            // Before the first read, so that nothing falls between them.
            watch: self.hub.watch(id),
            ending,
            still_allowed,
            heartbeat,
            next: Next::Read,
            _seat: seat,
            _open: metrics::job_event_stream(),
        })))
    }
}

impl<A: Fn() -> bool> Follower<A> {
    /// The next bytes for the reader: whole frames, or nothing more.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.turn().await? {
                Turn::Ending => {
                    self.next = Next::End;
                    return Some(frame::comment("the process ends: come back"));
                }
                Turn::Heartbeat if (self.still_allowed)() => return Some(frame::comment("heartbeat")),
                Turn::Heartbeat => {
                    self.next = Next::End;
                    return Some(frame::error(
                        "AUTH_FAILED",
                        "the key that opened this stream may no longer read it",
                    ));
                }
                Turn::Changed => self.next = Next::Read,
                Turn::Page(Ok(Page { events, next })) => {
                    self.next = next;
                    if let Some((last, _)) = events.last() {
                        self.seen = *last;
                        return Some(frame::events(self.id, &events));
                    }
                }
                Turn::Page(Err(error)) => {
                    tracing::error!(error = %error, job = %self.id, "the events of a job cannot be read");
                    self.next = Next::End;
                    return Some(frame::error(
                        "INTERNAL_ERROR",
                        "the events cannot be read: come back later",
                    ));
                }
            }
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Bytes> {
        stream::unfold(self, async |mut follower| {
            let bytes = follower.next().await?;
            Some((bytes, follower))
        })
    }

    /// Waits for whatever is to be done, the most urgent first. Nothing once it has ended.
    async fn turn(&mut self) -> Option<Turn> {
        let (store, watch, id, seen, next) = (&self.store, &mut self.watch, self.id, self.seen, self.next);
        let more = async {
            match next {
                Next::Read => Turn::Page(store.read_aside(move |rows| page(rows, id, seen)).await),
                Next::Wait | Next::End => {
                    watch.changed().await;
                    Turn::Changed
                }
            }
        };
        if next == Next::End {
            return None;
        }
        Some(tokio::select! {
            biased;
            () = self.ending.cancelled() => Turn::Ending,
            _ = self.heartbeat.tick() => Turn::Heartbeat,
            turn = more => turn,
        })
    }
}

/// One page, and the job as it stood then: both of one picture of the store.
fn page(rows: &mut impl Rows, id: JobId, seen: u64) -> Result<Page, StoreError> {
    let events = event::after(rows, id, seen, PAGE)?;
    let last = events.last().map_or(seen, |(seq, _)| *seq);
    let next = match jobs::get(rows, id)? {
        Some(job) if last < job.last_event => Next::Read,
        Some(job) if !job.state.is_finished() => Next::Wait,
        // What has ended, or was forgotten, tells no more.
        Some(_) | None => Next::End,
    };
    Ok(Page { events, next })
}

/// Events read in one go.
const PAGE: usize = 256;

/// How long a reader hears nothing: shorter than proxies wait.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
