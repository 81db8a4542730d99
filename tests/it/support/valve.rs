//! A transport with a valve: replies to submits wait in it until a test lets them through.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tollgate::upstream::error::{Fault, Phase, UpstreamError};
use tollgate::upstream::transport::{Network, Opened, Outbound, Received, Sending, Transport};

/// Stands between the relay and the network, and sees every submit go by. Everything else passes.
pub(crate) struct Valve {
    network: Network,
    through: Semaphore,
    sent: Mutex<Vec<Sent>>,
    state: Mutex<State>,
}

/// A submit that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) marker: String,
    pub(crate) at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connected,
    Unreachable,
}

impl Valve {
    /// Holds back every reply.
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self {
            network: Network::new().unwrap(),
            through: Semaphore::new(0),
            sent: Mutex::default(),
            state: Mutex::new(State::Connected),
        })
    }

    /// Holds back nothing.
    pub(crate) fn opened() -> Arc<Self> {
        let valve = Self::closed();
        valve.open();
        valve
    }

    /// Lets the replies to `number` submits through.
    pub(crate) fn pass(&self, number: usize) {
        self.through.add_permits(number);
    }

    /// Lets every reply through from now on.
    pub(crate) fn open(&self) {
        self.through.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// From now on no connection can be made.
    pub(crate) fn cut_off(&self) {
        *self.state.lock().unwrap() = State::Unreachable;
    }

    /// Connections can be made again.
    pub(crate) fn reconnect(&self) {
        *self.state.lock().unwrap() = State::Connected;
    }

    /// Every submit so far, in the order in which they were sent.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The markers of every submit so far, in the order in which they were sent.
    pub(crate) fn order(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.marker).collect()
    }

    /// Waits until so many submits were sent.
    pub(crate) async fn has_sent(&self, number: usize) {
        super::eventually("the submits are sent", async || {
            self.sent.lock().unwrap().len() >= number
        })
        .await;
    }

    async fn exchange(&self, request: Outbound) -> Result<Received, UpstreamError> {
        if !request.uri.query().unwrap_or_default().contains("SubmitTask") {
            return self.network.send(request).await;
        }
        if *self.state.lock().unwrap() == State::Unreachable {
            return Err(UpstreamError {
                phase: Phase::Connect,
                fault: Fault::Broken,
            });
        }
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let marker = body["marker"].as_str().unwrap_or_default().to_owned();
        self.sent.lock().unwrap().push(Sent {
            marker,
            at: Instant::now(),
        });
        let received = self.network.send(request).await;
        self.through.acquire().await.unwrap().forget();
        received
    }
}

impl Transport for Valve {
    fn send(&self, request: Outbound) -> Sending<'_, Received> {
        Box::pin(self.exchange(request))
    }

    /// Submits never stream.
    fn open(&self, request: Outbound) -> Sending<'_, Opened> {
        self.network.open(request)
    }
}
