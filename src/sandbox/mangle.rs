//! Ways to harm an answer that was good.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use tokio::time::sleep;

use super::reply::{self, Cut, Frames, Reply};

/// Sends the head and the first half, then does `last` and cuts. A stream ends after its first two frames.
pub(super) async fn cut_midway(reply: Reply, last: impl FnOnce() + Send + 'static) -> Reply {
    let end = stream::once(async {
        // Gives the server a turn to flush what came before.
        tokio::task::yield_now().await;
        last();
        Err(Cut)
    });
    let (mut head, body) = reply.into_parts();
    let frames = match body {
        Either::Left(full) => {
            let whole = collect(full).await;
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
            pieces(whole.slice(..whole.len() / 2), whole.len()).chain(end).boxed()
        }
        Either::Right(body) => frames(body).take(2).chain(end).boxed(),
    };
    Reply::from_parts(head, Either::Right(StreamBody::new(frames)))
}

/// Sends the body in pieces of `size` bytes with `pause` before each, and without its length. A stream keeps its own
/// pieces.
pub(super) async fn drip(reply: Reply, size: usize, pause: Duration) -> Reply {
    let (head, body) = reply.into_parts();
    let frames = match body {
        Either::Left(full) => pieces(collect(full).await, size).boxed(),
        Either::Right(body) => frames(body),
    };
    let slow = frames.then(move |frame| async move {
        sleep(pause).await;
        frame
    });
    Reply::from_parts(head, Either::Right(StreamBody::new(slow.boxed())))
}

/// A JSON object of `bytes` bytes or a little more, made while it is sent.
pub(super) fn oversize(bytes: usize) -> Reply {
    let padding = bytes.saturating_sub(OPENING.len() + CLOSING.len());
    let filler = stream::unfold(padding, |left| async move {
        let size = left.min(FILLER.len());
        let piece = FILLER.get(..size).filter(|piece| !piece.is_empty())?;
        Some((Bytes::from_static(piece), left - size))
    });
    let opening = stream::iter([Bytes::from_static(OPENING)]);
    let closing = stream::iter([Bytes::from_static(CLOSING)]);
    let frames = opening.chain(filler).chain(closing).map(|piece| Ok(Frame::data(piece)));
    reply::stream(StatusCode::OK, reply::JSON, frames.boxed())
}

fn frames(body: StreamBody<Frames>) -> Frames {
    body.into_data_stream().map(|piece| piece.map(Frame::data)).boxed()
}

fn pieces(whole: Bytes, size: usize) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Cut>> + Send {
    stream::unfold(whole, move |mut rest| async move {
        let piece = rest.split_to(rest.len().min(size));
        (!piece.is_empty()).then(|| (Ok(Frame::data(piece)), rest))
    })
}

async fn collect(full: Full<Bytes>) -> Bytes {
    match full.collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(never) => match never {},
    }
}

const OPENING: &[u8] = br#"{"code":10000,"status":10000,"message":"Success","data":{"task_id":"1"},"padding":""#;
const CLOSING: &[u8] = br#""}"#;
const FILLER: &[u8] = &[b'x'; 64 * 1024];
