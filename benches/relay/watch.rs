//! A client that watches streams: when each frame comes, and whether it comes alone.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tollgate::model::clock::{Clock, SystemClock};

use super::Result;
use super::canned::{Pace, is_one_frame, made};
use super::load::{CHAT, Target};

/// What was seen of streams.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// From each request to the first chunk of its answer's body.
    pub(crate) first: Vec<Duration>,
    /// When each frame with content came, and how long after it was made.
    pub(crate) arrivals: Vec<(Instant, Duration)>,
    /// Frames that the upstream sent.
    pub(crate) sent: u64,
    /// Chunks that were one whole frame.
    pub(crate) alone: u64,
}

impl Watched {
    pub(crate) fn add(&mut self, other: Self) {
        self.first.extend(other.first);
        self.arrivals.extend(other.arrivals);
        self.sent += other.sent;
        self.alone += other.alone;
    }

    /// Frames that did not come as a chunk of their own: lost, merged or parted.
    pub(crate) fn amiss(&self) -> u64 {
        self.sent.saturating_sub(self.alone)
    }
}

impl Target {
    /// Asks for streams on one new connection, each `rest` after the last has ended, until `until` or at least once.
    pub(crate) async fn watch(&self, pace: Pace, rest: Duration, until: Instant) -> Result<Watched> {
        let (mut sender, connection) = self.connect().await?;
        let mut connection = pin!(connection);
        let mut watched = Watched::default();
        loop {
            tokio::select! {
                one = self.watch_one(&mut sender, pace) => watched.add(one?),
                _ = &mut connection => return Err("a connection was closed".into()),
            }
            if Instant::now() >= until {
                return Ok(watched);
            }
            if !rest.is_zero() {
                sleep(rest).await;
            }
        }
    }

    async fn watch_one(&self, sender: &mut SendRequest<Full<Bytes>>, pace: Pace) -> Result<Watched> {
        let body = json!({
            "model": "gpt-bench", "stream": true, "metadata": pace,
            "messages": [{"role": "user", "content": "a lighthouse at dusk, please"}],
        });
        let request = self.request(CHAT, body.to_string().into());
        let asked = Instant::now();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let mut watched = Watched {
            sent: pace.all(),
            ..Watched::default()
        };
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let (now, wall) = (Instant::now(), SystemClock.wall());
            let Ok(chunk) = frame?.into_data() else { continue };
            if watched.first.is_empty() {
                watched.first.push(now - asked);
            }
            watched.alone += u64::from(is_one_frame(&chunk));
            watched
                .arrivals
                .extend(made(&chunk).map(|made| (now, wall.since(made))));
        }
        Ok(watched)
    }
}
