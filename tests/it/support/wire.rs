//! A client that writes its bytes by hand, for requests that no library would send.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Client, Relay, Reply};

/// One connection. Dropping it hangs up.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Connects to a relay.
    pub(crate) async fn to(relay: &Relay) -> Self {
        let address = relay.url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Connects, and sends a whole post of a client.
    pub(crate) async fn posting(relay: &Relay, client: &Client, path: &str, headers: &[&str], body: &str) -> Self {
        let mut wire = Self::to(relay).await;
        let length = format!("Content-Length: {}", body.len());
        let head = head(
            relay,
            "POST",
            path,
            &[&[&client.bearer(), length.as_str()], headers].concat(),
        );
        wire.send(head + body).await;
        wire
    }

    /// Sends bytes. A peer that no longer listens is what `reply` or `ends` tell.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads one reply with its whole body.
    pub(crate) async fn reply(&mut self) -> Reply {
        let (status, headers) = self.head().await;
        let length = headers
            .get("content-length")
            .map_or(0, |text| text.to_str().unwrap().parse().unwrap());
        let body = self.take(length).await;
        Reply { status, headers, body }
    }

    /// Reads the head of a reply.
    pub(crate) async fn head(&mut self) -> (StatusCode, HeaderMap) {
        parse(&self.take_to("\r\n\r\n").await)
    }

    /// Reads the next chunk of a body without a length, exactly as it was sent; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.take_to("\r\n").await;
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let chunk = self.take(length).await;
        assert_eq!(self.take(2).await, b"\r\n");
        (length > 0).then_some(chunk)
    }

    /// Reads all chunks to the end of the body.
    pub(crate) async fn chunks(&mut self) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        while let Some(chunk) = self.chunk().await {
            chunks.push(chunk);
        }
        chunks
    }

    async fn take_to(&mut self, mark: &str) -> String {
        let end = loop {
            if let Some(at) = find(&self.unread, mark.as_bytes()) {
                break at + mark.len();
            }
            assert!(
                self.read_more().await,
                "closed before {mark:?}: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        };
        String::from_utf8(self.unread.drain(..end).collect()).unwrap()
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.read_more().await, "closed within a reply");
        }
        self.unread.drain(..length).collect()
    }

    /// Waits until the peer closes, and gives what it said before.
    pub(crate) async fn ends(mut self) -> Vec<u8> {
        while self.read_more().await {}
        self.unread
    }

    async fn read_more(&mut self) -> bool {
        self.stream
            .read_buf(&mut self.unread)
            .await
            .is_ok_and(|count| count > 0)
    }
}

/// A request's head with these header lines.
pub(crate) fn head(relay: &Relay, method: &str, path: &str, headers: &[&str]) -> String {
    let host = relay.url.trim_start_matches("http://");
    let lines: String = headers.iter().flat_map(|line| [line, "\r\n"]).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
}

/// Status and headers of a head.
fn parse(head: &str) -> (StatusCode, HeaderMap) {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_str(value.trim()).unwrap(),
        ))
    };
    (status, lines.filter_map(header).collect())
}

/// Where `part` begins in `whole`.
pub(super) fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}
