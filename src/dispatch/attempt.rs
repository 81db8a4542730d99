//! One try at an account, and what it brought.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::model::clock::Timestamp;
use crate::model::outcome::Outcome;
use crate::model::reply::Reply;
use crate::upstream::Verdict;
use crate::upstream::error::{Fault, Phase, UpstreamError};
use crate::upstream::openai::stream::Extra;
use crate::upstream::transport::Arriving;

/// What an attempt brought.
#[derive(Debug)]
pub struct Attempt {
    /// What came, or why nothing did.
    pub result: Result<Arrived, UpstreamError>,
    /// How long the upstream had it.
    pub took: Duration,
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Arrived {
    /// A whole reply with its meaning.
    Whole(Reply, Verdict),
    /// The head of a stream, which will have to say itself how it ended.
    Stream(Begun),
}

/// A stream whose head has come.
#[derive(Debug)]
pub struct Begun {
    /// Its status.
    pub status: StatusCode,
    /// The headers that may pass.
    pub headers: HeaderMap,
    /// Its bytes, as they come.
    pub body: Arriving,
    /// The provider's name for the request.
    pub upstream_request: Option<String>,
    /// Whether Tollgate asked for its usage, and the client did not.
    pub extra: Extra,
    /// The longest pause between two chunks of it.
    pub patience: Duration,
}

impl Attempt {
    /// One that its caller had no more time for, after bytes of it had left.
    #[must_use]
    pub const fn timed_out() -> Self {
        let error = UpstreamError {
            phase: Phase::Head,
            fault: Fault::Timeout,
        };
        Self {
            result: Err(error),
            took: Duration::ZERO,
        }
    }

    /// How it counts for a paid call, as far as that is known.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.result {
            Ok(Arrived::Whole(_, verdict)) => verdict.outcome,
            Ok(Arrived::Stream(_)) => Outcome::Succeeded,
            Err(error) if error.phase == Phase::Connect => Outcome::NotSent,
            Err(_) => Outcome::Unknown,
        }
    }

    /// What the upstream asked for with `Retry-After`, in seconds or as a date, as it came.
    #[must_use]
    pub fn retry_after(&self, wall: Timestamp) -> Option<Duration> {
        let Ok(Arrived::Whole(reply, _)) = &self.result else {
            return None;
        };
        retry_after(&reply.headers, wall)
    }
}

/// What a reply asks for with `Retry-After`, in seconds or as a date.
#[must_use]
pub fn retry_after(headers: &HeaderMap, wall: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(http_date(text)?.since(wall)),
    }
}

/// An HTTP date of the usual form, e.g. `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(moment.as_microsecond()))
}
