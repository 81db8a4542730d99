//! The command's half of the control socket.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Directory, SOCKET_NAME, directory_of};

/// Sends one request to the server that holds `database`. `request` names a path only, such as `/admin/keys`.
///
/// There is no time limit: some admin work takes minutes. The answer's body is read as it comes.
///
/// # Errors
/// `NotFound` when no server has bound a socket there, `ConnectionRefused` when a killed one left it behind,
/// `PermissionDenied` when it belongs to another user, `UnexpectedEof` when the server turned us away or ended before
/// it answered; else what the system or HTTP says.
///
/// # Cancel safety
/// Dropping the future hangs up; the server may have acted on the request all the same.
pub async fn call(database: &Path, mut request: Request<Full<Bytes>>) -> io::Result<Response<ControlBody>> {
    let directory = Directory::open(&directory_of(database))?;
    let stream = UnixStream::connect(directory.inside(SOCKET_NAME)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(into_io)?;
    request
        .headers_mut()
        .entry(HOST)
        .or_insert(HeaderValue::from_static("tollgate"));
    let mut connection: Driver = Box::pin(connection);
    let response = {
        let mut answered = std::pin::pin!(sender.send_request(request));
        // The connection must be driven for the answer to come; it may end first, with the answer already there.
        tokio::select! {
            biased;
            response = answered.as_mut() => response,
            ended = connection.as_mut() => {
                ended.map_err(into_io)?;
                return answered.await.map_err(into_io).map(|response| response.map(ControlBody::complete));
            }
        }
    };
    Ok(response.map_err(into_io)?.map(|incoming| ControlBody {
        incoming,
        connection: Some(connection),
    }))
}

/// The body of an answer. Reading it drives the connection; dropping it hangs up.
pub struct ControlBody {
    incoming: Incoming,
    connection: Option<Driver>,
}

type Driver = Pin<Box<http1::Connection<TokioIo<UnixStream>, Full<Bytes>>>>;

impl ControlBody {
    fn complete(incoming: Incoming) -> Self {
        Self {
            incoming,
            connection: None,
        }
    }
}

impl Body for ControlBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(ended) = connection.as_mut().poll(cx)
        {
            self.connection = None;
            if let Err(error) = ended {
                return Poll::Ready(Some(Err(into_io(error))));
            }
        }
        Pin::new(&mut self.incoming).poll_frame(cx).map_err(into_io)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// hyper's errors as the system's, so that a command has one kind to explain.
fn into_io(error: hyper::Error) -> io::Error {
    let kind = if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        io::ErrorKind::UnexpectedEof
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, error)
}
