//! The server over real loopback sockets. Limits are hours except the one that a test is about.

mod connections;
mod drain;
mod http2;

use std::future::pending;
use std::io::ErrorKind;

use poem::endpoint::{make, make_sync};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;

/// Long enough never to pass in a test.
const HOUR: Duration = Duration::from_hours(1);

fn patient() -> Limits {
    Limits {
        header_timeout: HOUR,
        idle: HOUR,
        stall: HOUR,
        ..Limits::default()
    }
}

/// Serves `endpoint` on a free port of this machine.
fn start<E>(endpoint: E, limits: Limits) -> (Server<E>, u16)
where
    E: Endpoint<Output = Response> + 'static,
{
    let listener = bind("127.0.0.1", 0).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::new(Arc::new(endpoint), limits);
    server.listen(listener).unwrap();
    (server, port)
}

fn hello() -> impl Endpoint<Output = Response> + 'static {
    make_sync(|_| Response::from("hello"))
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

/// Everything the server sends until it closes; a reset counts as closing.
async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(all).unwrap()
}

/// Reads until what has come ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = String::new();
    while !all.ends_with(end) {
        let byte = stream.read_u8().await.unwrap();
        all.push(byte.into());
    }
    all
}

/// Sends on its channel when it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

/// An endpoint that never answers, and two channels: a handler began, a handler was dropped.
fn stuck() -> (
    impl Endpoint<Output = Response> + 'static,
    mpsc::UnboundedReceiver<()>,
    mpsc::UnboundedReceiver<()>,
) {
    let (began, has_begun) = mpsc::unbounded_channel();
    let (dropped, was_dropped) = mpsc::unbounded_channel();
    let endpoint = make(move |_| {
        let guard = Dropped(dropped.clone());
        began.send(()).ok();
        async move {
            let _guard = guard;
            pending::<Response>().await
        }
    });
    (endpoint, has_begun, was_dropped)
}
