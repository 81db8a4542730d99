//! Volcengine's visual API, and jimeng-relay's aliases of its two main actions.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method};
use poem::{IntoResponse, Request, Response};
use poem_openapi::param::{Header, Query};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, OpenApi};

use super::Tag;
use super::edge::Arrival;
use super::error::{ApiError, Code};
use super::guard::{Authorized, Raw, ToRelay, authorize};
use super::params::{ActionParam, VersionParam};
use super::schema::VolcengineReply;
use crate::model::call::{Call, IdempotencyKey};
use crate::model::caller::Caller;
use crate::model::control::{self, ScanError};
use crate::model::lane::Lane;
use crate::model::operation::{Class, Operation};
use crate::model::query;
use crate::record::Recorded;
use crate::relay::{Answer, Origin};
use crate::telemetry::fields;

/// The relayed routes.
pub struct VolcengineApi;

#[OpenApi(tag = "Tag::Volcengine")]
impl VolcengineApi {
    /// Relay a visual API action
    ///
    /// What Volcengine's own SDKs call. `Action` names the operation and decides its class: submits and `CVProcess` are
    /// paid, written down before they are sent, and never sent twice under one `Idempotency-Key`.
    #[oai(path = "/", method = "post", operation_id = "volcengine")]
    async fn volcengine(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw>,
        /// What is asked. Other actions are answered with 404.
        #[oai(name = "Action")]
        action: Query<ActionParam>,
        /// The action's version: 2022-08-31, for `CVCancelTask` 2024-06-06.
        #[oai(name = "Version")]
        version: Query<VersionParam>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed, ApiError> {
        // The document's parameters never fail: the raw query and header are what is signed and checked.
        let _ = (action, version, idempotency_key);
        let operation = operation(request.original_uri().query().unwrap_or_default())?;
        relay(request, authorized, operation).await
    }

    /// Submit a task
    ///
    /// The same as `Action=CVSync2AsyncSubmitTask`.
    #[oai(path = "/v1/submit", method = "post", operation_id = "submit")]
    async fn submit(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw>,
        /// Makes the submit safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::Sync2AsyncSubmitTask).await
    }

    /// Fetch a task's result
    ///
    /// The same as `Action=CVSync2AsyncGetResult`. Free; only for the owner of the task.
    #[oai(path = "/v1/get-result", method = "post", operation_id = "getResult")]
    async fn get_result(&self, request: &Request, authorized: Authorized<ToRelay, Raw>) -> Result<Relayed, ApiError> {
        relay(request, authorized, Operation::Sync2AsyncGetResult).await
    }
}

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
/// The operations above are their document, and end in the same [`relay`].
pub(super) fn asked(request: &Request) -> Option<Asked> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/") => Some(Asked::Action),
        (&Method::POST, "/v1/submit") => Some(Asked::Named(Operation::Sync2AsyncSubmitTask)),
        (&Method::POST, "/v1/get-result") => Some(Asked::Named(Operation::Sync2AsyncGetResult)),
        _ => None,
    }
}

/// Serves a request that took the short way.
///
/// # Errors
/// [`ApiError`], as its operation in the document.
pub(super) async fn serve(asked: Asked, request: Request) -> Result<Response, ApiError> {
    let (request, mut body) = request.split();
    let authorized = authorize::<ToRelay, Raw>(&request, &mut body).await?;
    let operation = match asked {
        Asked::Action => operation(request.original_uri().query().unwrap_or_default())?,
        Asked::Named(operation) => operation,
    };
    relay(&request, authorized, operation)
        .await
        .map(IntoResponse::into_response)
}

async fn relay(
    request: &Request,
    authorized: Authorized<ToRelay, Raw>,
    operation: Operation,
) -> Result<Relayed, ApiError> {
    let Authorized {
        caller,
        body: Raw(body),
        arrival,
        services,
        ..
    } = authorized;
    tracing::record_all!(
        tracing::Span::current(),
        { fields::KEY_ID } = %caller.identity,
        { fields::OPERATION } = operation.label(),
    );
    let call = call(operation, caller, body, &arrival, request.headers())?;
    Ok(Relayed(services.relay.run(call, Lane::Interactive).await?))
}

/// The operation that a query string names, each name at most once in any spelling.
fn operation(raw_query: &str) -> Result<Operation, ApiError> {
    let single = |name: &'static str| {
        let repeated = |_| ApiError::validation(format!("{name} must stand in the query exactly once")).about(name);
        query::single(raw_query, name).map_err(repeated)
    };
    let (action, version) = (single("Action")?, single("Version")?);
    let action = action.ok_or_else(|| ApiError::new(Code::NotFound, "name an Action in the query").about("Action"))?;
    let unknown = || ApiError::new(Code::NotFound, "this Action is not relayed").about("Action");
    let operation = Operation::from_action(&action).ok_or_else(unknown)?;
    match version.as_deref() {
        Some(version) if version == operation.version() => Ok(operation),
        _ => Err(ApiError::validation(format!("{action} has Version {}", operation.version())).about("Version")),
    }
}

