//! What every relayed route shares: the short way past poem's routing, how a request becomes a call, and how an answer
//! becomes a response.

use std::marker::PhantomData;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::combinators::BoxBody;
use poem::{IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;

use super::edge::{Arrival, REPLAYED};
use super::error::ApiError;
use super::guard::{Authorized, ToRelay, authorize};
use super::media::images::Jimeng;
use super::ratelimit::describe_key;
use super::{openai, volcengine};
use crate::model::call::{Call, Delivery, IdempotencyKey};
use crate::model::caller::Caller;
use crate::model::lane::Lane;
use crate::model::operation::{Operation, Protocol};
use crate::record::Recorded;
use crate::relay::{Answer, Content, Origin};
use crate::telemetry::fields;

/// Which of the relayed routes a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `/`: its query names the operation.
    Action,
    /// An alias.
    Named(Operation),
}

/// The short way of relayed calls, past poem's routing and extractors, whose cost shows in `benches/relay`.
///
/// The operations of [`volcengine`] and [`openai`] are their document, and end in the same [`relay`].
pub(super) fn asked(request: &Request) -> Option<Asked> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/") => Some(Asked::Action),
        (&Method::POST, "/v1/submit") => Some(Asked::Named(Operation::Sync2AsyncSubmitTask)),
        (&Method::POST, "/v1/get-result") => Some(Asked::Named(Operation::Sync2AsyncGetResult)),
        (&Method::POST, path) => openai::operation(path).map(Asked::Named),
        _ => None,
    }
}

/// Serves a request that took the short way.
///
/// # Errors
/// [`ApiError`], as its operation in the document.
pub(super) async fn serve(asked: Asked, request: Request) -> Result<Response, ApiError> {
    let (request, mut body) = request.split();
    let authorized = authorize::<ToRelay, Bytes>(&request, &mut body).await?;
    let operation = match asked {
        Asked::Action => volcengine::operation(request.original_uri().query().unwrap_or_default())?,
        Asked::Named(operation) => operation,
    };
    relay(&request, authorized, operation).await.map(respond)
}

/// Relays what an authorized request asks.
///
/// # Errors
/// [`ApiError`].
pub(super) async fn relay<B: Into<Bytes>>(
    request: &Request,
    authorized: Authorized<ToRelay, B>,
    operation: Operation,
) -> Result<Answer, ApiError> {
    let Authorized {
        caller,
        body,
        arrival,
        services,
        ..
    } = authorized;
    tracing::record_all!(
        tracing::Span::current(),
        { fields::KEY_ID } = %caller.identity,
        { fields::OPERATION } = operation.label(),
    );
    let body = body.into();
    if operation == Operation::ImagesGenerations
        && let Some(jimeng) = Jimeng::named(&services.relay.catalogue(), &body)?
    {
        // Boxed, because every other call would pay for its size.
        return Box::pin(jimeng.draw(&services, &caller, body, request.headers())).await;
    }
    let call = call(operation, caller, body, &arrival, request.headers())?;
    Ok(services.relay.run(call, Lane::Interactive).await?)
}

/// What a body names.
#[derive(Debug)]
pub(super) struct Named {
    /// The model or `req_key`.
    pub(super) model: Option<String>,
    /// The task.
    pub(super) task_id: Option<String>,
    /// How it asks to be answered.
    pub(super) delivery: Delivery,
}

impl Default for Named {
    fn default() -> Self {
        Self {
            model: None,
            task_id: None,
            delivery: Delivery::Whole,
        }
    }
}

