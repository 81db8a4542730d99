//! Web pages of other origins: which may call the data plane from a browser (the Fetch standard, section 3.3).
//!
//! No answer allows credentials: keys travel in headers that a page sets itself, and no cookie of ours exists. The admin
//! plane, the document and the metrics are for no other origin at all.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Request, Response};

use super::ratelimit;
use super::security::RESOURCE_POLICY;
use crate::config::CorsOrigins;

/// Whose pages may read what.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: CorsOrigins,
    exposed: HeaderValue,
}

/// Whose pages may read one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Our own only, whoever asks.
    Unshared,
    /// Everybody's.
    Anybody,
    /// Those of this origin, which asked and is listed.
    Origin(HeaderValue),
    /// Not those of who asked; others would get another answer.
    Unlisted,
}

impl Cors {
    /// As the operator decided.
    #[must_use]
    pub fn new(origins: CorsOrigins) -> Self {
        let limits = [
            ratelimit::LIMIT,
            ratelimit::REMAINING,
            ratelimit::RESET,
            ratelimit::POLICY,
        ];
        let quotas = ratelimit::REQUESTS.into_iter().chain(ratelimit::TOKENS);
        let names: Vec<String> = limits
            .into_iter()
            .chain(quotas)
            .map(|name| name.to_string())
            .chain(EXPOSED.map(str::to_owned))
            .collect();
        Self {
            origins,
            // Names of headers, commas and spaces: always a header value.
            exposed: HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("x-request-id")),
        }
    }

    /// Whose pages may read the answer to a request.
    pub(super) fn sharing(&self, request: &Request) -> Sharing {
        match &self.origins {
            CorsOrigins::Nobody => Sharing::Unshared,
            _ if !is_shared(request.uri().path()) => Sharing::Unshared,
            CorsOrigins::Anybody => Sharing::Anybody,
            CorsOrigins::Listed(origins) => match request.headers().get(ORIGIN) {
                Some(origin) if origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) => {
                    Sharing::Origin(origin.clone())
                }
                _ => Sharing::Unlisted,
            },
        }
    }

    /// Adds what a browser needs to hand an answer to the page.
    pub(super) fn describe(&self, sharing: Sharing, headers: &mut HeaderMap) {
        let allowed = match sharing {
            Sharing::Unshared => return,
            Sharing::Anybody => HeaderValue::from_static("*"),
            Sharing::Origin(origin) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                origin
            }
            Sharing::Unlisted => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                return;
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
}

/// Answers a browser that asks whether a page may send a request, before any credential is looked at: it sends none.
///
/// `methods` tells those of a path, as `Allow` lists them. `None` for what is no such question, or is asked of a path
/// that is not shared or not there.
pub(super) fn preflight<'a>(
    request: &Request,
    sharing: &Sharing,
    methods: impl FnOnce(&str) -> &'a str,
) -> Option<Response> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || *sharing == Sharing::Unshared {
        return None;
    }
    let methods = Some(methods(request.uri().path())).filter(|methods| !methods.is_empty())?;
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    if *sharing == Sharing::Unlisted {
        return Some(response);
    }
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(methods) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let asked = request.headers().get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let asked = asked.filter_map(|value| value.to_str().ok());
    let allowed: Vec<String> = asked
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| may_be_sent(name))
        .take(MOST_HEADERS)
        .collect();
    if let (false, Ok(allowed)) = (allowed.is_empty(), HeaderValue::try_from(allowed.join(", "))) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    Some(response)
}

/// The data plane, vision with it.
fn is_shared(path: &str) -> bool {
    path == "/" || path.starts_with("/v1/") || path.starts_with("/api/")
}

/// Whether a page may set this header: what our clients' SDKs send, and nothing that a proxy writes.
fn may_be_sent(name: &str) -> bool {
    ALLOWED.contains(&name) || name.starts_with("x-stainless-")
}

/// What a page may set besides OpenAI's `X-Stainless-*`, in lower case.
const ALLOWED: [&str; 16] = [
    "accept",
    "accept-language",
    "authorization",
    "cache-control",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "user-agent",
    "x-api-key",
    "x-content-sha256",
    "x-date",
    "x-request-id",
    "x-requested-with",
];

/// What a page may read besides the headers of limits.
const EXPOSED: [&str; 6] = [
    "x-request-id",
    "retry-after",
    "idempotency-replayed",
    "tollgate-record",
    "x-should-retry",
    "x-tt-logid",
];

/// More names than any SDK asks for.
const MOST_HEADERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, origin: &str) -> Request {
        Request::builder()
            .method(Method::OPTIONS)
            .uri(path.parse().unwrap())
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                ACCESS_CONTROL_REQUEST_HEADERS,
                "Authorization, X-Stainless-Lang,X-Forwarded-For",
            )
            .finish()
    }

    fn listed() -> Cors {
        Cors::new(CorsOrigins::Listed(vec!["https://app.example".to_owned()]))
    }

    #[test]
    fn a_listed_origin_is_echoed_and_another_is_not() {
        let cors = listed();
        assert_eq!(
            cors.sharing(&ask("/v1/submit", "https://app.example")),
            Sharing::Origin(HeaderValue::from_static("https://app.example"))
        );
        for other in [
            "https://evil.example",
            "http://app.example",
            "null",
            "https://app.example.evil",
        ] {
            assert_eq!(cors.sharing(&ask("/v1/submit", other)), Sharing::Unlisted, "{other}");
        }
    }

    #[test]
    fn only_the_data_plane_is_shared() {
        let cors = Cors::new(CorsOrigins::Anybody);
        for path in [
            "/admin/keys",
            "/docs",
            "/openapi.json",
            "/metrics",
            "/health",
            "/ready",
            "/v1",
        ] {
            assert_eq!(
                cors.sharing(&ask(path, "https://app.example")),
                Sharing::Unshared,
                "{path}"
            );
        }
        for path in ["/", "/v1/submit", "/api/vision/analyze"] {
            assert_eq!(
                cors.sharing(&ask(path, "https://app.example")),
                Sharing::Anybody,
                "{path}"
            );
        }
    }

    #[test]
    fn a_page_may_set_the_headers_that_our_clients_set_and_none_of_a_proxy() {
        let response = preflight(&ask("/v1/submit", "https://app.example"), &Sharing::Anybody, |_| "POST").unwrap();
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_HEADERS],
            "authorization, x-stainless-lang"
        );
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_METHODS], "POST");
    }
}
