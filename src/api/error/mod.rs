//! Every error as a client sees it: one envelope, one table of statuses.
//!
//! `error` has the words that OpenAI's SDKs read, the numbers beside it are what Volcengine's clients act on, and
//! `success` is what callers of the vision routes look at.

mod code;
mod from;

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use serde_json::{Value, json};

pub use self::code::Code;
pub use self::from::from_poem;

use self::code::numeric;
use super::ratelimit;
use super::schema::ErrorEnvelope;
use crate::admission::quota::Allowance;
use crate::model::id::{JobId, RequestId};
use crate::model::money::OverBudget;

/// An error on its way to a client.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    status: StatusCode,
    message: String,
    param: Option<String>,
    /// `Retry-After`, `Allow` and `X-RateLimit-*`, where they are called for.
    headers: Option<Box<HeaderMap>>,
    audit: Option<u64>,
    /// How the budget stands that was in the way.
    budget: Option<OverBudget>,
    retry: Retry,
}

/// What a client may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// As its status says.
    Free,
    /// Not: something was committed, or a repeat is futile.
    Never,
}

impl ApiError {
    /// An error with a sentence for the client. The sentence holds nothing secret and nothing internal.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let retry = if code.forbids_retry() {
            Retry::Never
        } else {
            Retry::Free
        };
        Self {
            code,
            status: code.status(),
            message: message.into(),
            param: None,
            headers: None,
            audit: None,
            budget: None,
            retry,
        }
    }

    /// A request that is wrong.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::ValidationFailed, message)
    }

    /// The same, about a part of the request that lies within another.
    #[must_use]
    pub fn within(self, part: &str) -> Self {
        let param = match &self.param {
            Some(param) => format!("{part}.{param}"),
            None => part.to_owned(),
        };
        self.about(param)
    }

    /// Names the field or header that is wrong.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says which methods the path has.
    #[must_use]
    pub fn allowing(self, methods: &str) -> Self {
        match HeaderValue::from_str(methods) {
            Ok(methods) => self.with(ALLOW, methods),
            Err(_) => self,
        }
    }

    /// When to come back, rounded up to whole seconds.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(whole_seconds(wait).max(1)))
    }

    /// Says what is left of a budget, and when it begins anew.
    fn over(mut self, over: OverBudget) -> Self {
        self.budget = Some(over);
        self
    }

    /// How the key stands against its quotas.
    fn standing(mut self, allowance: &Allowance) -> Self {
        ratelimit::describe_key(allowance, self.headers.get_or_insert_default());
        self
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// It is about a job that was committed: what it made may be paid, and its id says where to look.
    #[must_use]
    pub(in crate::api) fn of_job(self, job: JobId) -> Self {
        let with = match HeaderValue::try_from(job.to_string()) {
            Ok(id) => self.with(JOB, id),
            Err(_) => self,
        };
        Self {
            retry: Retry::Never,
            ..with
        }
    }

    /// Something was committed: a repeat could be paid twice.
    #[must_use]
    pub(in crate::api) fn committed(mut self, intent: Option<u64>) -> Self {
        if intent.is_some() {
            self.audit = intent;
            self.retry = Retry::Never;
        }
        self
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Its sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The whole answer, in the envelope.
    #[must_use]
    pub fn render(&self, request: RequestId) -> Response {
        let number = match self.code {
            // Clients of Volcengine's try again at once what is limited for a moment.
            Code::QuotaExceeded => numeric(400),
            _ => numeric(self.status.as_u16()),
        };
        let request = request.to_string();
        let mut body = json!({
            "error": {
                "code": self.code.name(),
                "type": self.code.kind(),
                "message": self.message,
                "param": self.param,
                "request_id": request,
                "audit_id": self.audit,
            },
            "code": number,
            "status": number,
            "message": self.message,
            "request_id": request,
            "data": null,
            "success": false,
        });
        if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut)
            && let Some(over) = &self.budget
        {
            error.insert("budget".to_owned(), standing(over));
        }
        let mut response = Response::builder()
            .status(self.status)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        // For whoever tells of the answer.
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        if let Some(own) = &self.headers {
            headers.extend(own.as_ref().clone());
        }
        if self.retry == Retry::Never {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// What is left of a budget that does not suffice, and when it begins anew.
fn standing(over: &OverBudget) -> Value {
    json!({
        "period": over.period.label(),
        "currency": over.currency.as_str(),
        "limit_microunits": over.limit,
        "left_microunits": over.left,
        "needed_microunits": over.needed,
        "resets_at": over.resets_at.to_string(),
    })
}

/// A length in seconds, rounded up: who waits so long has not come too early.
pub(super) fn whole_seconds(length: Duration) -> u64 {
    length.as_secs() + u64::from(length.subsec_nanos() > 0)
}

/// The way through poem: the edge finds the error in the response's extensions and renders it.
impl From<ApiError> for poem::Error {
    fn from(error: ApiError) -> Self {
        let mut carrier = Self::from_response(error.clone().into_response());
        // poem puts its error's extensions in the place of the response's.
        carrier.set_data(error);
        carrier
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status).finish();
        response.extensions_mut().insert(self);
        response
    }
}

/// Every status an operation may answer with besides its own success.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let statuses: &[(u16, &'static str)] = &[
            (400, "The request is wrong: `VALIDATION_FAILED`."),
            (401, "The credential is missing, unknown, or no longer valid."),
            (403, "The credential lacks the scope, or may not use the model."),
            (404, "Nothing is there, or nothing of the caller's."),
            (408, "The body did not come in time."),
            (
                409,
                "The idempotency key's first use is another request, in flight, or of unknown outcome.",
            ),
            (410, "It was there, and the provider keeps it no longer."),
            (413, "The body is larger than `MAX_BODY_BYTES`."),
            (415, "The body is of a type that the operation does not take."),
            (429, "A limit or a queue is full. `Retry-After` says when to come back."),
            (500, "Tollgate failed."),
            (502, "The upstream failed, or its reply cannot be used."),
            (
                503,
                "The call could not be recorded, no account is usable, or the process starts or drains.",
            ),
            (504, "The upstream did not answer before the deadline."),
        ];
        let response = |&(status, description): &(u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/json",
                schema: ErrorEnvelope::schema_ref(),
            }],
            headers: super::schema::error_headers(status),
        };
        MetaResponses {
            responses: statuses.iter().map(response).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ErrorEnvelope::register(registry);
    }
}