fn call(
    operation: Operation,
    caller: Caller,
    body: Bytes,
    arrival: &Arrival,
    headers: &HeaderMap,
) -> Result<Call, ApiError> {
    let idempotency = if operation.class().is_paid() {
        idempotency_key(headers)?
    } else {
        None
    };
    let Named {
        model,
        task_id,
        delivery,
    } = match operation.protocol() {
        Protocol::Volcengine => volcengine::named(operation, &caller, &body)?,
        Protocol::OpenAi => openai::named(operation, &body)?,
    };
    let kept = |name: &http::HeaderName| {
        let text = headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), text.chars().take(256).collect()))
    };
    Ok(Call {
        request: arrival.request,
        client_request: arrival.client_request.clone(),
        caller,
        operation,
        model,
        task_id,
        delivery,
        idempotency,
        accept: headers.get(ACCEPT).cloned(),
        passing: passing(headers),
        peer: arrival.peer,
        headers: [CONTENT_TYPE, USER_AGENT].iter().filter_map(kept).collect(),
        arrived: arrival.at,
        body,
    })
}

/// The headers that an upstream may want to see. Almost no request has one.
fn passing(headers: &HeaderMap) -> HeaderMap {
    let beta = headers.get_all(OPENAI_BETA).iter();
    beta.map(|value| (OPENAI_BETA, value.clone())).collect()
}

/// The key that makes a request safe to repeat.
///
/// It is read from the header itself: poem takes bytes that are no text for no header, and the call would be sent
/// without the protection that its client asked for.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(presented) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let wrong = |error| ApiError::validation(format!("{error}")).about("Idempotency-Key");
    String::from_utf8_lossy(presented.as_bytes())
        .parse()
        .map(Some)
        .map_err(wrong)
}

/// An answer with the schema that its document gives it.
pub struct Relayed<S> {
    answer: Answer,
    schema: PhantomData<fn() -> S>,
}

impl<S> Relayed<S> {
    /// An answer whose body is an `S`.
    #[must_use]
    pub const fn new(answer: Answer) -> Self {
        Self {
            answer,
            schema: PhantomData,
        }
    }
}

impl<S: Send> IntoResponse for Relayed<S> {
    fn into_response(self) -> Response {
        respond(self.answer)
    }
}

/// The answer as it came, with what the record says of it.
fn respond(answer: Answer) -> Response {
    let Answer {
        content,
        origin,
        recorded,
        intent,
        allowance,
    } = answer;
    let mut response = match content {
        Content::Whole(reply) => {
            let mut response = Response::builder().status(reply.status).body(reply.body.clone());
            copy(&reply.headers, response.headers_mut());
            response
        }
        Content::Stream(stream) => {
            let (status, headers) = (stream.status, stream.headers.clone());
            let mut response = Response::builder().status(status).body(BoxBody::new(stream));
            copy(&headers, response.headers_mut());
            // Proxies of nginx's kind hold a stream back unless they are told.
            response
                .headers_mut()
                .insert("x-accel-buffering", HeaderValue::from_static("no"));
            response
                .headers_mut()
                .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
    };
    let is_success = response.status().is_success();
    let headers = response.headers_mut();
    if origin == Origin::Replay {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(allowance) = allowance {
        describe_key(&allowance, headers);
    }
    if recorded == Recorded::Failed {
        headers.insert("tollgate-record", HeaderValue::from_static("failed"));
    }
    if intent.is_some() && !is_success {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    response
}

fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        to.append(name, value.clone());
    }
}

/// A header of an answer, for the document: a text that may be there.
pub(super) fn told(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    }
}

impl<S: Type> ApiResponse for Relayed<S> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The upstream's reply, byte for byte, with its own status.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: S::schema_ref(),
                }],
                headers: vec![
                    told("X-Request-Id", "Our id of the request."),
                    told(
                        "X-Tt-Logid",
                        "Volcengine's own id of the request, where it is Volcengine's reply.",
                    ),
                    told(
                        "Idempotency-Replayed",
                        "`true` when the reply is a repeat from the record.",
                    ),
                    told("Tollgate-Record", "`failed` when the reply could not be recorded."),
                ],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }
}

const OPENAI_BETA: http::HeaderName = http::HeaderName::from_static("openai-beta");

const IDEMPOTENCY_KEY: http::HeaderName = http::HeaderName::from_static("idempotency-key");
