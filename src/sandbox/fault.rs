//! What can go wrong with one call.

use std::future::pending;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::answer::{Answer, header};
use super::course::{Course, Ends};
use super::line::Ending;
use super::manner::Manner;
use super::pace::Pace;
use super::reply::{self, Cut, Reply};
use super::{Settings, events, gzip, mangle};

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
    /// The head and so many frames, then nothing more; the connection stays open. A body that is no stream is one frame.
    Stall {
        /// How many frames come.
        frames: usize,
    },
    /// The connection is reset (RST) before the first byte of an answer.
    Reset,
    /// The connection is reset (RST) in the middle of the answer's body, in a stream in the middle of its third frame.
    ResetMidBody,
    /// The connection is closed in the middle of the answer's body, in a stream in the middle of its third frame.
    Truncate,
    /// A stream ends after so many frames as if it were whole. A body that is no stream stays whole.
    EndEarly {
        /// How many frames come.
        frames: usize,
    },
    /// A stream ends without its `[DONE]` as if it were whole.
    WithoutDone,
    /// A stream says `[DONE]` twice.
    DoubledDone,
    /// The answer's body comes in pieces of `bytes`, with `pause_ms` milliseconds before each. They end where they end,
    /// be it in the middle of a character.
    Drip {
        /// Size of a piece, at least 1.
        bytes: usize,
        /// Milliseconds before each piece.
        pause_ms: u64,
    },
    /// A stream has another length or speed than the others.
    Pace(Pace),
    /// The task that the call begins goes otherwise than the others. A call that begins none does not notice.
    Task(Course),
    /// The links in the answer live so long and no longer: with 0 they are dead on arrival.
    Links {
        /// Milliseconds; the end is rounded down to a second.
        lifetime_ms: u64,
    },
    /// A web page with status 200, as a captive portal answers.
    Html,
    /// JSON that stops in the middle, with status 200; in a stream, that is its third frame.
    Garbage,
    /// A redirect (307) to `to`.
    Redirect {
        /// The value of `Location`.
        #[serde(deserialize_with = "header")]
        to: HeaderValue,
    },
    /// A JSON object of at least `bytes` bytes with status 200, sent without its length. In place of a stream, one event
    /// of that size; in place of a picture or film, so many bytes of its type.
    Oversize {
        /// Its size.
        bytes: usize,
    },
    /// The true answer, which falsely says that it is compressed.
    Gzip,
    /// The true answer, compressed with gzip whatever the caller accepts.
    Compressed,
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

    /// 429 with OpenAI's `insufficient_quota`: the account's money is spent, and waiting does not help.
    #[must_use]
    pub fn quota_spent() -> Self {
        Self::Answer(Answer {
            status: StatusCode::TOO_MANY_REQUESTS,
            error: Some("insufficient_quota".to_owned()),
            ..Answer::default()
        })
    }

    /// 429 with OpenAI's `rate_limit_exceeded` and this `Retry-After`.
    #[must_use]
    pub fn rate_limit(retry_after: HeaderValue) -> Self {
        Self::Answer(Answer {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(retry_after),
            ..Answer::default()
        })
    }

    /// A task that ends so, after the time that every task takes.
    #[must_use]
    pub fn task(ends: Ends) -> Self {
        Self::Task(Course { ends, after: None })
    }

    /// Links that are dead on arrival.
    #[must_use]
    pub const fn dead_links() -> Self {
        Self::Links { lifetime_ms: 0 }
    }

    /// How a true answer is made under it.
    pub(super) fn manner(&self, settings: &Settings) -> Manner {
        let usual = Manner::usual(settings);
        match *self {
            Self::Pace(pace) => Manner { pace, ..usual },
            Self::Task(course) => Manner { course, ..usual },
            Self::Links { lifetime_ms } => Manner {
                link_lifetime: Some(Duration::from_millis(lifetime_ms)),
                ..usual
            },
            _ => usual,
        }
    }

    /// The answer to a call that suffers this: `honest` makes the true one, `error` an error of the call's dialect.
    ///
    /// # Errors
    /// [`Cut`] when there is no answer but the end of the connection.
    pub(super) async fn strike(
        self,
        ending: &Ending,
        honest: impl FnOnce() -> Reply,
        error: impl FnOnce(&Answer) -> Reply,
    ) -> Result<Reply, Cut> {
        match self {
            Self::None | Self::Pace(_) | Self::Task(_) | Self::Links { .. } => Ok(honest()),
            Self::Answer(answer) => Ok(answer.render(error)),
            Self::Hang => pending().await,
            Self::Stall { frames } => Ok(mangle::stall(honest(), frames).await),
            Self::Reset => {
                ending.reset();
                Err(Cut)
            }
            Self::ResetMidBody => {
                let ending = ending.clone();
                Ok(mangle::cut_midway(honest(), move || ending.reset()).await)
            }
            Self::Truncate => Ok(mangle::cut_midway(honest(), || ()).await),
            Self::EndEarly { frames } => Ok(events::end_early(honest(), frames)),
            Self::WithoutDone => Ok(events::without_done(honest())),
            Self::DoubledDone => Ok(events::doubled_done(honest())),
            Self::Drip { bytes, pause_ms } => {
                Ok(mangle::drip(honest(), bytes.max(1), Duration::from_millis(pause_ms)).await)
            }
            Self::Html => Ok(reply::whole(StatusCode::OK, HTML, PAGE)),
            Self::Garbage => Ok(events::garbage(honest())),
            Self::Redirect { to } => {
                let mut reply = error(&Answer {
                    status: StatusCode::TEMPORARY_REDIRECT,
                    ..Answer::default()
                });
                reply.headers_mut().insert(LOCATION, to);
                Ok(reply)
            }
            Self::Oversize { bytes } => Ok(mangle::oversize(&honest(), bytes)),
            Self::Gzip => {
                let mut reply = honest();
                reply
                    .headers_mut()
                    .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Ok(reply)
            }
            Self::Compressed => Ok(gzip::compress(honest()).await),
        }
    }
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const PAGE: &str = "<!doctype html><title>Welcome</title><p>Please accept the terms of this network.</p>";
