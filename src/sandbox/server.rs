//! The imitation's own HTTP server: HTTP/1.1 with keep-alive, straight on hyper.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Either, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fault::Fault;
use super::faults::Rule;
use super::line::{Ending, Line};
use super::reply::{self, Cut, Reply};
use super::seen::Visit;
use super::{World, openai, volcengine};

/// Takes connections until `stop`; each is served by a task of its own among `connections`.
pub(super) async fn accept(
    listener: TcpListener,
    world: Arc<World>,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(converse(stream, Arc::clone(&world), stop.clone()))),
            // Out of file descriptors: they come back when a connection ends.
            Err(_) => sleep(ACCEPT_BACKOFF).await,
        }
    }
}

/// Serves one connection until either side ends it.
async fn converse(stream: TcpStream, world: Arc<World>, stop: CancellationToken) {
    let ending = Ending::default();
    let Ok(line) = Line::new(stream, ending.clone()) else {
        return;
    };
    let service = service_fn(move |request| answer(Arc::clone(&world), ending.clone(), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(line), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // An error is a cut of ours or a caller that left: the witness has noted either.
        _ = connection => {}
    }
}

/// A request whose body has arrived.
#[derive(Debug)]
pub(super) struct Call {
    /// Method, target and headers.
    pub(super) head: Parts,
    /// The whole body.
    pub(super) body: Bytes,
    /// When the head had arrived.
    pub(super) arrived: Instant,
    /// The account whose credential it names, proved or not.
    pub(super) account: Option<Arc<str>>,
}

impl Call {
    /// What it is counted and matched by: a Volcengine action, or a path.
    fn action(&self) -> &str {
        match self.head.uri.path() {
            "/" => self.query("Action").unwrap_or("/"),
            path => path,
        }
    }

    /// The first value of a query parameter, as it stands in the URL.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.head
            .uri
            .query()?
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

async fn answer(world: Arc<World>, ending: Ending, request: Request<Incoming>) -> Result<Reply, Cut> {
    let arrived = world.clock.monotonic();
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(reply::json(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({"error": {"message": "no readable body"}}),
        ));
    };
    let account = world.accounts.named_by(&head.headers);
    let call = Call {
        head,
        body: body.to_bytes(),
        arrived,
        account,
    };
    let path = call.head.uri.path();
    if path.starts_with("/__") || path.starts_with("/media/") {
        return Ok(aside(&world, &call));
    }

    let account = call.account.as_ref();
    let visit = world
        .witness
        .note(call.action(), account, &call.head.headers, &call.body);
    let (delay, fault) = world
        .faults
        .take(call.action(), account.map(AsRef::as_ref))
        .unwrap_or_default();
    let pause = world.settings.latency.saturating_add(delay);
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let reply = if fault == Fault::None {
        Ok(honest(&world, &call))
    } else {
        // Boxed, because every other call would pay for its size.
        Box::pin(fault.strike(
            &ending,
            || honest(&world, &call),
            |status, code| error(&world, &call, status, code),
        ))
        .await
    };
    conclude(reply, visit)
}

/// The answer of an upstream that is well.
fn honest(world: &Arc<World>, call: &Call) -> Reply {
    match call.head.uri.path() {
        "/" => volcengine::answer(world, call),
        path if path.starts_with("/v1/") => openai::answer(world, call),
        _ => reply::not_found(),
    }
}

/// An error in the words of the upstream that was called.
fn error(world: &World, call: &Call, status: StatusCode, code: Option<u32>) -> Reply {
    if call.head.uri.path() == "/" {
        volcengine::error(world, call, status, code)
    } else {
        openai::error(status, "told to fail", None, "sandbox_fault")
    }
}

/// The routes beside the upstreams': pictures and films, and what people steer the imitation with. They do not count.
fn aside(world: &World, call: &Call) -> Reply {
    match (&call.head.method, call.head.uri.path()) {
        (&Method::GET, "/__seen") => match serde_json::to_string(&world.witness.snapshot()) {
            Ok(text) => reply::json_text(StatusCode::OK, text),
            Err(_) => openai::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "cannot show what was seen",
                None,
                "internal",
            ),
        },
        (&Method::POST, "/__faults") => match serde_json::from_slice::<Rule>(&call.body) {
            Ok(rule) => match world.faults.push(rule) {
                Ok(()) => pending_faults(world),
                Err(full) => openai::error(StatusCode::TOO_MANY_REQUESTS, &full.to_string(), None, "faults_full"),
            },
            Err(cause) => openai::error(StatusCode::BAD_REQUEST, &cause.to_string(), None, "invalid_fault"),
        },
        (&Method::DELETE, "/__faults") => {
            world.faults.clear();
            pending_faults(world)
        }
        (&Method::GET | &Method::HEAD, path) => match path.strip_prefix("/media/") {
            Some(name) => world.picture.serve(name),
            None => reply::not_found(),
        },
        _ => reply::not_found(),
    }
}

fn pending_faults(world: &World) -> Reply {
    reply::json(StatusCode::OK, &json!({"pending": world.faults.pending()}))
}

/// Ends the visit: now, or for a stream when its last frame is gone.
fn conclude(reply: Result<Reply, Cut>, visit: Visit) -> Result<Reply, Cut> {
    let (head, body) = match reply {
        Ok(reply) => reply.into_parts(),
        Err(cut) => {
            visit.finish();
            return Err(cut);
        }
    };
    let body = match body {
        Either::Left(full) => {
            visit.finish();
            Either::Left(full)
        }
        Either::Right(body) => {
            let frames = body.into_data_stream().map(|piece| piece.map(hyper::body::Frame::data));
            let watched = stream::unfold((frames, Some(visit)), |(mut frames, mut visit)| async move {
                let frame = frames.next().await;
                if !matches!(frame, Some(Ok(_)))
                    && let Some(visit) = visit.take()
                {
                    visit.finish();
                }
                Some((frame?, (frames, visit)))
            });
            Either::Right(StreamBody::new(watched.boxed()))
        }
    };
    Ok(Reply::from_parts(head, body))
}

/// Larger than anything the relay lets through.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
