//! An upstream that says what it is told, byte for byte, and keeps what it heard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::wire::find;

/// What the upstream does about one request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// Sends these bytes, and keeps the connection open.
    Bytes(Vec<u8>),
    /// Sends these bytes, and closes the connection without having said so.
    Last(Vec<u8>),
}

/// A running upstream. It ends when dropped.
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    says: Vec<Say>,
    heard: Vec<Heard>,
    connections: usize,
}

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// From the request line to the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Script {
    /// Does each of `says` about one request; the last one about all that follow.
    pub(crate) async fn start(says: impl IntoIterator<Item = Say>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), says)
    }

    pub(crate) fn on(listener: TcpListener, says: impl IntoIterator<Item = Say>) -> Self {
        let address = listener.local_addr().unwrap();
        let says = says.into_iter().collect();
        let state = Arc::new(Mutex::new(State {
            says,
            ..State::default()
        }));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            _serving: serving,
        }
    }

    /// Every request so far, oldest first.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state.lock().unwrap().heard.clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

impl Heard {
    /// Its request line.
    pub(crate) fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    /// The values of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// Every header.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "))
    }
}

/// A whole reply with a status line, headers and its length.
pub(crate) fn replying(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let lines: String = headers.iter().flat_map(|line| [line, "\r\n"]).collect();
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{lines}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What Volcengine answers to a submit that it takes.
pub(crate) fn accepted(task_id: &str) -> Vec<u8> {
    let body = format!(r#"{{"code":10000,"data":{{"task_id":"{task_id}"}},"message":"Success","status":10000}}"#);
    replying("200 OK", &["Content-Type: application/json"], body)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut conversations = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        state.lock().unwrap().connections += 1;
        conversations.spawn(converse(stream, Arc::clone(&state)));
    }
}

async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut unread = Vec::new();
    while let Some(heard) = listen(&mut stream, &mut unread).await {
        let say = state.lock().unwrap().take(heard);
        let (Say::Bytes(bytes) | Say::Last(bytes)) = &say;
        if stream.write_all(bytes).await.is_err() || matches!(say, Say::Last(_)) {
            return;
        }
    }
}

/// Reads one whole request; `None` if the connection ends first.
pub(super) async fn listen(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Heard> {
    loop {
        if let Some(heard) = whole(unread) {
            return Some(heard);
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
}

/// Takes one whole request out of what was read.
fn whole(unread: &mut Vec<u8>) -> Option<Heard> {
    let end = find(unread, b"\r\n\r\n")? + 4;
    let head = String::from_utf8(unread[..end].to_vec()).unwrap();
    let mut request = Heard { head, body: Vec::new() };
    let length: usize = request
        .header("content-length")
        .first()
        .map_or(0, |text| text.parse().unwrap());
    if unread.len() < end + length {
        return None;
    }
    request.body = unread.drain(..end + length).skip(end).collect();
    Some(request)
}

impl State {
    fn take(&mut self, heard: Heard) -> Say {
        self.heard.push(heard);
        if self.says.len() > 1 {
            self.says.remove(0)
        } else {
            self.says[0].clone()
        }
    }
}