/// Names the job behind an answer.
pub(super) const JOB: HeaderName = HeaderName::from_static("tollgate-job");

/// Obeyed by OpenAI's SDKs.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::error::Rejected;
    use crate::relay::error::{Failure, RelayError};

    #[test]
    fn every_code_has_a_name_a_status_and_a_number_that_is_not_volcengines_own() {
        let mut names = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let status = code.status().as_u16();
            assert!((400..600).contains(&status), "{code:?}");
            assert!([50_400, 50_430, 50_499, 50_500].contains(&numeric(status)), "{code:?}");
            assert!(names.insert(code.name()), "{} stands twice", code.name());
        }
    }

    #[tokio::test]
    async fn an_error_carries_both_shapes_and_the_request_id() {
        let request = RequestId::from_bits(7);
        let error = ApiError::new(Code::RateLimited, "slower").after(Duration::from_millis(1200));
        let response = error.render(request);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        let body: serde_json::Value =
            serde_json::from_slice(&response.into_body().into_bytes().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "RATE_LIMITED");
        assert_eq!(body["error"]["type"], "rate_limit_error");
        assert_eq!(body["code"], 50_430);
        assert_eq!(body["request_id"], request.to_string());
        assert_eq!(body["success"], false);
    }

    #[test]
    fn a_key_over_its_quota_is_told_when_to_come_back_and_how_it_stands() {
        let meter = crate::admission::meter::Meter {
            limit: 90_000,
            remaining: 12,
            reset: Duration::from_secs(61),
        };
        let rejected = Rejected::OverQuota {
            quota: crate::admission::quota::Quota::TokensPerMinute,
            retry_after: Duration::from_millis(17_200),
            allowance: Allowance {
                requests: None,
                tokens: Some(meter),
            },
        };
        let error = ApiError::from(rejected);
        assert_eq!(error.message, "the key has used up its tokens per minute");
        let response = error.render(RequestId::from_bits(1));
        assert_eq!(response.status(), 429);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("retry-after"), "18");
        assert_eq!(header("x-ratelimit-limit-tokens"), "90000");
        assert_eq!(header("x-ratelimit-remaining-tokens"), "12");
        assert_eq!(header("x-ratelimit-reset-tokens"), "1m1s");
        assert!(!response.headers().contains_key("x-should-retry"));
    }

    #[test]
    fn an_error_after_a_commit_forbids_the_retry() {
        let error = RelayError::Upstream {
            cause: Failure::Broken,
            intent: Some(3),
        };
        let response = ApiError::from(error).render(RequestId::from_bits(1));
        assert_eq!(response.headers()["x-should-retry"], "false");
        let unsent = RelayError::Rejected(Rejected::NoAccount);
        assert!(
            !ApiError::from(unsent)
                .render(RequestId::from_bits(1))
                .headers()
                .contains_key("x-should-retry")
        );
    }
}
