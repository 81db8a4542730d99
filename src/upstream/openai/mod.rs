//! OpenAI's HTTP API, as many providers speak it: a bearer key, a path for each operation, JSON both ways, and answers
//! that may come as server-sent events.

pub mod context;
pub mod estimate;
mod event;
mod lenient;
pub mod splice;
pub mod sse;
pub mod stream;
pub mod usage;
pub mod verdict;
pub mod wire;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

use super::transport::Received;
use crate::model::reply::Reply;

/// A reply with only the headers that may pass downstream.
#[must_use]
pub fn reply(received: &Received) -> Reply {
    Reply {
        status: received.status,
        headers: passing(&received.headers),
        body: received.body.clone(),
    }
}

/// Those headers of a reply that may pass downstream.
#[must_use]
pub fn passing(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: HeaderName| headers.get(&name).map(|value| (name, value.clone()));
    PASSING
        .into_iter()
        .filter_map(passes)
        .collect::<HeaderMap<HeaderValue>>()
}

/// What of a reply's head reaches the client. The rest is between the upstream and the account: its limits, its
/// organisation, its cookies, and the upstream's name for the request, beside which ours would be lost.
const PASSING: [HeaderName; 4] = [
    CONTENT_TYPE,
    RETRY_AFTER,
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-model"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_reply_s_headers_only_those_pass_that_say_nothing_of_the_account() {
        let mut headers = HeaderMap::new();
        for name in [
            "content-type",
            "retry-after",
            "openai-processing-ms",
            "openai-model",
            "openai-organization",
            "x-request-id",
            "x-ratelimit-remaining-requests",
            "set-cookie",
            "content-length",
            "transfer-encoding",
            "location",
        ] {
            headers.insert(name, HeaderValue::from_static("value"));
        }
        let passed = passing(&headers);
        let names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(
            names,
            ["content-type", "retry-after", "openai-processing-ms", "openai-model"]
        );
    }
}
