//! A whole Tollgate on a port of its own, in front of an imitation of Volcengine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate::admission::gate::Snapshot;
use tollgate::api::Services;
use tollgate::app::{App, Outside, StoreSource};
use tollgate::auth::{Actor, Authority, Issued, KeyChange, KeySpec, Rotation};
use tollgate::config::{Config, MapVars};
use tollgate::crypto::entropy::OsEntropy;
use tollgate::jobs::webhook::egress::{Resolve, SystemResolver};
use tollgate::model::clock::{Clock, Timestamp};
use tollgate::model::key::{Limits, Schemes, Scope, Scopes};
use tollgate::model::operation::Class;
use tollgate::model::record::{Entry, Event, Intent, Settlement};
use tollgate::sandbox::Imitation;
use tollgate::server::{Limits as ServerLimits, Server};
use tollgate::store::audit::{self, Order};
use tollgate::upstream::media::MediaSource;
use tollgate::upstream::transport::{Network, Transport};

use super::store::open;
use super::surroundings::{ADMIN_TOKEN, UPSTREAM_KEY, UPSTREAM_SECRET, imitate, vars};
use super::{Book, Client, Disk, ManualClock};

/// A Tollgate that runs.
pub(crate) struct Relay {
    pub(crate) url: String,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) disk: Disk,
    pub(crate) upstream: Arc<Imitation>,
    app: App,
    server: Server<poem::endpoint::BoxEndpoint<'static>>,
    settings: Builder,
}

/// What a test wants to be different.
#[derive(Clone)]
pub(crate) struct Builder {
    vars: MapVars,
    clock: Arc<ManualClock>,
    /// What its store is on.
    pub(crate) disk: Disk,
    upstream: Option<Arc<Imitation>>,
    accounts: Vec<(&'static str, &'static str)>,
    openai: OpenAiUpstreams,
    elsewhere: Option<SocketAddr>,
    task_duration: Duration,
    transport: Option<Arc<dyn Transport>>,
    resolver: Arc<dyn Resolve>,
    server_limits: ServerLimits,
}

/// Which OpenAI-compatible upstreams stand in the environment besides what a test sets itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenAiUpstreams {
    None,
    Imitated,
}

impl Relay {
    /// One with everything at its default, but for room for parallel submits of a key.
    pub(crate) async fn start() -> Self {
        Self::build().start().await
    }

    pub(crate) fn build() -> Builder {
        Builder {
            vars: vars(),
            clock: Arc::default(),
            disk: Disk::default(),
            upstream: None,
            accounts: vec![(UPSTREAM_KEY, UPSTREAM_SECRET)],
            openai: OpenAiUpstreams::None,
            elsewhere: None,
            task_duration: Duration::from_secs(3),
            transport: None,
            resolver: Arc::new(SystemResolver),
            server_limits: ServerLimits::default(),
        }
    }

    /// A client with a new key for the data plane.
    pub(crate) async fn client(&self, name: &str) -> Client {
        self.client_with(name, [Scope::Relay]).await
    }

    /// A client with a new key for the admin plane.
    pub(crate) async fn admin(&self) -> Client {
        self.client_with("admin", [Scope::Admin]).await
    }

    pub(crate) async fn client_with(&self, name: &str, scopes: impl IntoIterator<Item = Scope>) -> Client {
        self.client_of(self.issue(spec(name, scopes)).await)
    }

    /// A client whose key has limits of its own.
    pub(crate) async fn client_limited(&self, name: &str, limits: Limits) -> Client {
        let spec = KeySpec {
            limits,
            ..spec(name, [Scope::Relay])
        };
        self.client_of(self.issue(spec).await)
    }

    /// Changes the limits of a client's key.
    pub(crate) async fn limit(&self, client: &Client, limits: Limits) {
        let change = KeyChange {
            limits: Some(limits),
            ..KeyChange::default()
        };
        let id = client.issued().key.id;
        self.services().issuer.update(id, change, &somebody()).await.unwrap();
    }

    /// A new key, made by somebody with full authority.
    pub(crate) async fn issue(&self, spec: KeySpec) -> Issued {
        self.services().issuer.create(spec, &somebody()).await.unwrap()
    }

    pub(crate) fn client_of(&self, issued: Issued) -> Client {
        Client::new(self.url.clone(), Some(issued))
    }

