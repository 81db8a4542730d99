//! A TCP connection that can end with a reset instead of a goodbye.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One connection. Closed with FIN when dropped, or with RST once its [`Ending`] says so.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    ending: Ending,
}

impl Line {
    /// Takes over `stream`; small answers leave at once.
    pub(super) fn new(stream: TcpStream, ending: Ending) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, ending })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.ending.is_reset() {
            // A lingering time of zero makes close() send RST. If it fails, the peer sees FIN: also a cut.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// How a connection will end: the side that answers decides, the [`Line`] obeys.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// From now on the connection ends with RST.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_reset(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
