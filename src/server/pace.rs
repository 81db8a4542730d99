//! The pace of one connection: what it waits for, since when, and whether that has lasted too long.
//!
//! hyper's own head timer also runs between requests and does not run before the first byte, so it cannot tell a slow
//! head from an idle connection. This one can, and costs one timer for a connection, not one for a request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Limits;

/// Watches one connection. Shared by its socket, its requests and its timer.
pub(super) struct Pace {
    state: Mutex<State>,
    limits: Limits,
}

/// Whether a connection may begin new requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Requests come and go.
    Serving,
    /// hyper was told to shut the connection down gracefully.
    Closing,
}

/// What to do with a connection now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing; ask again at this moment.
    Wait(Instant),
    /// Idle for too long: shut it down gracefully.
    Retire,
    /// The peer is too slow or gone: drop the connection.
    Cut,
}

struct State {
    in_flight: usize,
    awaited: Awaited,
    /// Since when `awaited` is awaited; in [`Awaited::Request`] moved on by every byte we send.
    since: Instant,
    /// Since when the peer has taken none of our bytes.
    blocked: Option<Instant>,
    framing: Framing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The next request; not a byte of it has come.
    Request,
    /// The rest of a head.
    Head,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// HTTP/1, or not yet known: a byte between requests begins a head.
    Serial,
    /// HTTP/2: bytes between requests may be pings and window updates, so they begin nothing.
    Multiplexed,
}

