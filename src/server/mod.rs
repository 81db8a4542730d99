//! Our own HTTP server around a poem endpoint: accept loops, connections, the control socket, and a bounded drain.
//!
//! poem's server has no timer for slow heads, ignores accept errors in a tight loop and sets no `TCP_NODELAY`; the
//! relay may face the internet without a proxy before it, so we drive `hyper_util` ourselves.
//!
//! What belongs to the whole process and not to a connection stands here too: [`signal`] and [`privilege`].

mod acceptor;
mod connection;
pub mod control;
mod live;
mod pace;
pub mod privilege;
pub mod signal;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poem::{Endpoint, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::acceptor::bind;
pub use self::live::LiveEndpoint;
pub use crate::model::origin::Origin;

use self::acceptor::{Accept, TcpAcceptor};
use self::control::ControlSocket;

/// Serves one endpoint on any number of listeners.
///
/// Dropping it cuts every connection at once; [`Server::drain`] is the polite end.
pub struct Server<E> {
    shared: Arc<Shared<E>>,
    places: Arc<Semaphore>,
    cut: DropGuard,
}

/// Bounds on connections. Bodies are bounded by the endpoint, not here.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// TCP connections open at once; the next one waits in the kernel's backlog. At least 1.
    pub connections: usize,
    /// From the first byte of a request's head (for the first request: from the accept) to its last. Then the
    /// connection is closed without an answer.
    pub header_timeout: Duration,
    /// How long a connection between two requests is kept.
    pub idle: Duration,
    /// How long a peer may take none of the bytes that wait for it before its connection is closed.
    pub stall: Duration,
    /// Size of a request's head in bytes; beyond it hyper answers a bare 431. At least 8,192, hyper's own floor.
    pub max_head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_timeout: Duration::from_secs(10),
            // Longer than the 60 s for which common load balancers keep theirs, so that they close first and never
            // send a paid call into a connection that we are closing.
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(30),
            max_head_bytes: 64 * 1024,
        }
    }
}

/// How many connections are open now, on all listeners together. Clones read the same number.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<AtomicUsize>);

impl Connections {
    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one connection until the guard is dropped.
    fn enter(&self) -> OpenConnection {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }
}

/// One connection in the count of [`Connections`].
struct OpenConnection(Connections);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every connection finished its requests.
    Finished,
    /// The bound passed, or we were hurried, with this many connections still busy; they were cut.
    Cut {
        /// Connections cut.
        connections: usize,
    },
}

/// What accept loops and connections share.
struct Shared<E> {
    endpoint: Arc<E>,
    limits: Limits,
    connections: Connections,
    tasks: TaskTracker,
    /// Stop accepting, finish what runs.
    drain: CancellationToken,
    /// Drop everything. Cancelled only together with or after `drain`.
    cut: CancellationToken,
}

impl<E> Server<E>
where
    E: Endpoint<Output = Response> + 'static,
{
    /// A server without listeners. Its tasks run on the runtime in which the `listen` methods are called.
    #[must_use]
    pub fn new(endpoint: Arc<E>, limits: Limits) -> Self {
        let cut = CancellationToken::new();
        let shared = Shared {
            endpoint,
            limits,
            connections: Connections::default(),
            tasks: TaskTracker::new(),
            drain: cut.child_token(),
            cut: cut.clone(),
        };
        Self {
            shared: Arc::new(shared),
            places: Arc::new(Semaphore::new(limits.connections.max(1))),
            cut: cut.drop_guard(),
        }
    }

    /// Accepts connections on `listener`, made by [`bind`], until the drain.
    ///
    /// # Errors
    /// Whatever the runtime says when it refuses to watch the socket.
    pub fn listen(&self, listener: TcpListener) -> io::Result<()> {
        let listener = TcpAcceptor::new(listener)?;
        self.accept(listener, Arc::clone(&self.places));
        Ok(())
    }

    /// Accepts connections on the control socket until the drain, which also removes it from its directory.
    ///
    /// Its connections have places of their own, so that a crowded port does not lock the operator out.
    pub fn listen_control(&self, socket: ControlSocket) {
        self.accept(socket, Arc::new(Semaphore::new(CONTROL_CONNECTIONS)));
    }

    /// The number of open connections, for a metric.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.shared.connections.clone()
    }

    /// Closes the listeners and every connection that has no request in hand, lets running requests end, and cuts those
    /// that still run after `limit` or once `hurry` is cancelled. Returns when no connection is left.
    ///
    /// # Cancel safety
    /// Dropping the future cuts every connection.
    pub async fn drain(self, limit: Duration, hurry: &CancellationToken) -> Drained {
        let Self { shared, cut, .. } = self;
        shared.drain.cancel();
        shared.tasks.close();
        let drained = tokio::select! {
            biased;
            () = shared.tasks.wait() => Drained::Finished,
            () = hurry.cancelled() => Drained::Cut { connections: shared.connections.open() },
            () = tokio::time::sleep(limit) => Drained::Cut { connections: shared.connections.open() },
        };
        drop(cut);
        shared.tasks.wait().await;
        drained
    }

    fn accept(&self, listener: impl Accept, places: Arc<Semaphore>) {
        self.shared
            .tasks
            .spawn(acceptor::run(listener, places, Arc::clone(&self.shared)));
    }
}

/// Connections to the control socket at once: a few commands of one operator.
const CONTROL_CONNECTIONS: usize = 16;

#[cfg(test)]
mod tests;
