//! Signals that end the process, and the two tokens they become.

use std::convert::Infallible;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The end of the process, as everybody waits for it. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    hurried: CancellationToken,
}

impl Shutdown {
    /// Not yet begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins it, or hurries it if it has begun: what a signal does.
    pub fn ask(&self) {
        if self.begun.is_cancelled() {
            self.hurried.cancel();
        } else {
            self.begun.cancel();
        }
    }

    /// Begins it for a reason other than a signal, such as a store that failed. Twice is once.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Cancelled when the shutdown begins.
    #[must_use]
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// Cancelled when nothing more is to be waited for.
    #[must_use]
    pub fn hurried(&self) -> &CancellationToken {
        &self.hurried
    }
}

/// The handlers of SIGTERM (the platform stops us) and SIGINT (Ctrl-C).
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Installs the handlers, for the rest of the process: from now on these signals kill nothing by themselves.
    ///
    /// # Errors
    /// The system's, when it refuses a handler.
    ///
    /// # Panics
    /// Outside a runtime, as tokio's `signal` does.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Asks for the shutdown at every signal: the first begins it, the second hurries it. Never returns, so it is one
    /// side of a `select!` whose other side is the work.
    pub async fn drive(mut self, shutdown: &Shutdown) -> Infallible {
        loop {
            let name = tokio::select! {
                Some(()) = self.terminate.recv() => "SIGTERM",
                Some(()) = self.interrupt.recv() => "SIGINT",
                else => std::future::pending().await,
            };
            tracing::info!(signal = name, "asked to stop");
            shutdown.ask();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_second_request_hurries_the_first() {
        let shutdown = Shutdown::new();

        shutdown.ask();
        assert!(shutdown.begun().is_cancelled());
        assert!(!shutdown.hurried().is_cancelled());
        shutdown.ask();
        assert!(shutdown.hurried().is_cancelled());
    }

    #[test]
    fn a_failure_that_repeats_hurries_nothing() {
        let shutdown = Shutdown::new();

        shutdown.begin();
        shutdown.begin();

        assert!(!shutdown.hurried().is_cancelled());
    }

    #[tokio::test]
    async fn sigterm_begins_the_shutdown_and_sigint_hurries_it() {
        let shutdown = Shutdown::new();
        let signals = Signals::install().unwrap();
        let us = std::process::id().to_string();
        let story = async {
            Command::new("kill").args(["-TERM", &us]).status().unwrap();
            shutdown.begun().cancelled().await;
            assert!(!shutdown.hurried().is_cancelled());
            Command::new("kill").args(["-INT", &us]).status().unwrap();
            shutdown.hurried().cancelled().await;
        };

        tokio::select! {
            never = signals.drive(&shutdown) => match never {},
            () = story => {}
        }
    }
}
