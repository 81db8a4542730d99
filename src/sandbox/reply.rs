//! What the imitation answers with: whole bodies, or streams of frames.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

/// An answer.
pub(super) type Reply = Response<ReplyBody>;

/// Its body.
pub(super) type ReplyBody = Either<Full<Bytes>, StreamBody<Frames>>;

/// The parts of a streamed body; an `Err` cuts the connection.
pub(super) type Frames = BoxStream<'static, Result<Frame<Bytes>, Cut>>;

/// A connection that the imitation cuts on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(super) struct Cut;

/// A whole body of the given type.
pub(super) fn whole(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    typed(status, content_type, Either::Left(Full::new(body.into())))
}

/// A JSON text.
pub(super) fn json_text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    whole(status, JSON, text)
}

/// A JSON value.
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    json_text(status, value.to_string())
}

/// A body that arrives in parts.
pub(super) fn stream(status: StatusCode, content_type: HeaderValue, frames: Frames) -> Reply {
    typed(status, content_type, Either::Right(StreamBody::new(frames)))
}

/// The text of a route that does not exist, in the shape that both dialects' clients read.
pub(super) fn not_found() -> Reply {
    json_text(
        StatusCode::NOT_FOUND,
        r#"{"error":{"message":"the sandbox has no such route","type":"invalid_request_error","param":null,"code":"not_found"}}"#,
    )
}

fn typed(status: StatusCode, content_type: HeaderValue, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// The media type of nearly every answer.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
