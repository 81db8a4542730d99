//! A transport that brakes where a test says: before the first byte, or after the last.

use std::future::pending;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tollgate::upstream::error::{Fault, Phase, UpstreamError};
use tollgate::upstream::transport::{Network, Opened, Outbound, Received, Sending, Transport};

/// Where a request stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It does not: the network carries it.
    Nowhere,
    /// It hangs before its first byte.
    BeforeSending,
    /// It hangs once the whole reply is there.
    AfterReply,
    /// No connection can be made.
    NoConnection,
    /// Its task panics before its first byte.
    PanicBeforeSending,
    /// Its task panics once the whole reply is there.
    PanicAfterReply,
}

/// The network, with a place where requests stop.
pub(crate) struct Brake {
    network: Network,
    stop: Mutex<Stop>,
    stopped: watch::Sender<u64>,
}

impl Brake {
    pub(crate) fn new(stop: Stop) -> Self {
        Self {
            network: Network::new().unwrap(),
            stop: Mutex::new(stop),
            stopped: watch::Sender::new(0),
        }
    }

    /// Where requests stop from now on.
    pub(crate) fn stop_at(&self, stop: Stop) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
    }

    /// Waits until so many requests have stopped.
    pub(crate) async fn until_stopped(&self, requests: u64) {
        self.stopped
            .subscribe()
            .wait_for(|stopped| *stopped >= requests)
            .await
            .unwrap();
    }

    fn stopped(&self) {
        self.stopped.send_modify(|stopped| *stopped += 1);
    }

    async fn carry<T>(&self, sending: Sending<'_, T>) -> Result<T, UpstreamError> {
        let stop = *self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        match stop {
            Stop::Nowhere => sending.await,
            Stop::BeforeSending => {
                self.stopped();
                pending().await
            }
            Stop::AfterReply => {
                let _reply = sending.await;
                self.stopped();
                pending().await
            }
            Stop::NoConnection => {
                self.stopped();
                Err(UpstreamError {
                    phase: Phase::Connect,
                    fault: Fault::Broken,
                })
            }
            Stop::PanicBeforeSending => {
                self.stopped();
                panic!("the test says so, before the first byte")
            }
            Stop::PanicAfterReply => {
                let _reply = sending.await;
                self.stopped();
                panic!("the test says so, after the last byte")
            }
        }
    }
}

impl Transport for Brake {
    fn send(&self, request: Outbound) -> Sending<'_, Received> {
        Box::pin(self.carry(self.network.send(request)))
    }

    fn open(&self, request: Outbound) -> Sending<'_, Opened> {
        Box::pin(self.carry(self.network.open(request)))
    }
}
