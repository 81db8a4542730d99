//! The way to one account: where it is, how a request for it looks, and how long it may take.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};

use super::attempt::{Arrived, Begun};
use crate::model::call::Call;
use crate::model::clock::Timestamp;
use crate::model::control;
use crate::model::id::AccountId;
use crate::model::upstream::{StreamUsage, UpstreamName};
use crate::telemetry::metrics;
use crate::upstream::error::{Fault, Phase, UpstreamError};
use crate::upstream::mark::SentMark;
use crate::upstream::openai::splice::{self, Spliced, Wanted};
use crate::upstream::openai::stream::Extra;
use crate::upstream::openai::wire::Bearer;
use crate::upstream::transport::{Outbound, Patience, Transport};
use crate::upstream::{openai, volcengine};

/// The way to one account.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) account: AccountId,
    pub(super) upstream: UpstreamName,
    pub(super) label: String,
    pub(super) patience: Patience,
    pub(super) wire: Wire,
}

/// How a request looks on it.
#[derive(Debug)]
pub(super) enum Wire {
    Volcengine(Box<volcengine::Wire>),
    OpenAi {
        wire: Box<openai::wire::Wire>,
        bearer: Bearer,
        stream_usage: StreamUsage,
    },
}

/// What a call's target changes of its body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target<'a> {
    /// What the model is called there.
    pub(super) model: &'a str,
    /// What `max_tokens` is capped at.
    pub(super) max_tokens: Option<NonZeroU32>,
}

/// A request, ready to be sent.
struct Prepared {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    extra: Extra,
}

impl Line {
    /// Sends a call once. `mark` tells whether a byte of it left.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; what happened is then what the mark says.
    pub(super) async fn send(
        &self,
        call: &Call,
        target: Target<'_>,
        transport: &dyn Transport,
        now: Timestamp,
        mark: SentMark,
    ) -> Result<Arrived, UpstreamError> {
        let Prepared {
            uri,
            headers,
            body,
            extra,
        } = self.prepare(call, target, now).ok_or(UNSENT)?;
        let outbound = Outbound {
            uri,
            headers,
            body,
            mark,
            patience: self.patience,
        };
        match &self.wire {
            Wire::Volcengine(_) => {
                let received = transport.send(outbound).await?;
                self.took(call, received.first_byte, Some(received.total));
                let verdict = volcengine::read(call.operation, received.status, &received.headers, &received.body);
                Ok(Arrived::Whole(volcengine::reply(&received), verdict))
            }
            Wire::OpenAi { .. } => {
                let opened = transport.open(outbound).await?;
                if let Some(verdict) = openai::verdict::opened(opened.status, &opened.headers) {
                    self.took(call, opened.first_byte, None);
                    return Ok(Arrived::Stream(Begun {
                        status: opened.status,
                        headers: openai::passing(&opened.headers),
                        upstream_request: verdict.upstream_request,
                        body: opened.body,
                        extra,
                        patience: self.patience.first_byte,
                    }));
                }
                let received = opened.collect(self.patience).await?;
                self.took(call, received.first_byte, Some(received.total));
                let verdict = openai::verdict::read(received.status, &received.headers, &received.body);
                Ok(Arrived::Whole(openai::reply(&received), verdict))
            }
        }
    }

    fn prepare(&self, call: &Call, target: Target<'_>, now: Timestamp) -> Option<Prepared> {
        match &self.wire {
            Wire::Volcengine(wire) => {
                let (uri, headers) = wire.request(call.operation, &call.body, call.accept.as_ref(), now)?;
                Some(Prepared {
                    uri,
                    headers,
                    body: call.body.clone(),
                    extra: Extra::Shown,
                })
            }
            Wire::OpenAi {
                wire,
                bearer,
                stream_usage,
            } => {
                let (uri, headers) = wire.request(call.operation, bearer, call.delivery, &call.passing)?;
                let control = control::scan(&call.body).ok()?;
                let wanted = Wanted {
                    model: target.model,
                    max_tokens: target.max_tokens,
                    stream_usage: *stream_usage,
                };
                let Spliced { body, extra } = splice::splice(call.operation, &call.body, &control, &wanted);
                Some(Prepared {
                    uri,
                    headers,
                    body,
                    extra,
                })
            }
        }
    }

    fn took(&self, call: &Call, first_byte: Duration, total: Option<Duration>) {
        metrics::upstream_first_byte(self.upstream.as_str(), call.operation, first_byte);
        if let Some(total) = total {
            metrics::upstream_duration(self.upstream.as_str(), call.operation, total);
        }
    }
}

/// What cannot be sent was not.
pub(super) const UNSENT: UpstreamError = UpstreamError {
    phase: Phase::Connect,
    fault: Fault::Broken,
};
