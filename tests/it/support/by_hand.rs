//! An OpenAI-compatible upstream whose replies a test writes piece by piece, so that nothing depends on time.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Heard;
use super::script::listen;

/// A port that answers only by what a test does.
pub(crate) struct ByHand {
    listener: TcpListener,
}

/// One request, and the connection that it came on. Dropping it closes the connection without another word.
pub(crate) struct Exchange {
    pub(crate) heard: Heard,
    stream: TcpStream,
}

impl ByHand {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Waits for a connection and its first request.
    pub(crate) async fn take(&self) -> Exchange {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let heard = listen(&mut stream, &mut Vec::new()).await.unwrap();
        Exchange { heard, stream }
    }
}

impl Exchange {
    /// Sends bytes as they are. A peer that is gone is what `until_closed` tells.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Sends the head of a stream of events.
    pub(crate) async fn begin(&mut self) {
        self.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
    }

    /// Sends a piece of the stream as one chunk.
    pub(crate) async fn say(&mut self, piece: impl AsRef<[u8]>) {
        self.send(chunk(piece.as_ref())).await;
    }

    /// Ends the stream as HTTP ends it.
    pub(crate) async fn end(&mut self) {
        self.send("0\r\n\r\n").await;
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Waits until the peer has closed the connection.
    pub(crate) async fn until_closed(&mut self) {
        let mut rest = Vec::new();
        while self.stream.read_buf(&mut rest).await.is_ok_and(|count| count > 0) {}
    }

    /// Sends a piece over and over until the peer closes the connection, and tells `sent` how much has left so far.
    pub(crate) async fn flood(mut self, piece: &[u8], mut sent: impl FnMut(usize)) {
        let piece = chunk(piece);
        while self.stream.write_all(&piece).await.is_ok() {
            sent(piece.len());
        }
    }
}

/// A chunk of HTTP/1.1.
fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}
