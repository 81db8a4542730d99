//! Listening sockets and the loop that accepts from them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use poem::{Addr, Endpoint, Response};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Shared;
use super::connection::{self, Peer};
use crate::model::origin::Origin;

/// Listens on `host` and `port`; port 0 takes any free one.
///
/// `::` takes IPv4 too, and becomes `0.0.0.0` where the machine has no IPv6. A name is resolved, and the first of its
/// addresses that can be bound is used. Needs no runtime, so it can precede a change of user.
///
/// # Errors
/// The system's, for the last address tried.
pub fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match bind_address(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
                return bind_address((Ipv4Addr::UNSPECIFIED, port).into());
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn bind_address(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // A restarted server must not wait for the old one's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Inherited by what it accepts: finds peers that vanished without a word during a long call.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn lacks_ipv6(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let missing = [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL, Errno::EPROTONOSUPPORT];
    error
        .raw_os_error()
        .is_some_and(|code| missing.contains(&Errno::from_raw(code)))
}

/// A listening socket of some kind.
pub(super) trait Accept: Send + Sync + 'static {
    /// Its connections.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection that may talk to us.
    ///
    /// Cancel safe: no connection is lost when the future is dropped.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;
}

/// A TCP port.
pub(super) struct TcpAcceptor {
    listener: tokio::net::TcpListener,
    local: SocketAddr,
}

impl TcpAcceptor {
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }
}

impl Accept for TcpAcceptor {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, remote) = self.listener.accept().await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused: the peer is probably gone");
        }
        let peer = Peer::new(
            Origin::Tcp,
            Addr::SocketAddr(self.local),
            Addr::SocketAddr(canonical(remote)),
        );
        Ok((stream, peer))
    }
}

/// An IPv4 peer of a dual-stack socket appears as `::ffff:a.b.c.d`; limits per address need `a.b.c.d`.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Accepts until the drain. A connection takes one of `places` for its life; without a free one nothing is accepted.
pub(super) async fn run<E>(listener: impl Accept, places: Arc<Semaphore>, shared: Arc<Shared<E>>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let drain = shared.drain.clone();
    let accept_all = async {
        let mut backoff = Backoff::default();
        // The semaphore is never closed, so the loop ends only with the drain.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((io, peer)) => {
                    backoff = Backoff::default();
                    let open = shared.connections.enter();
                    let serving = connection::serve(io, peer, Arc::clone(&shared));
                    shared.tasks.spawn(async move {
                        serving.await;
                        drop((open, place));
                    });
                }
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) => {
                    if backoff.is_first() {
                        tracing::error!(%error, "cannot accept connections; trying again");
                    }
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    };
    drain.run_until_cancelled(accept_all).await;
}

/// Whether an accept failed because that one peer is already gone, so that the next may succeed at once.
fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Growing pauses between accepts that fail for want of something, mostly file descriptors.
#[derive(Default)]
struct Backoff {
    last: Duration,
}

impl Backoff {
    fn is_first(&self) -> bool {
        self.last.is_zero()
    }

    fn next(&mut self) -> Duration {
        self.last = (self.last * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.last
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Connections that the kernel keeps for us while every place is taken.
const BACKLOG: i32 = 1024;
/// Silence after which the kernel asks whether the peer still lives.
const KEEPALIVE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_mapped_peer_is_an_ipv4_peer() {
        let mapped = "[::ffff:192.0.2.7]:4711".parse().unwrap();
        let plain = "[2001:db8::7]:4711".parse().unwrap();

        assert_eq!(canonical(mapped), "192.0.2.7:4711".parse().unwrap());
        assert_eq!(canonical(plain), plain);
    }

    #[test]
    fn the_default_host_takes_ipv4() {
        let listener = bind("::", 0).unwrap();
        let port = listener.local_addr().unwrap().port();

        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    #[test]
    fn a_port_in_use_is_an_error() {
        let first = bind("127.0.0.1", 0).unwrap();
        let port = first.local_addr().unwrap().port();

        assert_eq!(bind("127.0.0.1", port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn pauses_grow_from_a_tenth_of_a_second_to_one() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_first());

        let pauses: Vec<_> = (0..6).map(|_| backoff.next().as_millis()).collect();

        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert!(!backoff.is_first());
    }
}
