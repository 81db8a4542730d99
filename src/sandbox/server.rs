//! The imitation's own HTTP server: HTTP/1.1 with keep-alive, straight on hyper.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Either, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::line::{Ending, Line};
use super::manner::Manner;
use super::reply::{self, Cut, Reply};
use super::witness::Visit;
use super::{World, aside, link, mangle, media, openai, volcengine};

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
    let call = Call::new(head, body.to_bytes(), arrived, account);
    if let Some(reply) = aside::answer(&world, &call) {
        return Ok(reply);
    }

    let visit = world.witness.note(&call);
    let (delay, fault) = world.faults.take(&call).unwrap_or_default();
    let pause = world.settings.latency.saturating_add(delay);
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let manner = fault.manner(&world.settings);
    let reply = if fault == Fault::None {
        Ok(honest(&world, &call, &manner))
    } else {
        // Boxed, because every other call would pay for its size.
        Box::pin(fault.strike(
            &ending,
            || honest(&world, &call, &manner),
            |told| error(&world, &call, told),
        ))
        .await
    };
    conclude(reply, visit)
}

/// The answer of an upstream that is well.
fn honest(world: &World, call: &Call, manner: &Manner) -> Reply {
    match call.head.uri.path() {
        "/" => volcengine::answer(world, call, manner),
        path if path.starts_with(link::FOLDER) => media::answer(world, call),
        _ => openai::answer(world, call, manner),
    }
}

/// An error in the words of the upstream that was called.
fn error(world: &World, call: &Call, told: &Answer) -> Reply {
    if call.head.uri.path() == "/" {
        volcengine::error(world, call, told.status, told.code)
    } else {
        openai::error(world, call, told)
    }
}

/// Ends the visit: now, or for a stream when its last frame is gone.
fn conclude(reply: Result<Reply, Cut>, mut visit: Visit) -> Result<Reply, Cut> {
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
            visit.stream();
            let frames = mangle::data(body).map(|piece| piece.map(Frame::data)).boxed();
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
