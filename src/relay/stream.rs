//! A stream on its way to the client: every byte passes when it comes, and the call is settled when it ends.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::Relay;
use super::seat::PermitSeat;
use crate::admission::quota::Charge;
use crate::dispatch::pool::rotation;
use crate::dispatch::{Begun, Journey};
use crate::model::call::Call;
use crate::model::outcome::{Outcome, Reason};
use crate::record::{Ending, Pending};
use crate::telemetry::metrics::{self, OpenStream};
use crate::upstream::Symptom;
use crate::upstream::error::{Fault, Phase, UpstreamError};
use crate::upstream::openai::estimate;
use crate::upstream::openai::stream::{self, Stream};
use crate::upstream::transport::Arriving;

/// A stream of server-sent events, as the body of an answer.
///
/// It asks the upstream for more only when its client has taken what came, so a client that never reads holds no more
/// than one chunk. Dropping it, as when the client hangs up, closes the connection to the upstream and settles the call
/// with what had passed.
pub struct Streamed {
    /// The upstream's status.
    pub status: StatusCode,
    /// The headers that may pass.
    pub headers: HeaderMap,
    body: Option<Arriving>,
    reader: Stream,
    /// What waits to be given: at most what one chunk of the upstream became.
    ready: VecDeque<Bytes>,
    timer: Pin<Box<Sleep>>,
    last: Instant,
    /// When something was last given to the client, by the upstream or by us.
    given: Instant,
    patience: Duration,
    account: Option<Account>,
}

/// What a call holds until its stream ends.
pub(super) struct Holds {
    pub(super) relay: Arc<Relay>,
    pub(super) pending: Pending<PermitSeat>,
    pub(super) journey: Journey,
    pub(super) charge: Charge,
}

/// What is settled when the stream ends.
struct Account {
    holds: Holds,
    /// The model's label in metrics.
    model: Option<String>,
    /// What was asked, as an estimate: the body itself is not kept for as long as its stream lasts.
    input: u64,
    upstream_request: Option<String>,
    /// Bytes of it that came.
    bytes: u64,
    _open: OpenStream,
}

/// How a stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The upstream closed it.
    Closed,
    /// The upstream, or the way to it, failed.
    Broke(Fault),
    /// Its client hung up.
    HungUp,
}

impl Streamed {
    pub(super) fn new(holds: Holds, call: &Call, begun: Begun) -> Self {
        let now = Instant::now();
        let Begun {
            status,
            headers,
            body,
            upstream_request,
            extra,
            patience,
        } = begun;
        Self {
            status,
            headers,
            body: Some(body),
            reader: Stream::new(extra),
            ready: VecDeque::new(),
            timer: Box::pin(sleep(KEEP_ALIVE.min(patience))),
            last: now,
            given: now,
            patience,
            account: Some(Account {
                model: holds.relay.registered_model(call),
                holds,
                input: estimate::input(&call.body),
                upstream_request,
                bytes: 0,
                _open: metrics::stream(),
            }),
        }
    }

    /// The next bytes for the client.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                self.given = Instant::now();
                return Poll::Ready(Some(chunk));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.last = Instant::now();
                    if let Some(account) = &mut self.account {
                        account.bytes += chunk.len() as u64;
                    }
                    let ready = &mut self.ready;
                    self.reader.push(chunk, |bytes| ready.push_back(bytes));
                }
                Poll::Ready(None) => self.end(End::Closed),
                Poll::Ready(Some(Err(fault))) => self.end(End::Broke(fault)),
                Poll::Pending => match self.poll_timer(cx) {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Looks after the silence: gives up on an upstream that has paused for too long, and tells proxies and clients with
    /// a comment that the connection lives. The timer is moved only when it fires, not with every chunk.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            if now >= self.last + self.patience {
                self.end(End::Broke(Fault::Timeout));
                return Poll::Ready(());
            }
            if now >= self.given + KEEP_ALIVE {
                self.given = now;
                if self.reader.is_between_frames() {
                    self.ready.push_back(Bytes::from_static(COMMENT));
                    return Poll::Ready(());
                }
            }
            let next = (self.last + self.patience).min(self.given + KEEP_ALIVE);
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Closes the connection, says to the client what it must know, and settles the call.
    fn end(&mut self, end: End) {
        self.body = None;
        // Once the reader has finished it no longer knows that a stump has passed.
        let between_frames = self.reader.is_between_frames();
        if end != End::HungUp {
            self.ready.extend(self.reader.finish());
        }
        // What breaks after the last event takes nothing away.
        let is_cut = self.reader.ending() == stream::Ending::Truncated;
        if is_cut && end != End::HungUp {
            self.ready.push_back(error_event(between_frames));
        }
        if let Some(account) = self.account.take() {
            account.settle(&self.reader, end, self.status);
        }
    }
}

impl Account {
    fn settle(self, reader: &Stream, end: End, status: StatusCode) {
        let Self {
            holds:
                Holds {
                    relay,
                    pending,
                    mut journey,
                    charge,
                },
            model,
            input,
            upstream_request,
            bytes,
            _open,
        } = self;
        let told = reader.ending();
        let reason = match (told, end) {
            (stream::Ending::Complete, _) => Reason::Replied,
            (stream::Ending::Truncated, End::HungUp) => Reason::HungUp,
            (stream::Ending::Truncated, End::Broke(Fault::Timeout)) => Reason::Timeout,
            (stream::Ending::Failed | stream::Ending::Truncated, _) => Reason::Truncated,
        };
        let ending = match (told, end) {
            (stream::Ending::Complete, _) | (_, End::HungUp) => rotation::Ending::Replied {
                symptom: Symptom::Healthy,
                retry_after: None,
            },
            (stream::Ending::Failed, _) => rotation::Ending::Replied {
                symptom: Symptom::Failing,
                retry_after: None,
            },
            (stream::Ending::Truncated, _) => rotation::Ending::Broke(UpstreamError {
                phase: Phase::Body,
                fault: match end {
                    End::Broke(fault) => fault,
                    End::Closed | End::HungUp => Fault::Broken,
                },
            }),
        };
        relay.dispatcher.stream_ended(&mut journey, ending);
        let consumed = reader.usage(|| input);
        metrics::tokens(model.as_deref(), consumed.0);
        charge.settle(consumed.0.total());
        let outcome: Outcome = told.outcome();
        pending.settle_aside(&Ending {
            outcome,
            reason,
            reply: None,
            stream: Some((status, bytes)),
            code: None,
            task_id: None,
            upstream_request,
            consumed: Some(consumed),
        });
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.poll_chunk(cx)
            .map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none() && self.ready.is_empty()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.end(End::HungUp);
    }
}

impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Tells a client whose head came long ago that the rest never will: the one way that OpenAI's SDKs raise an error for.
fn error_event(between_frames: bool) -> Bytes {
    // The stump of a frame is ended first, or the error would be read as a part of it.
    let lead = if between_frames { "" } else { "\n\n" };
    Bytes::from(format!(
        "{lead}data: {{\"error\":{{\"code\":\"UPSTREAM_FAILED\",\"type\":\"server_error\",\"message\":\"the \
         upstream's stream broke off before its end\",\"param\":null}}}}\n\n"
    ))
}

/// A comment, which every reader of server-sent events passes over.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// How long a client hears nothing: shorter than proxies wait.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
