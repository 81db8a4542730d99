//! An upstream that does next to nothing: every answer is ready before it is asked for, so that two kinds of calls cost
//! the same behind the relay. A task is never done. Only the frames of a stream are made when they are due, each with the moment it is sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tollgate::model::clock::{Clock, SystemClock, Timestamp};

use super::{Result, table};

/// Its name on the command line.
pub(crate) const ROLE: &str = "role-canned";

/// How a stream is to come. A request says so in its `metadata`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Pace {
    /// Frames with content. Two more end the stream.
    pub(crate) frames: u32,
    /// Milliseconds between two of them. The first comes at once.
    pub(crate) pause: u32,
}

impl Pace {
    /// Frames that a client sees.
    pub(crate) fn all(self) -> u64 {
        u64::from(self.frames) + 2
    }
}

/// What the process does.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    table::say(&listener.local_addr()?.to_string());
    let connections = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        drop(connections.spawn(connection));
    }
}

type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, hyper::Result<Frame<Bytes>>>>>;

/// What matters of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    stream: bool,
    stream_options: Options,
    metadata: Pace,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    include_usage: bool,
}

/// What is asked for, but for streams.
#[derive(Clone, Copy)]
enum Kind {
    Chat,
    Picture,
    Submit,
    Query,
}

impl Kind {
    fn of(uri: &Uri) -> Self {
        let asks = |action: &str| uri.query().is_some_and(|query| query.contains(action));
        if uri.path() == "/v1/chat/completions" {
            Self::Chat
        } else if asks("Action=CVSync2AsyncSubmitTask") {
            Self::Submit
        } else if asks("Action=CVSync2AsyncGetResult") {
            Self::Query
        } else {
            Self::Picture
        }
    }

    fn answer(self) -> Bytes {
        match self {
            Self::Chat => Bytes::from_static(COMPLETION.as_bytes()),
            Self::Picture => Bytes::from_static(PICTURE.as_bytes()),
            Self::Submit => {
                let task = TASKS.fetch_add(1, Ordering::Relaxed);
                Bytes::from(format!("{BEFORE_TASK}{task}{AFTER_TASK}"))
            }
            Self::Query => Bytes::from_static(GENERATING.as_bytes()),
        }
    }
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Body>> {
    let kind = Kind::of(request.uri());
    let body = request.into_body().collect().await?.to_bytes();
    let asked: Asked = serde_json::from_slice(&body).unwrap_or_default();
    let (media, body) = if asked.stream {
        ("text/event-stream", Either::Right(StreamBody::new(frames(&asked))))
    } else {
        ("application/json", Either::Left(Full::new(kind.answer())))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

/// The frames with content, each at its time, and the end: the reason, the usage if it is wanted, and the last word.
fn frames(asked: &Asked) -> BoxStream<'static, hyper::Result<Frame<Bytes>>> {
    let Pace { frames, pause } = asked.metadata;
    let (begun, pause) = (Instant::now(), Duration::from_millis(pause.into()));
    let content = stream::iter(0..frames).then(move |number| async move {
        if number > 0 && !pause.is_zero() {
            sleep_until(begun + pause * number).await;
        }
        Bytes::from(stamped(SystemClock.wall()))
    });
    let end = [
        Some(FINISH),
        asked.stream_options.include_usage.then_some(USAGE),
        Some(DONE),
    ];
    let end = stream::iter(end.into_iter().flatten().map(Bytes::from_static));
    content.chain(end).map(|bytes| Ok(Frame::data(bytes))).boxed()
}

/// A frame whose word is the moment it was made, in microseconds.
fn stamped(moment: Timestamp) -> String {
    format!("{BEFORE}{}{AFTER}", moment.as_micros())
}

/// The moment at which a frame was made; `None` of one without content.
pub(crate) fn made(frame: &[u8]) -> Option<Timestamp> {
    let word = frame.strip_prefix(BEFORE.as_bytes())?.strip_suffix(AFTER.as_bytes())?;
    let micros = str::from_utf8(word).ok()?.parse().ok()?;
    Some(Timestamp::from_micros(micros))
}

/// Whether a chunk is one frame, neither a part of one nor several.
pub(crate) fn is_one_frame(chunk: &[u8]) -> bool {
    chunk.starts_with(b"data: ") && chunk.iter().position(|&byte| byte == b'\n') == chunk.len().checked_sub(2)
}

const BEFORE: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-bench","choices":[{"index":0,"delta":{"content":""#;
const AFTER: &str = "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
const FINISH: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"gpt-bench\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"gpt-bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,\"total_tokens\":21}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// A chat completion, 0.45 KB.
const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"gpt-bench","choices":[{"index":0,"message":{"role":"assistant","content":"A lighthouse stands on a rock at dusk, and its lamp has just been lit.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":17,"total_tokens":31,"prompt_tokens_details":{"cached_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}"#;

/// A picture's link as `CVProcess` gives it, 0.45 KB.
const PICTURE: &str = r#"{"code":10000,"data":{"algorithm_base_resp":{"status_code":0,"status_message":"Success"},"binary_data_base64":[],"image_urls":["https://example.com/lighthouse-at-dusk-oil-on-canvas-0001.png?X-Tos-Algorithm=TOS4-HMAC-SHA256&X-Tos-Expires=86400"],"request_id":"2026010100000000000000000000000001","status":"done"},"message":"Success","request_id":"2026010100000000000000000000000001","status":10000,"time_elapsed":"1.234567ms","version":"2022-08-31"}"#;

/// The number of the next task: like those of the upstream, ids are long and count up.
static TASKS: AtomicU64 = AtomicU64::new(7_000_000_000_000_000_000);

const BEFORE_TASK: &str = r#"{"code":10000,"data":{"task_id":""#;
const AFTER_TASK: &str = r#""},"message":"Success","request_id":"2026010100000000000000000000000001","status":10000,"time_elapsed":"1.2ms"}"#;

/// How a task stands, always.
const GENERATING: &str = r#"{"code":10000,"data":{"binary_data_base64":null,"image_urls":null,"status":"generating"},"message":"Success","request_id":"2026010100000000000000000000000001","status":10000,"time_elapsed":"1.2ms"}"#;
