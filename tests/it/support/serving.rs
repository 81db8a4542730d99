//! A server's whole life within the test: over a file, on a port of its own, until it is asked to end.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tollgate::api::Services;
use tollgate::app::{Outside, StartError, serve_on};
use tollgate::config::{Config, MapVars};
use tollgate::crypto::entropy::OsEntropy;
use tollgate::jobs::webhook::egress::SystemResolver;
use tollgate::model::clock::SystemClock;
use tollgate::model::key::Scope;
use tollgate::server::signal::Shutdown;
use tollgate::upstream::media::MediaSource;
use tollgate::upstream::transport::{Network, Transport};

use super::Client;
use super::relay::{somebody, spec};

/// A server that begins, serves and ends as the program does.
pub(crate) struct Serving {
    pub(crate) url: String,
    pub(crate) shutdown: Shutdown,
    ready: oneshot::Receiver<Arc<Services>>,
    services: Option<Arc<Services>>,
    served: JoinHandle<Result<(), StartError>>,
}

impl Serving {
    /// One over the store at `database`.
    pub(crate) fn start(vars: &MapVars, database: &Path, transport: Arc<dyn Transport>) -> Self {
        let vars = vars.clone().with("DATABASE_URL", database.to_str().unwrap());
        let config = Config::parse(&vars).unwrap();
        let outside = Outside {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            transport,
            media: Arc::new(MediaSource::new(Network::new().unwrap())),
            resolver: Arc::new(SystemResolver),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let (tell, ready) = oneshot::channel();
        let ending = shutdown.clone();
        let serving = async move {
            let tell = |app: &tollgate::app::App| drop(tell.send(Arc::clone(app.services())));
            serve_on(config, outside, listener, ending, tell).await
        };
        Self {
            url,
            shutdown,
            ready,
            services: None,
            served: TaskTracker::new().spawn(serving),
        }
    }

    /// Waits until it serves.
    pub(crate) async fn until_ready(&mut self) {
        if self.services.is_none() {
            self.services = Some((&mut self.ready).await.unwrap());
        }
    }

    /// A client with a new key, once the server serves.
    pub(crate) async fn client(&mut self, name: &str) -> Client {
        self.client_with(name, [Scope::Relay]).await
    }

    /// One whose key has these scopes.
    pub(crate) async fn client_with(&mut self, name: &str, scopes: impl IntoIterator<Item = Scope>) -> Client {
        self.until_ready().await;
        let issued = self
            .services
            .as_ref()
            .unwrap()
            .issuer
            .create(spec(name, scopes), &somebody())
            .await
            .unwrap();
        Client::new(self.url.clone(), Some(issued))
    }

    /// The same key at this server.
    pub(crate) fn client_like(&self, client: &Client) -> Client {
        Client::new(self.url.clone(), Some(client.issued().clone()))
    }

    /// A client without any key.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(self.url.clone(), None)
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Result<(), StartError> {
        drop(self.services);
        self.served.await.unwrap()
    }
}
