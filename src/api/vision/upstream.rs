//! One chat completion through the relay, and the one mapping of what can go wrong with it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use poem::Request;
use serde_json::Value;

use super::chat::Said;
use crate::api::Services;
use crate::api::edge::Arrival;
use crate::api::error::ApiError;
use crate::api::guard::{Authorized, ToRelay};
use crate::model::call::{Call, Delivery};
use crate::model::caller::Caller;
use crate::model::lane::Lane;
use crate::model::operation::Operation;
use crate::model::reply::Reply;
use crate::record::Recorded;
use crate::relay::error::{Failure, RelayError};
use crate::relay::{Answer, Content, Origin};
use crate::telemetry::fields;

/// The vision model, asked on behalf of one request.
pub(super) struct Upstream {
    services: Arc<Services>,
    caller: Caller,
    arrival: Arrival,
    idempotency: Option<HeaderValue>,
}

/// What the model said, and what the record says of it.
pub(super) struct Told {
    pub(super) said: Said,
    origin: Origin,
    recorded: Recorded,
}

impl Told {
    pub(super) fn is_replayed(&self) -> bool {
        self.origin == Origin::Replay
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.recorded != Recorded::Failed
    }
}

impl Upstream {
    pub(super) fn new<B>(request: &Request, authorized: &Authorized<ToRelay, B>) -> Self {
        tracing::record_all!(
            tracing::Span::current(),
            { fields::KEY_ID } = %authorized.caller.identity,
            { fields::OPERATION } = Operation::ChatCompletions.label(),
        );
        Self {
            services: Arc::clone(&authorized.services),
            caller: authorized.caller.clone(),
            arrival: authorized.arrival.clone(),
            idempotency: request.headers().get("idempotency-key").cloned(),
        }
    }

    /// The operator's vision model.
    pub(super) fn model(&self) -> &str {
        &self.services.facts.vision_model
    }

    /// Asks once. `part` tells the calls of one request apart under its idempotency key.
    pub(super) async fn ask(&self, part: &str, body: Bytes) -> Result<Told, ApiError> {
        let wrong = |error| ApiError::validation(format!("{error}")).about("Idempotency-Key");
        let key = self.idempotency.as_ref().map(|key| {
            let key = String::from_utf8_lossy(key.as_bytes());
            format!("{key}{part}").parse()
        });
        let call = Call {
            request: self.arrival.request,
            client_request: self.arrival.client_request.clone(),
            caller: self.caller.clone(),
            operation: Operation::ChatCompletions,
            body,
            model: Some(self.model().to_owned()),
            delivery: Delivery::Whole,
            task_id: None,
            idempotency: key.transpose().map_err(wrong)?,
            accept: None,
            passing: HeaderMap::new(),
            peer: self.arrival.peer,
            headers: vec![(CONTENT_TYPE.as_str().to_owned(), "application/json".to_owned())],
            arrived: self.arrival.at,
        };
        told(self.services.relay.run(call, Lane::Interactive).await?)
    }
}

fn told(answer: Answer) -> Result<Told, ApiError> {
    let Answer {
        content,
        origin,
        recorded,
        intent,
        allowance: _,
    } = answer;
    let failed = |cause| ApiError::from(RelayError::Upstream { cause, intent });
    let Content::Whole(reply) = content else {
        return Err(failed(Failure::Unusable));
    };
    if !reply.status.is_success() {
        return Err(refused(&reply).unwrap_or_else(failed));
    }
    let said = Said::read(&reply.body).ok_or_else(|| failed(Failure::Unusable))?;
    Ok(Told { said, origin, recorded })
}

/// What a refusal of the upstream is to our client: its own mistake, or a failure of ours behind it.
///
/// The upstream's 401, 402, 403 and 404 are about the operator's account and model, never about the client's key.
fn refused(reply: &Reply) -> Result<ApiError, Failure> {
    match reply.status.as_u16() {
        400 | 413 | 415 | 422 => Ok(ApiError::validation(complaint(&reply.body))),
        429 | 500..=599 => Err(Failure::Status {
            status: reply.status,
            retry_after: reply.headers.get(RETRY_AFTER).cloned(),
        }),
        _ => Err(Failure::Status {
            status: StatusCode::BAD_GATEWAY,
            retry_after: None,
        }),
    }
}

/// The upstream's own sentence about a request, cut to what fits a line or two.
fn complaint(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body.pointer("/error/message").and_then(Value::as_str) {
        Some(message) => {
            let message: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
            format!("the vision model refused the request: {message}")
        }
        None => "the vision model refused the request".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, headers: HeaderMap, body: &Value) -> Answer {
        Answer {
            content: Content::Whole(Arc::new(Reply {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
                body: body.to_string().into(),
            })),
            origin: Origin::Upstream,
            recorded: Recorded::Yes,
            intent: None,
            allowance: None,
        }
    }

    fn status_of(status: u16) -> u16 {
        let error = json!({"error": {"message": "no"}});
        let Err(error) = told(answer(status, HeaderMap::new(), &error)) else {
            panic!("{status} is told as a success");
        };
        error.status().as_u16()
    }

    #[test]
    fn the_same_refusal_of_the_upstream_has_the_same_status_on_every_route() {
        let table = [
            (400, 400),
            (413, 400),
            (422, 400),
            (401, 502),
            (402, 502),
            (403, 502),
            (404, 502),
            (429, 429),
        ];
        for (upstream, ours) in table.into_iter().chain([(500, 500), (502, 502), (503, 503)]) {
            assert_eq!(status_of(upstream), ours, "{upstream}");
        }
    }

    #[tokio::test]
    async fn a_limit_of_the_upstream_keeps_its_retry_after() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        let error = told(answer(429, headers, &json!({}))).map(drop).unwrap_err();
        let response = error.render(crate::model::id::RequestId::from_bits(1));
        assert_eq!(response.headers()["retry-after"], "7");
    }

    #[test]
    fn a_success_without_an_answer_is_a_failure_of_the_upstream() {
        let error = told(answer(200, HeaderMap::new(), &json!({"choices": []})))
            .map(drop)
            .unwrap_err();
        assert_eq!(error.status(), 502);
    }

    #[test]
    fn the_upstreams_sentence_is_passed_on_in_one_line() {
        let long = format!("bad\nimage{}", "!".repeat(1000));
        let sentence = complaint(json!({"error": {"message": long}}).to_string().as_bytes());
        assert!(sentence.starts_with("the vision model refused the request: badimage!"));
        assert!(sentence.len() < 400);
        assert_eq!(complaint(b"<html>"), "the vision model refused the request");
    }
}
