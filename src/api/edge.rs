//! The outermost layer: every request gets an id, a span and a metric; every answer, an error or not, gets our headers.
//!
//! It is innermost to nothing: handlers, poem's own refusals and panics all come out here and leave in the envelope.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Once};

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method};
use poem::{Endpoint, Request, Response};
use tokio::time::Instant;
use tracing::Instrument;

use super::cors::Sharing;
use super::error::{ApiError, Code, from_poem};
use super::routes::Routes;
use super::{Services, cors, model_path, peer, ratelimit, relayed, security};
use crate::crypto::entropy;
use crate::model::clock::Clock;
use crate::model::id::RequestId;
use crate::model::record::Refusal;
use crate::telemetry::{fields, metrics};

/// How a request came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Our id of it.
    pub request: RequestId,
    /// The id that the client gave it, cut to 128 visible characters.
    pub client_request: Option<String>,
    /// The peer's address, as far as trusted proxies tell.
    pub peer: Option<IpAddr>,
    /// When its head was read.
    pub at: Instant,
}

impl Arrival {
    /// How a request came, as the edge noted it.
    ///
    /// # Errors
    /// [`ApiError`] for a request that did not pass the edge, which no route allows.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let missing = || ApiError::new(Code::InternalError, "the request did not pass the edge");
        request.data().cloned().ok_or_else(missing)
    }
}

/// The outermost layer around all routes.
pub struct Edge<E> {
    inner: E,
    services: Arc<Services>,
    routes: Routes,
    /// Whether it was said that a proxy seems to stand before us.
    warned: Once,
}

impl<E: Endpoint<Output = Response>> Edge<E> {
    /// Wraps `inner`, whose routes are `routes`.
    pub fn new(inner: E, services: Arc<Services>, routes: Routes) -> Self {
        Self {
            inner,
            services,
            routes,
            warned: Once::new(),
        }
    }

    fn arrival(&self, request: &Request) -> Arrival {
        let clock = &self.services.clock;
        let hops = self.services.trusted_proxy_hops;
        if hops == 0 && peer::is_forwarded(request) {
            self.warned.call_once(|| {
                tracing::warn!(
                    "a request was forwarded, but TRUSTED_PROXY_HOPS is 0: every client seems to be the proxy"
                );
            });
        }
        Arrival {
            request: new_request_id(self.services.entropy.as_ref(), clock.as_ref()),
            client_request: client_request(request),
            peer: peer::address(request, hops),
            at: clock.monotonic(),
        }
    }

    /// Answers what goes no further, a preflight or an address that came too often, and hands on everything else.
    async fn pass(&self, request: Request, arrival: &Arrival, sharing: &Sharing) -> Response {
        let methods = |path: &str| self.routes.methods(path);
        if let Some(answer) = cors::preflight(&request, sharing, methods) {
            return answer;
        }
        let limited = is_limited(request.uri().path());
        // What comes through the control socket has no address.
        let (Some(addresses), Some(address), true) = (&self.services.addresses, arrival.peer, limited) else {
            return self.answer(request, arrival).await;
        };
        let (mut response, meter) = match addresses.count(address) {
            Ok(meter) => (self.answer(request, arrival).await, meter),
            Err(busy) => {
                self.services.recorder.refuse(Refusal::RateLimited);
                (ApiError::from(busy).render(arrival.request), busy.meter)
            }
        };
        ratelimit::describe_address(&meter, addresses.rate().window, response.headers_mut());
        response
    }

    async fn answer(&self, mut request: Request, arrival: &Arrival) -> Response {
        let path = request.uri().path().to_owned();
        request.set_data(Arc::clone(&self.services));
        request.set_data(arrival.clone());
        let serving = async {
            match relayed::asked(&request) {
                Some(asked) => relayed::serve(asked, request).await.map_err(poem::Error::from),
                None => self.inner.call(request).await,
            }
        };
        let served = AssertUnwindSafe(serving).catch_unwind().await;
        let error = match served {
            Ok(Ok(response)) => return response,
            Ok(Err(error)) => error,
            Err(_panic) => {
                tracing::error!("a handler panicked");
                let message = "Tollgate failed; the log names the cause under this request id";
                return ApiError::new(Code::InternalError, message).render(arrival.request);
            }
        };
        if error.is_from_response() {
            let response = error.into_response();
            return match response.extensions().get::<ApiError>() {
                Some(error) => error.render(arrival.request),
                None => response,
            };
        }
        let mut error = from_poem(&error);
        if error.code() == Code::MethodNotAllowed {
            error = error.allowing(self.routes.methods(&path));
        }
        error.render(arrival.request)
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if let Some(uri) = model_path::escape(request.uri()) {
            *request.uri_mut() = uri;
        }
        let arrival = self.arrival(&request);
        let route = self.routes.label(request.uri().path());
        let method = method_label(request.method());
        let span = tracing::info_span!(
            "request",
            { fields::REQUEST_ID } = %arrival.request,
            { fields::CLIENT_REQUEST_ID } = arrival.client_request.as_deref(),
            { fields::METHOD } = method,
            { fields::ROUTE } = route,
            { fields::KEY_ID } = tracing::field::Empty,
            { fields::OPERATION } = tracing::field::Empty,
        );
        let sharing = self.services.cors.sharing(&request);
        let scheme = peer::scheme(&request, self.services.trusted_proxy_hops);
        let passing = self.pass(request, &arrival, &sharing);
        let mut response = passing.instrument(span.clone()).await;
        let took = self.services.clock.monotonic().saturating_duration_since(arrival.at);
        let status = response.status().as_u16();
        metrics::http_request(route, method, status, took);
        // Fields of the event and not of the span: the formatter reads and writes all of a span's at every record.
        let outcome = outcome(&response);
        let millis = took.as_secs_f64() * 1000.0;
        span.in_scope(|| match route {
            // Probes come every few seconds and tell nothing.
            "/health" | "/ready" | "/metrics" => {
                tracing::debug!(
                    { fields::STATUS } = status,
                    { fields::OUTCOME } = outcome,
                    { fields::DURATION_MS } = millis,
                    "answered"
                );
            }
            _ => tracing::info!(
                { fields::STATUS } = status,
                { fields::OUTCOME } = outcome,
                { fields::DURATION_MS } = millis,
                "answered"
            ),
        });
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&arrival.request.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        self.services.cors.describe(sharing, headers);
        security::harden(headers, scheme);
        Ok(response)
    }
}

/// A new id of a request.
pub(super) fn new_request_id(entropy: &dyn entropy::Entropy, clock: &dyn Clock) -> RequestId {
    // Without randomness ids of one millisecond would meet: the id is for people, nothing is keyed by it.
    RequestId::at(clock.wall(), entropy::random(entropy).unwrap_or_default())
}

/// The client's own id, as an attribute: never trusted, never an identifier of ours.
fn client_request(request: &Request) -> Option<String> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    Some(text.chars().filter(char::is_ascii_graphic).take(128).collect())
}

/// How a request ended, in one word: the code of our own error, or what became of it.
fn outcome(response: &Response) -> &'static str {
    if let Some(code) = response.extensions().get::<Code>() {
        return code.name();
    }
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        "passed_on"
    } else if response.headers().contains_key(REPLAYED) {
        "replayed"
    } else {
        "done"
    }
}

/// Whether a path is limited by address: those under `/api/`, but for the one that probes ask.
fn is_limited(path: &str) -> bool {
    path.starts_with("/api/") && path != "/api/vision/health"
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        _ => "other",
    }
}

/// In an answer that repeats what the record keeps.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Our id of the request, in every answer; in a request, the client's own.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