fn call(
    operation: Operation,
    caller: Caller,
    body: Bytes,
    arrival: &Arrival,
    headers: &HeaderMap,
) -> Result<Call, ApiError> {
    let idempotency = idempotency(operation, headers)?;
    let (model, task_id) = control_fields(operation, &caller, &body)?;
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
        idempotency,
        accept: headers.get(ACCEPT).cloned(),
        peer: arrival.peer,
        headers: [CONTENT_TYPE, USER_AGENT].iter().filter_map(kept).collect(),
        arrived: arrival.at,
        body,
    })
}

/// The key of a paid call.
///
/// It is read from the header itself: poem takes bytes that are no text for no header, and the call would be sent
/// without the protection that its client asked for.
fn idempotency(operation: Operation, headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let presented = headers.get(IDEMPOTENCY_KEY);
    let Some(presented) = presented.filter(|_| operation.class().is_paid()) else {
        return Ok(None);
    };
    let wrong = |error| ApiError::validation(format!("{error}")).about("Idempotency-Key");
    String::from_utf8_lossy(presented.as_bytes())
        .parse()
        .map(Some)
        .map_err(wrong)
}

/// The model and the task that a body names, as every parser upstream will see them.
///
/// A body that is not JSON passes where nothing of it is checked: it is the upstream's to refuse.
fn control_fields(
    operation: Operation,
    caller: &Caller,
    body: &[u8],
) -> Result<(Option<String>, Option<String>), ApiError> {
    let checked = operation.class() == Class::Query || caller.models.is_some();
    let control = match control::scan(body) {
        Ok(control) => control,
        Err(ScanError::NotJson { .. } | ScanError::NotAnObject) if !checked => return Ok((None, None)),
        Err(error) => return Err(ApiError::validation(error.to_string())),
    };
    let model = control
        .req_key
        .as_ref()
        .and_then(|field| field.value.as_text())
        .map(str::to_owned);
    let task_id = control.task_id.as_ref().map(|field| field.value.to_string());
    if caller.models.is_some() && model.is_none() {
        return Err(ApiError::validation("this key may use some models only: name one").about("req_key"));
    }
    if operation.class() == Class::Query && task_id.as_deref().is_none_or(str::is_empty) {
        return Err(ApiError::validation("name the task").about("task_id"));
    }
    Ok((model, task_id))
}

/// A reply as it came from the upstream, with what the record says of it.
pub struct Relayed(Answer);

impl IntoResponse for Relayed {
    fn into_response(self) -> Response {
        let Answer {
            reply,
            origin,
            recorded,
            intent,
        } = self.0;
        let mut response = Response::builder().status(reply.status).body(reply.body.clone());
        let headers = response.headers_mut();
        for (name, value) in &reply.headers {
            headers.append(name, value.clone());
        }
        if origin == Origin::Replay {
            headers.insert("idempotency-replayed", http::HeaderValue::from_static("true"));
        }
        if recorded == Recorded::Failed {
            headers.insert("tollgate-record", http::HeaderValue::from_static("failed"));
        }
        if intent.is_some() && !reply.status.is_success() {
            headers.insert("x-should-retry", http::HeaderValue::from_static("false"));
        }
        response
    }
}

impl ApiResponse for Relayed {
    fn meta() -> MetaResponses {
        let text = |name: &str, description: &str| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: false,
            deprecated: false,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The upstream's reply, byte for byte, with its own status.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: VolcengineReply::schema_ref(),
                }],
                headers: vec![
                    text("X-Request-Id", "Our id of the request."),
                    text("X-Tt-Logid", "Volcengine's own id of the request."),
                    text(
                        "Idempotency-Replayed",
                        "`true` when the reply is a repeat from the record.",
                    ),
                    text("Tollgate-Record", "`failed` when the reply could not be recorded."),
                ],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        VolcengineReply::register(registry);
    }
}

const IDEMPOTENCY_KEY: http::HeaderName = http::HeaderName::from_static("idempotency-key");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_named_once_with_its_own_version() {
        assert!(matches!(
            operation("Action=CVProcess&Version=2022-08-31"),
            Ok(Operation::Process)
        ));
        assert!(matches!(
            operation("Action=CVCancelTask&Version=2024-06-06&x=1"),
            Ok(Operation::CancelTask)
        ));
        for (query, code) in [
            ("", Code::NotFound),
            ("Action=Nothing&Version=2022-08-31", Code::NotFound),
            ("Action=CVProcess", Code::ValidationFailed),
            ("Action=CVCancelTask&Version=2022-08-31", Code::ValidationFailed),
            (
                "Action=CVProcess&Action=CVProcess&Version=2022-08-31",
                Code::ValidationFailed,
            ),
            (
                "Action=CVProcess&action=CVSubmitTask&Version=2022-08-31",
                Code::ValidationFailed,
            ),
        ] {
            assert_eq!(operation(query).unwrap_err().code(), code, "{query}");
        }
    }
}
