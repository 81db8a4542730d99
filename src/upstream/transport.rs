//! The one place that speaks to an upstream.
//!
//! Every request goes over one pooled HTTP/1.1 client: no redirects, no proxy from the environment, no decoding, no
//! retries but of a request that no connection took. The client is hyper-util's: it costs a fifth less than reqwest on
//! this path, and hands a request back untouched when a pooled connection turns out to be closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
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

/// What sends a request and reads its whole reply: the network, or a test's script.
pub trait Transport: Send + Sync + 'static {
    /// Sends once.
    ///
    /// Dropping the future closes the connection; whether a byte had left is what the mark says.
    fn send(&self, request: Outbound) -> Pin<Box<dyn Future<Output = Result<Received, UpstreamError>> + Send + '_>>;
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

    async fn exchange(&self, request: Outbound) -> Result<Received, UpstreamError> {
        let begun = Instant::now();
        let Outbound {
            uri,
            headers,
            body,
            mark,
            patience,
        } = request;
        let mut outgoing = Request::new(MarkingBody::new(body, mark.clone()));
        *outgoing.method_mut() = http::Method::POST;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;

        let phase = |mark: &SentMark| if mark.is_sent() { Phase::Head } else { Phase::Connect };
        let response = match timeout_at(begun + patience.first_byte, self.client.request(outgoing)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => {
                return Err(UpstreamError {
                    phase: phase(&mark),
                    fault: Fault::Broken,
                });
            }
            Err(_) => {
                return Err(UpstreamError {
                    phase: phase(&mark),
                    fault: Fault::Timeout,
                });
            }
        };
        let first_byte = begun.elapsed();
        let (head, body) = response.into_parts();
        let body = match timeout_at(begun + patience.total, collect(body, patience.max_bytes)).await {
            Ok(collected) => collected.map_err(|fault| UpstreamError {
                phase: Phase::Body,
                fault,
            })?,
            Err(_) => {
                return Err(UpstreamError {
                    phase: Phase::Body,
                    fault: Fault::Timeout,
                });
            }
        };
        Ok(Received {
            status: head.status,
            headers: head.headers,
            body,
            first_byte,
            total: begun.elapsed(),
        })
    }
}

impl Transport for Network {
    fn send(&self, request: Outbound) -> Pin<Box<dyn Future<Output = Result<Received, UpstreamError>> + Send + '_>> {
        Box::pin(self.exchange(request))
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
