//! Streams of server-sent events: made, and harmed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::reply::{self, Cut, Reply};

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
    map_stream(reply, |pieces| pieces.take(frames).boxed())
}

/// Leaves out the last event.
pub(super) fn without_done(reply: Reply) -> Reply {
    map_stream(reply, |pieces| {
        pieces.filter(|piece| future::ready(!is_done(piece))).boxed()
    })
}

/// Sends the last event twice.
pub(super) fn doubled_done(reply: Reply) -> Reply {
    let repeat = |piece| {
        let repeated = if is_done(&piece) {
            vec![Ok(DONE), Ok(DONE)]
        } else {
            vec![piece]
        };
        stream::iter(repeated)
    };
    map_stream(reply, |pieces| pieces.flat_map(repeat).boxed())
}

/// Puts JSON that stops in the middle in the place of the answer, or of a stream's third frame.
pub(super) fn garbage(reply: Reply) -> Reply {
    if matches!(reply.body(), Either::Left(_)) {
        return reply::json_text(StatusCode::OK, BROKEN_JSON);
    }
    let spoil = |(number, piece)| match number {
        2 => Ok(Bytes::from(format!("data: {BROKEN_JSON}\n\n"))),
        _ => piece,
    };
    map_stream(reply, |pieces| pieces.enumerate().map(spoil).boxed())
}

/// The data of a streamed body, piece by piece.
type Pieces = BoxStream<'static, Result<Bytes, Cut>>;

/// Applies `change` to the data of a stream; a whole body stays as it is.
fn map_stream(reply: Reply, change: impl FnOnce(Pieces) -> Pieces) -> Reply {
    reply.map(|body| match body {
        Either::Left(whole) => Either::Left(whole),
        Either::Right(body) => {
            let changed = change(body.into_data_stream().boxed());
            Either::Right(StreamBody::new(changed.map_ok(Frame::data).boxed()))
        }
    })
}

fn is_done(piece: &Result<Bytes, Cut>) -> bool {
    matches!(piece, Ok(piece) if *piece == DONE)
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