impl Pace {
    /// A connection just accepted.
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let state = State {
            in_flight: 0,
            awaited: Awaited::Head,
            since: Instant::now(),
            blocked: None,
            framing: Framing::Serial,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            limits,
        })
    }

    /// A request's head is complete; it is in hand until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: http::Version) -> InFlight {
        let mut state = self.lock();
        state.in_flight += 1;
        if version == http::Version::HTTP_2 {
            state.framing = Framing::Multiplexed;
        }
        drop(state);
        InFlight(Arc::clone(self))
    }

    /// Restarts the wait of a connection that hyper was told to close, so that its last bytes can leave.
    pub(super) fn close(&self) {
        self.lock().since = Instant::now();
    }

    /// What to do with the connection at `now`.
    pub(super) fn verdict(&self, phase: Phase, now: Instant) -> Verdict {
        let state = self.lock();
        if state.blocked.is_some_and(|since| since + self.limits.stall <= now) {
            return Verdict::Cut;
        }
        let (length, end) = match (phase, state.awaited) {
            // The tail of an answer that the peer takes slowly is still an answer in hand.
            _ if state.in_flight > 0 || state.blocked.is_some() => return Verdict::Wait(now + self.tick()),
            (Phase::Closing, _) => (CLOSING, Verdict::Cut),
            (Phase::Serving, Awaited::Head) => (self.limits.header_timeout, Verdict::Cut),
            (Phase::Serving, Awaited::Request) => (self.limits.idle, Verdict::Retire),
        };
        let deadline = state.since + length;
        if deadline <= now {
            end
        } else {
            Verdict::Wait(deadline.min(now + self.tick()))
        }
    }

    /// The longest pause between two verdicts that misses no deadline: none is nearer than this when its wait begins.
    pub(super) fn tick(&self) -> Duration {
        let Limits {
            header_timeout,
            idle,
            stall,
            ..
        } = self.limits;
        // A limit of zero must not become a busy loop.
        header_timeout.min(idle).min(stall).max(Duration::from_millis(1))
    }

    fn received(&self) {
        let mut state = self.lock();
        if state.in_flight == 0 && state.awaited == Awaited::Request && state.framing == Framing::Serial {
            state.awaited = Awaited::Head;
            state.since = Instant::now();
        }
    }

    fn sent(&self) {
        let mut state = self.lock();
        state.blocked = None;
        if state.in_flight == 0 && state.awaited == Awaited::Request {
            state.since = Instant::now();
        }
    }

    fn blocked(&self) {
        self.lock().blocked.get_or_insert_with(Instant::now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements, so a panic elsewhere cannot have torn it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request in hand, from its head to the last byte of its answer given to hyper.
pub(super) struct InFlight(Arc<Pace>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.awaited = Awaited::Request;
        state.since = Instant::now();
    }
}

/// A socket that tells the connection's [`Pace`] of every byte.
pub(super) struct Paced<Io> {
    io: Io,
    pace: Arc<Pace>,
}

impl<Io> Paced<Io> {
    pub(super) fn new(io: Io, pace: Arc<Pace>) -> Self {
        Self { io, pace }
    }

    fn note_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(_)) => self.pace.sent(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.pace.blocked(),
        }
        written
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Paced<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.pace.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Paced<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// How long a closing connection without a request may take to send its last bytes.
const CLOSING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use http::Version;
    use tokio::time::advance;

    use super::*;

    fn pace() -> Arc<Pace> {
        Pace::new(Limits {
            header_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(30),
            ..Limits::default()
        })
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_sends_a_request_is_cut_after_the_header_timeout() {
        let pace = pace();

        assert_eq!(
            pace.verdict(Phase::Serving, Instant::now()),
            Verdict::Wait(Instant::now() + seconds(10))
        );
        advance(seconds(10)).await;
        assert_eq!(pace.verdict(Phase::Serving, Instant::now()), Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn further_bytes_of_a_head_give_it_no_more_time() {
        let pace = pace();
        advance(seconds(9)).await;
        pace.received();
        advance(seconds(1)).await;

        assert_eq!(pace.verdict(Phase::Serving, Instant::now()), Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_request_may_take_as_long_as_it_likes() {
        let pace = pace();
        let _request = pace.begin(Version::HTTP_11);
        advance(seconds(3600)).await;

        assert!(matches!(pace.verdict(Phase::Serving, Instant::now()), Verdict::Wait(_)));
        assert!(matches!(pace.verdict(Phase::Closing, Instant::now()), Verdict::Wait(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_retired_but_a_slow_second_head_is_cut() {
        let idle = pace();
        drop(idle.begin(Version::HTTP_11));
        let slow = pace();
        drop(slow.begin(Version::HTTP_11));
        slow.received();

        advance(seconds(10)).await;
        assert_eq!(slow.verdict(Phase::Serving, Instant::now()), Verdict::Cut);
        assert!(matches!(idle.verdict(Phase::Serving, Instant::now()), Verdict::Wait(_)));
        advance(seconds(65)).await;
        assert_eq!(idle.verdict(Phase::Serving, Instant::now()), Verdict::Retire);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_on_an_idle_http_2_connection_begin_no_head() {
        let pace = pace();
        drop(pace.begin(Version::HTTP_2));
        pace.received();
        advance(seconds(60)).await;

        assert!(matches!(pace.verdict(Phase::Serving, Instant::now()), Verdict::Wait(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_no_bytes_is_cut_even_while_its_request_runs() {
        let pace = pace();
        let _request = pace.begin(Version::HTTP_11);
        pace.blocked();
        advance(seconds(29)).await;
        pace.sent();
        pace.blocked();
        advance(seconds(29)).await;
        assert!(matches!(pace.verdict(Phase::Serving, Instant::now()), Verdict::Wait(_)));

        advance(seconds(1)).await;
        assert_eq!(pace.verdict(Phase::Serving, Instant::now()), Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_connection_without_a_request_gets_a_second_for_its_last_bytes() {
        let pace = pace();
        drop(pace.begin(Version::HTTP_2));
        advance(seconds(40)).await;
        pace.close();

        assert_eq!(
            pace.verdict(Phase::Closing, Instant::now()),
            Verdict::Wait(Instant::now() + seconds(1))
        );
        advance(seconds(1)).await;
        assert_eq!(pace.verdict(Phase::Closing, Instant::now()), Verdict::Cut);
    }
}
