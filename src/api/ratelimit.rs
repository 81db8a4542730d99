//! What a client is told of its limits, as headers.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::whole_seconds;
use crate::admission::meter::Meter;
use crate::admission::quota::Allowance;

/// How an address stands, in the headers that express-rate-limit and the IETF's draft (version 6) know.
pub(super) fn describe_address(meter: &Meter, window: Duration, headers: &mut HeaderMap) {
    let policy = format!("{};w={}", meter.limit, whole_seconds(window));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(POLICY, policy);
    }
    headers.insert(LIMIT, HeaderValue::from(meter.limit));
    headers.insert(REMAINING, HeaderValue::from(meter.remaining));
    headers.insert(RESET, HeaderValue::from(whole_seconds(meter.reset)));
}

/// How a key stands against its quotas, in the headers that OpenAI's clients read. Put them on every answer to a call
/// that was charged.
pub fn describe_key(allowance: &Allowance, headers: &mut HeaderMap) {
    for (meter, [limit, remaining, reset]) in [(allowance.requests, REQUESTS), (allowance.tokens, TOKENS)] {
        let Some(meter) = meter else { continue };
        headers.insert(limit, HeaderValue::from(meter.limit));
        headers.insert(remaining, HeaderValue::from(meter.remaining));
        if let Ok(length) = HeaderValue::try_from(length(meter.reset)) {
            headers.insert(reset, length);
        }
    }
}

/// A length as OpenAI writes it: `0s`, `59s`, `6m0s`, `23h15m0s`.
fn length(length: Duration) -> String {
    let seconds = whole_seconds(length);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

pub(super) const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(super) const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(super) const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Of requests: the limit, what is left, when all of it is back.
pub(super) const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

/// Of tokens: the same.
pub(super) const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_openai_writes_them_and_never_too_short() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1s"),
            (59_001, "1m0s"),
            (360_000, "6m0s"),
            (83_700_000, "23h15m0s"),
        ] {
            assert_eq!(length(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn only_the_quotas_that_a_key_has_are_described() {
        let meter = Meter {
            limit: 60,
            remaining: 59,
            reset: Duration::from_secs(61),
        };
        let mut headers = HeaderMap::new();
        describe_key(
            &Allowance {
                requests: Some(meter),
                tokens: None,
            },
            &mut headers,
        );
        let all: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            all,
            [
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-remaining-requests", "59"),
                ("x-ratelimit-reset-requests", "1m1s")
            ]
        );
    }
}
