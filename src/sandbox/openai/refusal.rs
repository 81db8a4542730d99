//! The ways in which an OpenAI-compatible provider says no.

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::sandbox::reply::{self, Reply};

/// An error of OpenAI's API: a status, and what stands in the `error` object.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Refusal {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<String>,
}

impl Refusal {
    /// An error with the kind that goes with its status, and no code.
    pub(in crate::sandbox) fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            message: message.to_owned(),
            kind: kind_of(status),
            param: None,
            code: None,
        }
    }

    /// A parameter that is missing or wrong.
    pub(super) fn invalid(message: &str, param: &'static str) -> Self {
        Self {
            param: Some(param),
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// The same with a code.
    pub(super) fn with_code(self, code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..self
        }
    }

    /// A model that nobody has.
    pub(super) fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::new(StatusCode::NOT_FOUND, &message).with_code("model_not_found")
    }

    /// The content filter.
    pub(super) fn filtered(param: &'static str, code: &str) -> Self {
        Self::invalid("Your request was rejected as a result of our safety system.", param).with_code(code)
    }

    /// A missing or unknown key. Like OpenAI's, the message shows the ends of a long key.
    pub(super) fn of_key(headers: &HeaderMap) -> Self {
        let token = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let refused = |message: &str| Self {
            kind: "invalid_request_error",
            ..Self::new(StatusCode::UNAUTHORIZED, message)
        };
        let Some(token) = token else {
            return refused(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                 Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            );
        };
        let masked = match (
            token.get(..8),
            token.len().checked_sub(4).and_then(|end| token.get(end..)),
        ) {
            (Some(head), Some(tail)) if token.len() > 16 => {
                format!("{head}{}{tail}", "*".repeat(token.len().min(64) - 12))
            }
            _ => "*".repeat(token.len().min(64)),
        };
        refused(&format!(
            "Incorrect API key provided: {masked}. You can find your API key at \
             https://platform.openai.com/account/api-keys."
        ))
        .with_code("invalid_api_key")
    }

    /// The error that goes with a code, or without one with a status.
    pub(super) fn told(status: StatusCode, code: Option<&str>, model: Option<&str>) -> Self {
        let fits = |known: &&Known| match code {
            Some(code) => known.code == Some(code),
            None => known.status == status.as_u16(),
        };
        let Some(known) = KNOWN.iter().find(fits) else {
            return Self {
                code: code.map(str::to_owned),
                ..Self::new(status, "told to fail")
            };
        };
        Self {
            status,
            message: known.message.replace("{model}", model.unwrap_or("unknown")),
            kind: known.kind,
            param: None,
            code: known.code.map(str::to_owned),
        }
    }

    /// The error as the official clients read it.
    pub(in crate::sandbox) fn render(&self) -> Reply {
        let Self {
            status,
            message,
            kind,
            param,
            code,
        } = self;
        let error = json!({"message": message, "type": kind, "param": param, "code": code});
        reply::json(*status, &json!({"error": error}))
    }
}

fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// An error as a provider was seen to send it.
struct Known {
    status: u16,
    code: Option<&'static str>,
    kind: &'static str,
    message: &'static str,
}

const fn known(status: u16, code: Option<&'static str>, kind: &'static str, message: &'static str) -> Known {
    Known {
        status,
        code,
        kind,
        message,
    }
}

/// Of several with one status, the first is meant where no code is named. They are OpenAI's, but for `Arrearage`, which is
/// `DashScope`'s, with status 400, and for 402, which resellers send in the words of `api.deepseek.com`.
const KNOWN: &[Known] = &[
    known(
        401,
        Some("invalid_api_key"),
        "invalid_request_error",
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    known(
        401,
        Some("account_deactivated"),
        "invalid_request_error",
        "The OpenAI account associated with this API key has been deactivated.",
    ),
    known(
        402,
        Some("invalid_request_error"),
        "unknown_error",
        "Insufficient Balance",
    ),
    known(
        403,
        Some("model_not_found"),
        "invalid_request_error",
        "Project `proj_sandbox` does not have access to model `{model}`",
    ),
    known(
        403,
        Some("unsupported_country_region_territory"),
        "request_forbidden",
        "Country, region, or territory not supported",
    ),
    known(
        429,
        Some("rate_limit_exceeded"),
        "requests",
        "Rate limit reached for {model} in organization org-sandbox on requests per min (RPM): Limit 3, Used 3, \
         Requested 1. Please try again in 20s.",
    ),
    known(
        429,
        Some("insufficient_quota"),
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this \
         error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    ),
    known(
        400,
        Some("Arrearage"),
        "Arrearage",
        "Access denied, please make sure your account is in good standing.",
    ),
    known(
        500,
        None,
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
    ),
    known(
        503,
        None,
        "server_error",
        "The engine is currently overloaded, please try again later.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_shown_by_its_ends_and_a_short_one_not_at_all() {
        let told = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
            Refusal::of_key(&headers).message
        };
        assert!(told("sk-proj-abcdefgh-1234").contains(": sk-proj-*********1234."));
        assert!(told("sk-short").contains(": ********."));
    }

    #[test]
    fn a_quota_message_differs_from_a_rate_limit_by_type_and_code() {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let limit = Refusal::told(status, None, Some("m"));
        let quota = Refusal::told(status, Some("insufficient_quota"), Some("m"));
        assert_eq!(
            (limit.kind, limit.code.as_deref()),
            ("requests", Some("rate_limit_exceeded"))
        );
        assert!(limit.message.contains("reached for m in"));
        assert_eq!((quota.kind, quota.status), ("insufficient_quota", status));
    }
}
