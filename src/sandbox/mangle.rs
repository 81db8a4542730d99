//! Ways to harm an answer that was good, whatever is in it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use tokio::time::sleep;

use super::reply::{self, Cut, Frames, Reply, ReplyBody};

/// Sends the head and the first half, of a stream two frames and half of the third; then does `last` and cuts.
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
        Either::Right(body) => {
            let halve = |(number, piece): (usize, Result<Bytes, Cut>)| {
                piece.map(|piece| match number {
                    2 => Frame::data(piece.slice(..piece.len() / 2)),
                    _ => Frame::data(piece),
                })
            };
            data(body).take(3).enumerate().map(halve).chain(end).boxed()
        }
    };
    Reply::from_parts(head, Either::Right(StreamBody::new(frames)))
}

/// Sends the head and so many frames, then nothing more.
pub(super) async fn stall(reply: Reply, frames: usize) -> Reply {
    let (mut head, body) = reply.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let first = unravel(body).await.take(frames).map(|piece| piece.map(Frame::data));
    let stalled = first.chain(stream::once(future::pending()));
    Reply::from_parts(head, Either::Right(StreamBody::new(stalled.boxed())))
}

/// Sends the body in pieces of `size` bytes with `pause` before each, and without its length.
pub(super) async fn drip(reply: Reply, size: usize, pause: Duration) -> Reply {
    let (head, body) = reply.into_parts();
    let small = unravel(body).await.flat_map(move |piece| match piece {
        Ok(piece) => pieces(piece, size).boxed(),
        Err(cut) => stream::iter([Err(cut)]).boxed(),
    });
    let slow = small.then(move |frame| async move {
        sleep(pause).await;
        frame
    });
    Reply::from_parts(head, Either::Right(StreamBody::new(slow.boxed())))
}

/// A JSON object of `bytes` bytes or a little more, made while it is sent: in place of a stream, as an event of one. In
/// place of what is not JSON, so many bytes of its type.
pub(super) fn oversize(honest: &Reply, bytes: usize) -> Reply {
    let (content_type, before, after) = match (honest.body(), honest.headers().get(CONTENT_TYPE)) {
        (Either::Right(_), Some(events)) => (events.clone(), EVENT_OPENING, EVENT_CLOSING),
        (Either::Left(_), Some(medium)) if *medium != reply::JSON => (medium.clone(), NOTHING, NOTHING),
        _ => (reply::JSON, OPENING, CLOSING),
    };
    let padding = bytes.saturating_sub(before.len() + after.len());
    let filler = stream::unfold(padding, |left| async move {
        let size = left.min(FILLER.len());
        let piece = FILLER.get(..size).filter(|piece| !piece.is_empty())?;
        Some((Bytes::from_static(piece), left - size))
    });
    let opening = stream::iter([Bytes::from_static(before)]);
    let closing = stream::iter([Bytes::from_static(after)]);
    let frames = opening.chain(filler).chain(closing).map(|piece| Ok(Frame::data(piece)));
    reply::stream(StatusCode::OK, content_type, frames.boxed())
}

/// The data of a streamed body.
pub(super) fn data(body: StreamBody<Frames>) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
    body.into_data_stream()
}

/// The data of any body, where a whole one is one piece.
async fn unravel(body: ReplyBody) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
    match body {
        Either::Left(full) => stream::iter([Ok(collect(full).await)]).left_stream(),
        Either::Right(body) => data(body).right_stream(),
    }
}

fn pieces(whole: Bytes, size: usize) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> + Send {
    stream::unfold(whole, move |mut rest| async move {
        let piece = rest.split_to(rest.len().min(size));
        (!piece.is_empty()).then(|| (Ok(Frame::data(piece)), rest))
    })
}

/// The bytes of a whole body.
pub(super) async fn collect(full: Full<Bytes>) -> Bytes {
    match full.collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(never) => match never {},
    }
}

const NOTHING: &[u8] = b"";
const OPENING: &[u8] = br#"{"code":10000,"status":10000,"message":"Success","data":{"task_id":"1"},"padding":""#;
const CLOSING: &[u8] = br#""}"#;
const EVENT_OPENING: &[u8] = br#"data: {"choices":[],"padding":""#;
const EVENT_CLOSING: &[u8] = b"\"}\n\n";
const FILLER: &[u8] = &[b'x'; 64 * 1024];