    /// The same client under a key that takes the place of its own at once.
    pub(crate) async fn rotated(&self, client: &Client) -> Client {
        let rotation = Rotation {
            description: None,
            expires_at: None,
            grace: Duration::ZERO,
        };
        let key = client.issued().key.id;
        let issued = self.services().issuer.rotate(key, rotation, &somebody()).await;
        self.client_of(issued.unwrap())
    }

    /// The operator, who holds the `ADMIN_TOKEN`.
    pub(crate) fn operator(&self) -> Client {
        self.stranger()
            .header("authorization", &format!("Bearer {ADMIN_TOKEN}"))
    }

    /// A client without any key.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(self.url.clone(), None)
    }

    /// The wall clock, as the relay reads it.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    /// How the gate of the first account stands for a class of operations.
    pub(crate) fn gate(&self, class: Class) -> Snapshot {
        let views = self.services().admission.view();
        views.into_iter().find(|view| view.class == class).unwrap().snapshot
    }

    /// Waits until so many submits wait for the first account.
    pub(crate) async fn has_waiting(&self, number: usize) {
        let waiting = async || self.gate(Class::Submit).waiting_interactive == number;
        super::eventually("so many submits wait", waiting).await;
    }

    pub(crate) fn services(&self) -> &Arc<Services> {
        self.app.services()
    }

    /// The whole log book, oldest first.
    pub(crate) fn log_book(&self) -> Vec<(u64, Entry)> {
        let read = |rows: &mut tollgate::store::Reader| audit::page(rows, 0, Order::Rising, usize::MAX);
        let entries = self.services().store.read(read).unwrap();
        entries.into_iter().map(|logged| (logged.seq, logged.entry)).collect()
    }

    /// The paid calls that were written down, oldest first.
    pub(crate) fn intents(&self) -> Vec<(u64, Intent)> {
        let intent = |(seq, entry): (u64, Entry)| match entry.event {
            Event::Intent(intent) => Some((seq, *intent)),
            _ => None,
        };
        self.log_book().into_iter().filter_map(intent).collect()
    }

    /// What became of them, oldest first.
    pub(crate) fn settlements(&self) -> Vec<Settlement> {
        let settlement = |(_, entry): (u64, Entry)| match entry.event {
            Event::Settlement(settlement) => Some(settlement),
            _ => None,
        };
        self.log_book().into_iter().filter_map(settlement).collect()
    }

    /// The settlement of the only paid call there was, once it is written.
    pub(crate) async fn settled(&self) -> Settlement {
        super::eventually("the call is settled", async || !self.settlements().is_empty()).await;
        let settlements = self.settlements();
        assert_eq!(settlements.len(), 1, "{settlements:?}");
        settlements.into_iter().next().unwrap()
    }

    /// The log book, once its chain has been checked.
    pub(crate) fn book(&self) -> Book {
        Book::of(&self.services().store)
    }

    /// How often the upstream saw a body with this marker.
    pub(crate) fn seen(&self, marker: &str) -> u64 {
        self.upstream.seen().marker(marker)
    }

    /// Begins to drain, as on a signal.
    pub(crate) fn drain(&self) {
        self.app.drain();
    }

    /// Ends in order, and says what a next process needs.
    pub(crate) async fn stop(self) -> Builder {
        self.app.drain();
        self.server
            .drain(Duration::from_secs(5), &CancellationToken::new())
            .await;
        self.app.close(Duration::from_secs(5)).await;
        Builder {
            upstream: Some(self.upstream),
            ..self.settings
        }
    }

    /// Is killed: what power loss leaves of the store is all that a next process finds.
    ///
    /// The image is taken first, so whatever this process still writes is never seen.
    pub(crate) async fn lose_power(self) -> Builder {
        let disk = Disk::holding(self.disk.image());
        self.vanish(disk).await
    }

    /// Is killed with `kill -9`: the page cache is what a next process finds.
    pub(crate) async fn kill(self) -> Builder {
        let disk = Disk::holding(self.disk.page_cache());
        self.vanish(disk).await
    }

    async fn vanish(self, disk: Disk) -> Builder {
        // A dead process commits nothing more, and so sends nothing more: its workers end with their store.
        self.disk.fail_change(1, std::io::ErrorKind::Other);
        self.server.drain(Duration::ZERO, &CancellationToken::new()).await;
        self.disk.release();
        self.app.close(Duration::ZERO).await;
        Builder {
            upstream: Some(self.upstream),
            disk,
            ..self.settings
        }
    }
}

