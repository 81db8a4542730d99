//! One connection: HTTP/1 or HTTP/2 with prior knowledge, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pace::{InFlight, Pace, Paced, Phase, Verdict};
use super::{Limits, Shared};
use crate::model::origin::Origin;

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) struct Peer {
    origin: Origin,
    local: LocalAddr,
    remote: RemoteAddr,
}

impl Peer {
    pub(super) fn new(origin: Origin, local: Addr, remote: Addr) -> Self {
        Self {
            origin,
            local: LocalAddr(local),
            remote: RemoteAddr(remote),
        }
    }

    /// The request as handlers see it.
    fn introduce(&self, mut request: http::Request<Incoming>) -> Request {
        request.extensions_mut().insert(self.origin);
        (
            request,
            self.local.clone(),
            self.remote.clone(),
            http::uri::Scheme::HTTP,
        )
            .into()
    }
}

/// Serves a connection until it ends, its peer is too slow, or the server is done draining.
///
/// When the peer hangs up the handler's future is dropped.
pub(super) async fn serve<Io, E>(io: Io, peer: Peer, shared: Arc<Shared<E>>)
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    E: Endpoint<Output = Response> + 'static,
{
    let pace = Pace::new(shared.limits);
    let service = hyper::service::service_fn({
        let pace = Arc::clone(&pace);
        let endpoint = Arc::clone(&shared.endpoint);
        move |request: http::Request<Incoming>| {
            let in_flight = pace.begin(request.version());
            let request = peer.introduce(request);
            let endpoint = Arc::clone(&endpoint);
            async move {
                let response: http::Response<BoxBody<Bytes, io::Error>> = endpoint.get_response(request).await.into();
                Ok::<_, Infallible>(response.map(|body| Answer {
                    body,
                    _in_flight: in_flight,
                }))
            }
        }
    });
    // A token of our own: polling the shared one would make all connections meet at one lock.
    let drain = shared.drain.child_token();
    let builder = builder(
        &shared.limits,
        Spawner {
            tasks: shared.tasks.clone(),
            cut: shared.cut.clone(),
        },
    );
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Paced::new(io, Arc::clone(&pace))), service));
    let mut timer = pin!(tokio::time::sleep(pace.tick()));
    let mut phase = Phase::Serving;
    loop {
        let told = match phase {
            Phase::Serving => &drain,
            Phase::Closing => &shared.cut,
        };
        let verdict = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                }
                return;
            }
            () = told.cancelled() => match phase {
                Phase::Serving => Verdict::Retire,
                Phase::Closing => Verdict::Cut,
            },
            () = timer.as_mut() => pace.verdict(phase, Instant::now()),
        };
        match verdict {
            Verdict::Wait(moment) => timer.as_mut().reset(moment),
            Verdict::Retire => {
                phase = Phase::Closing;
                pace.close();
                connection.as_mut().graceful_shutdown();
                timer.as_mut().reset(Instant::now());
            }
            Verdict::Cut => return,
        }
    }
}

fn builder(limits: &Limits, spawner: Spawner) -> auto::Builder<Spawner> {
    // hyper panics below its floor, and takes 32 bits for HTTP/2.
    let head = limits.max_head_bytes.max(SMALLEST_HEAD_LIMIT);
    let mut builder = auto::Builder::new(spawner);
    // `half_close(false)`: a peer that closes its side has hung up, and its handler is dropped.
    builder.http1().keep_alive(true).half_close(false).max_buf_size(head);
    builder
        .http2()
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX));
    builder
}

/// Runs HTTP/2's streams as tasks that the server waits for, and drops them when it cuts.
#[derive(Clone)]
struct Spawner {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let cut = self.cut.child_token();
        self.tasks
            .spawn(async move { cut.run_until_cancelled(future).await.map(drop) });
    }
}

/// An answer's body, which keeps its request in hand until the last byte is taken.
struct Answer {
    body: BoxBody<Bytes, io::Error>,
    _in_flight: InFlight,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// hyper's `max_buf_size` panics below this.
const SMALLEST_HEAD_LIMIT: usize = 8192;
/// Requests at once on one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 128;
