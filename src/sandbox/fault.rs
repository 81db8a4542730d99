//! What can go wrong with one call.

use std::future::pending;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::line::Ending;
use super::mangle;
use super::reply::{self, Cut, Reply};

/// What happens to a call whose body has arrived and was counted. As JSON: `{"kind":"drip","bytes":1,"pause_ms":20}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing but the rule's delay.
    #[default]
    None,
    /// Another answer stands in for the true one; the call has no effect.
    Answer(Answer),
    /// No answer ever; the connection stays open.
    Hang,
    /// The connection is reset (RST) before the first byte of an answer.
    Reset,
    /// The connection is reset (RST) in the middle of the answer's body.
    ResetMidBody,
    /// The connection is closed in the middle of the answer's body.
    Truncate,
    /// The answer's body comes in pieces of `bytes`, with `pause_ms` milliseconds before each.
    Drip {
        /// Size of a piece, at least 1.
        bytes: usize,
        /// Milliseconds before each piece.
        pause_ms: u64,
    },
    /// A web page with status 200, as a captive portal answers.
    Html,
    /// A redirect (307) to `to`.
    Redirect {
        /// The value of `Location`.
        #[serde(deserialize_with = "header")]
        to: HeaderValue,
    },
    /// A JSON object of at least `bytes` bytes with status 200, sent without its length.
    Oversize {
        /// Its size.
        bytes: usize,
    },
    /// The true answer, which falsely says that it is compressed.
    Gzip,
}

impl Fault {
    /// An error with `status` in the upstream's own envelope.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self::Answer(Answer {
            status,
            ..Answer::default()
        })
    }

    /// 429 with code 50430, with which Volcengine refuses a call beyond its limit of concurrency.
    #[must_use]
    pub fn concurrency_limit() -> Self {
        Self::Answer(Answer {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: Some(50430),
            ..Answer::default()
        })
    }

    /// 500 with code 50500, after which nobody knows what became of the call.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::Answer(Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: Some(50500),
            ..Answer::default()
        })
    }

    /// The answer to a call that suffers this: `honest` makes the true one, `error` an error of the call's dialect.
    ///
    /// # Errors
    /// [`Cut`] when there is no answer but the end of the connection.
    pub(super) async fn strike(
        self,
        ending: &Ending,
        honest: impl FnOnce() -> Reply,
        error: impl FnOnce(StatusCode, Option<u32>) -> Reply,
    ) -> Result<Reply, Cut> {
        match self {
            Self::None => Ok(honest()),
            Self::Answer(answer) => Ok(answer.render(error)),
            Self::Hang => pending().await,
            Self::Reset => {
                ending.reset();
                Err(Cut)
            }
            Self::ResetMidBody => {
                let ending = ending.clone();
                Ok(mangle::cut_midway(honest(), move || ending.reset()).await)
            }
            Self::Truncate => Ok(mangle::cut_midway(honest(), || ()).await),
            Self::Drip { bytes, pause_ms } => {
                Ok(mangle::drip(honest(), bytes.max(1), Duration::from_millis(pause_ms)).await)
            }
            Self::Html => Ok(reply::whole(StatusCode::OK, HTML, PAGE)),
            Self::Redirect { to } => {
                let mut reply = error(StatusCode::TEMPORARY_REDIRECT, None);
                reply.headers_mut().insert(LOCATION, to);
                Ok(reply)
            }
            Self::Oversize { bytes } => Ok(mangle::oversize(bytes)),
            Self::Gzip => {
                let mut reply = honest();
                reply
                    .headers_mut()
                    .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Ok(reply)
            }
        }
    }
}

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
    fn render(self, error: impl FnOnce(StatusCode, Option<u32>) -> Reply) -> Reply {
        let mut reply = match self.body {
            Some(body) => reply::whole(self.status, self.content_type.unwrap_or(reply::JSON), body),
            None => error(self.status, self.code),
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

fn header<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderValue, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn some_header<'de, D: Deserializer<'de>>(from: D) -> Result<Option<HeaderValue>, D::Error> {
    header(from).map(Some)
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const PAGE: &str = "<!doctype html><title>Welcome</title><p>Please accept the terms of this network.</p>";