impl Builder {
    /// Its clock is behind by so much.
    pub(crate) fn ago(self, length: Duration) -> Self {
        self.clock.back(length);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.vars = self.vars.with(name, value);
        self
    }

    /// The accounts of the upstream, each an access key and its secret.
    pub(crate) fn accounts(mut self, accounts: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        self.accounts = accounts.into_iter().collect();
        self
    }

    /// The imitation is the upstreams `openai` and `dashscope` too.
    pub(crate) fn with_openai_upstreams(mut self) -> Self {
        self.openai = OpenAiUpstreams::Imitated;
        self
    }

    /// Calls go to this address, not to the imitation.
    pub(crate) fn upstream_at(mut self, address: SocketAddr) -> Self {
        self.elsewhere = Some(address);
        self
    }

    pub(crate) fn task_duration(mut self, length: Duration) -> Self {
        self.task_duration = length;
        self
    }

    pub(crate) fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Who says where the names of webhooks lead.
    pub(crate) fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    pub(crate) fn server_limits(mut self, limits: ServerLimits) -> Self {
        self.server_limits = limits;
        self
    }

    /// What the next process finds.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.disk.image()
    }

    pub(crate) fn disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    pub(crate) async fn start(self) -> Relay {
        self.try_start().await.unwrap()
    }

    pub(crate) async fn try_start(mut self) -> Result<Relay, tollgate::app::StartError> {
        let upstream = match self.upstream.take() {
            Some(running) => running,
            None => Arc::new(imitate(&self.accounts, self.task_duration, self.clock.clone()).await),
        };
        let address = self.elsewhere.unwrap_or_else(|| upstream.addr());
        let (access, secret): (Vec<_>, Vec<_>) = self.accounts.iter().copied().unzip();
        let mut vars = (self.vars.clone())
            .with("VOLC_ACCESSKEY", &access.join(","))
            .with("VOLC_SECRETKEY", &secret.join(","))
            .with("VOLC_HOST", &address.to_string());
        if self.openai == OpenAiUpstreams::Imitated {
            // The imitation takes the secret key of an account as a bearer token.
            vars = vars
                .with("OPENAI_API_KEY", UPSTREAM_SECRET)
                .with("OPENAI_BASE_URL", &format!("http://{address}/v1"))
                .with("DASHSCOPE_API_KEY", UPSTREAM_SECRET)
                .with("DASHSCOPE_BASE_URL", &format!("http://{address}/compatible-mode/v1"));
        }
        let config = Config::parse(&vars).unwrap();
        let outside = Outside {
            clock: self.clock.clone(),
            entropy: Arc::new(OsEntropy),
            transport: match &self.transport {
                Some(transport) => Arc::clone(transport),
                None => Arc::new(Network::new().unwrap()),
            },
            media: Arc::new(MediaSource::new(Network::new().unwrap())),
            resolver: Arc::clone(&self.resolver),
        };
        let opened = Box::new(open(&self.disk, self.clock.clone())?);
        let app = App::open(&config, &outside, StoreSource::Opened(opened), Box::new(|| 0)).await?;
        app.run_in_background(&config);
        let endpoint = poem::EndpointExt::boxed(app.endpoint());
        let server = Server::new(Arc::new(endpoint), self.server_limits);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        server.listen(listener).unwrap();
        Ok(Relay {
            url,
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            upstream,
            app,
            server,
            settings: self,
        })
    }
}

/// A key that works until it is revoked.
pub(crate) fn spec(name: &str, scopes: impl IntoIterator<Item = Scope>) -> KeySpec {
    KeySpec {
        description: name.to_owned(),
        expires_at: None,
        scopes: Scopes::of(scopes),
        schemes: Schemes::all(),
        models: None,
        limits: Limits::default(),
    }
}

/// Somebody with full authority.
pub(crate) fn somebody() -> Actor {
    Actor {
        name: "test".to_owned(),
        request: None,
        authority: Authority::Full,
    }
}
