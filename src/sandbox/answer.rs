//! An answer that is told, not made.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::reply::{self, Reply};

/// An answer that stands in for the true one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Its status, 200 to 599.
    #[serde(deserialize_with = "final_status")]
    pub status: StatusCode,
    /// The code in Volcengine's envelope; by default the one that goes with the status.
    #[serde(default)]
    pub code: Option<u32>,
    /// The code in OpenAI's error object, e.g. `insufficient_quota`; by default the one that goes with the status.
    #[serde(default)]
    pub error: Option<String>,
    /// The `Retry-After` header.
    #[serde(default, deserialize_with = "some_header")]
    pub retry_after: Option<HeaderValue>,
    /// The body as it is; by default an error in the upstream's own envelope.
    #[serde(default)]
    pub body: Option<String>,
    /// The body's type; by default JSON. Without a `body` it has no effect.
    #[serde(default, deserialize_with = "some_header")]
    pub content_type: Option<HeaderValue>,
}

impl Answer {
    /// The answer itself, where `error` makes an error of the call's dialect.
    pub(super) fn render(self, error: impl FnOnce(&Self) -> Reply) -> Reply {
        let mut reply = match self.body {
            Some(body) => reply::whole(self.status, self.content_type.unwrap_or(reply::JSON), body),
            None => error(&self),
        };
        if let Some(moment) = self.retry_after {
            reply.headers_mut().insert(RETRY_AFTER, moment);
        }
        reply
    }
}

fn final_status<'de, D: Deserializer<'de>>(from: D) -> Result<StatusCode, D::Error> {
    let status = StatusCode::from_u16(u16::deserialize(from)?).map_err(D::Error::custom)?;
    if !(200..600).contains(&status.as_u16()) {
        return Err(D::Error::custom("an answer's status lies between 200 and 599"));
    }
    Ok(status)
}

/// Reads the value of a header.
pub(super) fn header<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderValue, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn some_header<'de, D: Deserializer<'de>>(from: D) -> Result<Option<HeaderValue>, D::Error> {
    header(from).map(Some)
}
