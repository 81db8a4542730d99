//! A server's life: bind, open the store, serve, and end in a numbered order.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::StartError;
use super::{App, Outside, StoreSource, moving};
use crate::api::Starting;
use crate::config::Config;
use crate::server::control::ControlSocket;
use crate::server::signal::{Shutdown, Signals};
use crate::server::{self, Drained, Limits, LiveEndpoint, Server};

/// Serves until a signal or a failure ends it.
///
/// # Errors
/// [`StartError`] where it cannot start, or had to end because its store failed.
pub async fn serve(config: Config) -> Result<(), StartError> {
    let listener = server::bind(&config.server.host.to_string(), config.server.port).map_err(StartError::Bind)?;
    let shutdown = Shutdown::new();
    let signals = Signals::install().map_err(StartError::Bind)?;
    let outside = Outside::real()?;
    tokio::select! {
        never = signals.drive(&shutdown) => match never {},
        served = serve_on(config, outside, listener, shutdown.clone(), |_| {}) => served,
    }
}

/// Serves on a listener until `shutdown` begins. `ready` is told once calls are served.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    config: Config,
    outside: Outside,
    listener: std::net::TcpListener,
    shutdown: Shutdown,
    ready: impl FnOnce(&App),
) -> Result<(), StartError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let address = listener.local_addr().map_err(StartError::Bind)?;
    let starting = Starting {
        clock: Arc::clone(&outside.clock),
        entropy: Arc::clone(&outside.entropy),
    };
    let live = Arc::new(LiveEndpoint::new(starting));
    let server = Server::new(Arc::clone(&live), Limits::default());
    server.listen(listener).map_err(StartError::Bind)?;
    let opened = tokio::select! {
        opened = open_when_free(&config, &outside, &server) => Some(opened?),
        () = shutdown.begun().cancelled() => None,
    };
    let Some(app) = opened else {
        server.drain(Duration::ZERO, shutdown.hurried()).await;
        return Ok(());
    };
    live.replace(app.endpoint());
    listen_for_commands(&config, &server);
    app.run_in_background(&config);
    tracing::info!(address = %address, version = env!("CARGO_PKG_VERSION"), "serving");
    ready(&app);

    let failed = app.failed().clone();
    let outcome = tokio::select! {
        () = shutdown.begun().cancelled() => Ok(()),
        () = failed.cancelled() => Err(StartError::StoreFailed),
    };
    end(app, server, &config, &shutdown).await;
    outcome
}

/// The end, in order.
async fn end(app: App, server: Server<LiveEndpoint>, config: &Config, shutdown: &Shutdown) {
    let begun = Instant::now();
    // 1 · `/ready` answers 503, and whoever waits for a place or asks for one is told that we drain.
    app.drain();
    // 2 · Load balancers see it before the listener is gone.
    tokio::select! {
        () = sleep(LAME_DUCK.min(config.server.drain_timeout)) => {}
        () = shutdown.hurried().cancelled() => {}
    }
    // 3 · The listener and the control socket close; connections finish what they serve.
    let left = config.server.drain_timeout.saturating_sub(begun.elapsed());
    if let Drained::Cut { connections } = server.drain(left, shutdown.hurried()).await {
        tracing::warn!(connections, "connections were cut");
    }
    // 4 · Workers finish their items, or give their leases back. 5 · Calls that finish alone are joined. 6 · The writer
    // drains. 7 · The file closes.
    let left = config
        .server
        .drain_timeout
        .saturating_sub(begun.elapsed())
        .max(LAST_CALLS);
    let hurried = async {
        shutdown.hurried().cancelled().await;
        sleep(LAST_CALLS).await;
    };
    app.close_after(async {
        tokio::select! {
            () = sleep(left) => {}
            () = hurried => {}
        }
    })
    .await;
    // 8 · The caller exits.
    tracing::info!("ended");
}

/// Opens the store; while another process holds it, as during a redeploy, waits for that one to end.
async fn open_when_free(config: &Config, outside: &Outside, server: &Server<LiveEndpoint>) -> Result<App, StartError> {
    let begun = Instant::now();
    loop {
        let connections = server.connections();
        let open = App::open(config, outside, StoreSource::File, Box::new(move || connections.open()));
        match open.await {
            Err(error) if error.busy().is_some() && begun.elapsed() < HANDOVER => {
                tracing::info!("another process holds the store: waiting for it to end");
                sleep(Duration::from_millis(500)).await;
            }
            opened => return opened,
        }
    }
}

/// Commands reach a running server over its control socket. Without one, they must wait for its end.
fn listen_for_commands(config: &Config, server: &Server<LiveEndpoint>) {
    let bound = moving::store_path(&config.store.location).map(|path| ControlSocket::bind(&path));
    match bound {
        Ok(Ok(socket)) => server.listen_control(socket),
        Ok(Err(error)) => tracing::warn!(error = %error, "no control socket: commands cannot reach this server"),
        Err(error) => tracing::warn!(error = %error, "no control socket: commands cannot reach this server"),
    }
}

/// Between telling that we drain and closing the listener.
const LAME_DUCK: Duration = Duration::from_secs(1);

/// What calls that finish alone get at least, however long the connections took, and at most once hurried.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// How long a new process waits for the old one to let the store go: as long as platforms let the old one drain.
const HANDOVER: Duration = Duration::from_mins(1);
