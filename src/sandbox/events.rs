//! Streams of server-sent events: made, and harmed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::reply::{self, Cut, Frames, Reply};

/// An event without a name, as chat completions are streamed.
pub(super) fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// An event with a name, as responses are streamed.
pub(super) fn named(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Sends `events` with `interval` between them, each made when its time comes. An event with letters beyond ASCII comes
/// in two pieces, of which the first ends in the middle of such a letter.
pub(super) fn stream_of(events: impl Iterator<Item = Bytes> + Send + 'static, interval: Duration) -> Reply {
    let pieces = stream::iter(events)
        .enumerate()
        .then(move |(number, event)| async move {
            if number > 0 && !interval.is_zero() {
                sleep(interval).await;
            }
            split_letter(event)
        })
        .flat_map(|pieces| {
            let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).enumerate();
            stream::iter(pieces).then(|(number, piece)| async move {
                if number > 0 {
                    // Gives the server a turn to flush the first piece.
                    yield_now().await;
                }
                Ok::<_, Cut>(Frame::data(piece))
            })
        });
    reply::stream(StatusCode::OK, EVENT_STREAM, pieces.boxed())
}

/// Ends a stream after its first frames.
pub(super) fn end_early(reply: Reply, frames: usize) -> Reply {
    map_stream(reply, |stream| stream.take(frames).boxed())
}

/// Leaves out the last event.
pub(super) fn without_done(reply: Reply) -> Reply {
    map_stream(reply, |stream| {
        stream.filter(|frame| future::ready(!is_done(frame))).boxed()
    })
}

/// Sends the last event twice.
pub(super) fn doubled_done(reply: Reply) -> Reply {
    map_stream(reply, |stream| {
        let repeat = |frame| {
            let times = if is_done(&frame) { 2 } else { 1 };
            let data = frame.map(|frame| frame.into_data().unwrap_or_default());
            stream::iter((0..times).map(move |_| data.as_ref().map(|data| Frame::data(data.clone())).map_err(|_| Cut)))
        };
        stream.flat_map(repeat).boxed()
    })
}

/// Puts JSON that stops in the middle in the place of the answer, or of a stream's third frame.
pub(super) fn garbage(reply: Reply) -> Reply {
    if matches!(reply.body(), Either::Left(_)) {
        return reply::json_text(StatusCode::OK, BROKEN_JSON);
    }
    let broken = || Bytes::from(format!("data: {BROKEN_JSON}\n\n"));
    map_stream(reply, |stream| {
        let spoil = move |(number, frame)| if number == 2 { Ok(Frame::data(broken())) } else { frame };
        stream.enumerate().map(spoil).boxed()
    })
}

/// Applies `change` to the frames of a stream; a whole body stays as it is.
fn map_stream(reply: Reply, change: impl FnOnce(Frames) -> Frames) -> Reply {
    reply.map(|body| match body {
        Either::Left(whole) => Either::Left(whole),
        Either::Right(body) => {
            let frames = body.into_data_stream().map(|piece| piece.map(Frame::data)).boxed();
            Either::Right(StreamBody::new(change(frames)))
        }
    })
}

fn is_done(frame: &Result<Frame<Bytes>, Cut>) -> bool {
    let data = frame.as_ref().ok().and_then(Frame::data_ref);
    data.is_some_and(|data| *data == DONE)
}

/// Cuts after the first byte of the first letter beyond ASCII.
fn split_letter(mut event: Bytes) -> [Bytes; 2] {
    match event.iter().position(|byte| !byte.is_ascii()) {
        Some(place) => [event.split_to(place + 1), event],
        None => [event, Bytes::new()],
    }
}

/// The last event of a chat or text completion.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const BROKEN_JSON: &str = r#"{"id":"chatcmpl-1","choices":[{"index":0,"#;
