//! The one place that speaks to an upstream.
//!
//! Every request goes over one pooled HTTP/1.1 client: no redirects, no proxy from the environment, no decoding, no
//! retries but of a request that no connection took. The client is hyper-util's: it costs a fifth less than reqwest on
//! this path, and hands a request back untouched when a pooled connection turns out to be closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::error::{Fault, Phase, UpstreamError};
use super::mark::{MarkingBody, SentMark};

/// A request, signed and ready.
#[derive(Debug)]
pub struct Outbound {
    /// Where to.
    pub uri: Uri,
    /// Every header but those the connection adds.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Bytes,
    /// Set just before the first byte is written.
    pub mark: SentMark,
    /// How long each part may take.
    pub patience: Patience,
}

/// How long each part of an attempt may take, and how much may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until the head of the reply.
    pub first_byte: Duration,
    /// Until the last byte of the reply.
    pub total: Duration,
    /// Most bytes of a reply.
    pub max_bytes: usize,
}

/// A whole reply as it came.
#[derive(Debug)]
pub struct Received {
    /// Its status.
    pub status: StatusCode,
    /// Every header.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Bytes,
    /// From the call to the head.
    pub first_byte: Duration,
    /// From the call to the last byte.
    pub total: Duration,
}

/// A reply whose head has come.
#[derive(Debug)]
pub struct Opened {
    /// Its status.
    pub status: StatusCode,
    /// Every header.
    pub headers: HeaderMap,
    /// Its body, as it comes.
    pub body: Arriving,
    /// From the call to the head.
    pub first_byte: Duration,
    /// When the request was begun.
    begun: Instant,
}

/// A body that is still coming. Dropping it closes the connection, unless the body is at its end.
#[derive(Debug)]
pub struct Arriving(Incoming);

impl Arriving {
    /// The next bytes as they came; `None` at the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                None => None,
                Some(Err(_)) => Some(Err(Fault::Broken)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    // Trailers tell us nothing.
                    Err(_) => continue,
                },
            });
        }
    }
}

impl Opened {
    /// Reads the rest of the reply, within the patience that its request was sent with.
    ///
    /// # Errors
    /// [`UpstreamError`] of the body's phase.
    pub async fn collect(self, patience: Patience) -> Result<Received, UpstreamError> {
        let failed = |fault| UpstreamError {
            phase: Phase::Body,
            fault,
        };
        let collecting = collect(self.body.0, patience.max_bytes);
        let body = match timeout_at(self.begun + patience.total, collecting).await {
            Ok(collected) => collected.map_err(failed)?,
            Err(_) => return Err(failed(Fault::Timeout)),
        };
        Ok(Received {
            status: self.status,
            headers: self.headers,
            body,
            first_byte: self.first_byte,
            total: self.begun.elapsed(),
        })
    }
}

/// A future of a transport.
pub type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T, UpstreamError>> + Send + 'a>>;

/// What sends a request: the network, or a test's script.
pub trait Transport: Send + Sync + 'static {
    /// Sends once, and reads the whole reply.
    ///
    /// Dropping the future closes the connection; whether a byte had left is what the mark says.
    fn send(&self, request: Outbound) -> Sending<'_, Received>;

    /// Sends once, and reads the head of the reply.
    ///
    /// Dropping the future is as for [`Transport::send`].
    fn open(&self, request: Outbound) -> Sending<'_, Opened>;
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network {
    client: Client<HttpsConnector<HttpConnector>, MarkingBody>,
}

impl Network {
    /// A client with its own pool of connections.
    ///
    /// # Errors
    /// [`io::Error`] when the machine's certificate store cannot be read.
    pub fn new() -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            .build(https);
        Ok(Self { client })
    }

    /// Asks for what costs nothing, and reads the head of the reply. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`UpstreamError`], also where no head comes within `first_byte`.
    pub async fn get(&self, uri: Uri, headers: HeaderMap, first_byte: Duration) -> Result<Opened, UpstreamError> {
        let mark = SentMark::default();
        let mut outgoing = Request::new(MarkingBody::new(Bytes::new(), mark.clone()));
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;
        self.begin(outgoing, &mark, first_byte).await
    }

    async fn post(&self, request: Outbound) -> Result<Opened, UpstreamError> {
        let mut outgoing = Request::new(MarkingBody::new(request.body, request.mark.clone()));
        *outgoing.method_mut() = http::Method::POST;
        *outgoing.uri_mut() = request.uri;
        *outgoing.headers_mut() = request.headers;
        self.begin(outgoing, &request.mark, request.patience.first_byte).await
    }

    async fn begin(
        &self,
        outgoing: Request<MarkingBody>,
        mark: &SentMark,
        first_byte: Duration,
    ) -> Result<Opened, UpstreamError> {
        let begun = Instant::now();
        let failed = |fault| UpstreamError {
            phase: if mark.is_sent() { Phase::Head } else { Phase::Connect },
            fault,
        };
        let response = match timeout_at(begun + first_byte, self.client.request(outgoing)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => return Err(failed(Fault::Broken)),
            Err(_) => return Err(failed(Fault::Timeout)),
        };
        let (head, body) = response.into_parts();
        Ok(Opened {
            status: head.status,
            headers: head.headers,
            body: Arriving(body),
            first_byte: begun.elapsed(),
            begun,
        })
    }

    async fn exchange(&self, request: Outbound) -> Result<Received, UpstreamError> {
        let patience = request.patience;
        self.post(request).await?.collect(patience).await
    }
}

impl Transport for Network {
    fn send(&self, request: Outbound) -> Sending<'_, Received> {
        Box::pin(self.exchange(request))
    }

    fn open(&self, request: Outbound) -> Sending<'_, Opened> {
        Box::pin(self.post(request))
    }
}

/// Reads a body of at most `max` bytes, without copying a large one that comes in a single frame.
async fn collect(mut body: Incoming, max: usize) -> Result<Bytes, Fault> {
    let mut whole = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Broken)?.into_data() else {
            continue;
        };
        if whole.len() + joined.len() + data.len() > max {
            return Err(Fault::TooLarge);
        }
        if whole.is_empty() && joined.is_empty() {
            whole = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut whole));
            joined.extend_from_slice(&data);
        }
    }
    Ok(match (joined.is_empty(), whole.len()) {
        // A slice would keep hyper's whole buffer, which it then cannot use for the next reply.
        (true, ..=SMALL_BODY) => Bytes::copy_from_slice(&whole),
        (true, _) => whole,
        (false, _) => joined.freeze(),
    })
}

/// Copying this much costs less than a new buffer.
const SMALL_BODY: usize = 4096;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than what servers keep idle connections for, so that a request rarely meets one that is being closed: on a
/// paid call that race would leave an unknown outcome.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

const POOL_MAX_IDLE: usize = 256;
