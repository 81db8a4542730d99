//! The composition root: a configuration becomes a running Tollgate. The only place that builds things.

mod background;
mod error;
mod moving;
mod offline;
mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use poem::{Endpoint, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::error::StartError;
pub use self::moving::store_path;
pub use self::offline::{Offline, offline};
pub use self::serve::{serve, serve_on};

use crate::admission::{AddressLimit, Admission, Entrant};
use crate::api::readiness::{Lifecycle, Phase};
use crate::api::{self, Bodies, Cors, Facts, Services};
use crate::auth::{self, Authenticator, Directory, Issuer};
use crate::catalogue::Curator;
use crate::config::{Config, Master, Platform, Volcengine};
use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::StoreId;
use crate::dispatch::{Dispatcher, Outfit};
use crate::model::clock::{Clock, GuardedClock, SystemClock};
use crate::model::upstream::UpstreamName;
use crate::record::{Recorder, recovery};
use crate::relay::{Policy, Relay};
use crate::store::ballast::{Ballast, Dropped};
use crate::store::error::OpenError;
use crate::store::{self, Missing, OpenOptions, Store};
use crate::telemetry::init;
use crate::upstream::transport::{Network, Transport};
use crate::upstream::volcengine;

/// What a test may put in the place of the outside world.
#[derive(Clone)]
pub struct Outside {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// What speaks to upstreams.
    pub transport: Arc<dyn Transport>,
}

impl Outside {
    /// The real world.
    ///
    /// # Errors
    /// [`StartError`] when the machine's certificates cannot be read.
    pub fn real() -> Result<Self, StartError> {
        Ok(Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(crate::crypto::entropy::OsEntropy),
            transport: Arc::new(Network::new().map_err(StartError::Certificates)?),
        })
    }
}

/// A running Tollgate, apart from its listeners.
pub struct App {
    services: Arc<Services>,
    background: TaskTracker,
    calls: TaskTracker,
    stop: CancellationToken,
    ballast: Ballast,
}

/// Where the store is.
pub enum StoreSource {
    /// In a file, as the configuration says.
    File,
    /// Opened already: a test's own backend.
    Opened(Box<store::Opened>),
}

impl App {
    /// Opens the store, recovers what an older process left, and assembles the path of a call.
    ///
    /// `connections` tells how many are open, for the metrics.
    ///
    /// # Errors
    /// [`StartError`], with a sentence that says what to do.
    pub async fn open(
        config: &Config,
        outside: &Outside,
        source: StoreSource,
        connections: Box<dyn Fn() -> usize + Send + Sync>,
    ) -> Result<Self, StartError> {
        let metrics = init::recorder()?;
        let place = moving::place(&config.store.location)?;
        let ballast = Ballast::beside(&place.store, config.store.reserve_bytes);
        let opened = match source {
            StoreSource::Opened(opened) => *opened,
            StoreSource::File => {
                let (config, outside, path, ballast) =
                    (config.clone(), outside.clone(), place.store.clone(), ballast.clone());
                blocking(move || open_file(&config, &outside, &path, &ballast)).await?
            }
        };
        let store = opened.store;
        recovery::recover(&store, volcengine::NAME).await?;
        let master_key = master_keys(config, store.id())?.swap_remove(0);
        let (calls, background) = (TaskTracker::new(), TaskTracker::new());
        let directory = {
            let store = store.clone();
            Arc::new(blocking(move || Directory::load(&store).map_err(StartError::from)).await?)
        };
        let issuer = Issuer::new(
            store.clone(),
            Arc::clone(&directory),
            Arc::clone(&outside.entropy),
            Arc::clone(&outside.clock),
            calls.clone(),
        );
        let curator = {
            let (config, store, outside, tasks) = (config.clone(), store.clone(), outside.clone(), calls.clone());
            blocking(move || Ok(Curator::load(&config, store, outside.entropy, outside.clock, tasks)?)).await?
        };
        if opened.origin == store::Origin::Created
            && let Some(legacy) = place.legacy
        {
            moving::import(&issuer, &legacy, &master_key).await?;
        }
        let services = assemble(Parts {
            config,
            outside,
            store,
            directory,
            issuer,
            curator,
            master_key,
            metrics,
            place: &place.store,
            calls: &calls,
            connections,
        })?;
        Ok(Self {
            services,
            background,
            calls,
            stop: CancellationToken::new(),
            ballast,
        })
    }

    /// Every route.
    #[must_use]
    pub fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        api::endpoint(Arc::clone(&self.services))
    }

    /// What handlers ask.
    #[must_use]
    pub const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Fires when the store failed: the process must end.
    #[must_use]
    pub fn failed(&self) -> &CancellationToken {
        self.services.store.failed()
    }

    /// Nothing new is admitted from now on, and `/ready` says so.
    pub fn drain(&self) {
        self.services.lifecycle.enter(Phase::Draining);
        self.services.admission.close();
    }

    /// Ends the background work, waits up to `patience` for calls that finish alone, and closes the store.
    ///
    /// The order matters: calls settle into the store, so it goes last.
    pub async fn close(self, patience: Duration) {
        self.close_after(tokio::time::sleep(patience)).await;
    }

    /// As [`App::close`], waiting for calls until `enough` ends.
    pub async fn close_after(self, enough: impl Future<Output = ()>) {
        self.drain();
        self.stop.cancel();
        self.background.close();
        self.background.wait().await;
        self.calls.close();
        tokio::select! {
            biased;
            () = self.calls.wait() => {}
            () = enough => tracing::warn!(
                calls = self.calls.len(),
                "calls were still in flight: their outcome is unknown"
            ),
        }
        drop(self.services.recorder.flush_refusals().await);
        let store = self.services.store.clone();
        drop(
            blocking(move || {
                store.close();
                Ok(())
            })
            .await,
        );
    }
}

struct Parts<'a> {
    config: &'a Config,
    outside: &'a Outside,
    store: Store,
    directory: Arc<Directory>,
    issuer: Issuer,
    curator: Curator,
    master_key: MasterKey,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    place: &'a Path,
    calls: &'a TaskTracker,
    connections: Box<dyn Fn() -> usize + Send + Sync>,
}

fn assemble(parts: Parts<'_>) -> Result<Arc<Services>, StartError> {
    let Parts {
        config,
        outside,
        store,
        directory,
        issuer,
        curator,
        master_key,
        metrics,
        place,
        calls,
        connections,
    } = parts;
    let keyring = Arc::clone(store.keyring());
    let upstream = config.volcengine.as_ref();
    let region = upstream.map_or(Volcengine::DEFAULT_REGION, |upstream| &upstream.region);
    let standings = Arc::clone(curator.standings());
    let persist = Arc::clone(&standings);
    let dispatcher = Dispatcher::new(
        upstream,
        &keyring.id,
        curator.catalogue().load_full(),
        |account| standings.of(account),
        Outfit {
            transport: Arc::clone(&outside.transport),
            clock: Arc::clone(&outside.clock),
            max_bytes: config.server.max_response_bytes,
            on_change: Box::new(move |account, standing| persist.persist(account, standing)),
        },
    )?;
    let admission = Arc::new(Admission::new(config.admission.clone(), entrants(&dispatcher)));
    let recorder = Arc::new(Recorder::new(
        store.clone(),
        Arc::clone(&outside.clock),
        Arc::new(GuardedClock::new(Arc::clone(&outside.clock))),
        Arc::clone(&outside.entropy),
        config.store.idempotency_ttl,
        volcengine::NAME,
    ));
    let deadline = upstream.map_or(Volcengine::DEFAULT_DEADLINE, |upstream| upstream.deadline);
    let relay = Relay::new(
        Arc::clone(&recorder),
        Arc::clone(&admission),
        dispatcher,
        calls.clone(),
        Arc::clone(&outside.clock),
        Arc::clone(&outside.entropy),
        Policy {
            deadline,
            unknown_tasks: config.auth.unknown_tasks,
            store_made_at: store.made_at(),
        },
    )?;
    let relay = Arc::new(relay);
    follow(&curator, &relay, &admission);
    let authenticator = Authenticator::new(
        Arc::clone(&directory),
        keyring,
        auth::rules(config.auth.signatures, region),
        config.auth.admin_token.as_ref(),
        Arc::clone(&outside.clock),
    );
    let facts = Facts {
        started_at: outside.clock.wall(),
        max_body_bytes: config.server.max_body_bytes,
        max_response_bytes: config.server.max_response_bytes,
        deadline,
        vision_model: config.models.vision_model.clone(),
        idempotency_ttl: config.store.idempotency_ttl,
        max_running_tasks: config
            .admission
            .per_account
            .max_running_tasks
            .map(std::num::NonZeroUsize::get),
        disk: disk(place.to_owned(), Ballast::beside(place, config.store.reserve_bytes)),
        connections,
    };
    let token = |token: &crate::model::secret::Secret| api::token_digest(&store, token.expose());
    Ok(Arc::new(Services {
        relay,
        recorder,
        admission,
        directory,
        issuer,
        curator,
        authenticator,
        bodies: Bodies::new(config.server.max_body_bytes, config.server.body_memory_bytes),
        clock: Arc::clone(&outside.clock),
        entropy: Arc::clone(&outside.entropy),
        lifecycle: Arc::new(Lifecycle::default()),
        metrics,
        process: metrics_process::Collector::default(),
        addresses: addresses(config, outside),
        cors: Cors::new(config.server.cors_origins.clone()),
        trusted_proxy_hops: config.server.trusted_proxy_hops,
        master_key,
        metrics_token: config.telemetry.metrics_token.as_ref().map(token),
        facts,
        store,
    }))
}

/// The accounts that calls may be admitted to.
fn entrants(dispatcher: &Dispatcher) -> Vec<Entrant> {
    let entrant = |(account, upstream, label): (_, UpstreamName, _)| Entrant {
        account,
        upstream: upstream.as_str().into(),
        label,
    };
    dispatcher.accounts().into_iter().map(entrant).collect()
}

/// Has calls go by what is defined from the next one on.
fn follow(curator: &Curator, relay: &Arc<Relay>, admission: &Arc<Admission>) {
    let standings = Arc::clone(curator.standings());
    let (decided, admission) = (Arc::clone(relay), Arc::clone(admission));
    curator
        .standings()
        .follow(move |account, standing| decided.dispatcher().decided(account, standing));
    let relay = Arc::clone(relay);
    curator.follow(move |catalogue| {
        let dispatcher = relay.dispatcher();
        dispatcher.define(Arc::clone(catalogue), |account| standings.of(account));
        admission.introduce(entrants(dispatcher));
    });
}

/// The limit of an address, where there is one.
fn addresses(config: &Config, outside: &Outside) -> Option<AddressLimit> {
    let rate = config.server.per_address?;
    Some(AddressLimit::new(rate, Arc::clone(&outside.clock)))
}

/// Opens the file. On a disk without room, the ballast makes some, so that what is old can be pruned.
fn open_file(config: &Config, outside: &Outside, path: &Path, ballast: &Ballast) -> Result<store::Opened, StartError> {
    let has_room = |room: std::io::Result<crate::store::ballast::Room>| room.is_ok_and(|room| !Ballast::is_short(room));
    if path.exists() && !has_room(ballast.room()) && ballast.drop_off().ok() == Some(Dropped::Yes) {
        tracing::warn!("the disk is full: the reserve was given up, so that old records can be pruned");
    }
    let missing = match config.server.platform {
        Platform::Railway | Platform::Fly => Missing::CreateOnVolume,
        Platform::Other => Missing::Create,
    };
    let keys = |id: StoreId| master_keys(config, id);
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: config.store.cache_bytes,
        missing,
        progress: |done| tracing::info!(percent = (done * 100.0).round(), "checking the store after a crash"),
        clock: Arc::clone(&outside.clock),
        entropy: outside.entropy.as_ref(),
    };
    let opened = Store::open(path, &options)?;
    if opened.master_key > 0 {
        tracing::warn!("the store is still sealed under API_KEY_ENCRYPTION_KEY_PREVIOUS");
    }
    if let Err(error) = ballast.take() {
        tracing::warn!(error = %error, "no reserve could be kept beside the store");
    }
    Ok(opened)
}

/// The keys that may open the store: the current one first.
fn master_keys(config: &Config, id: StoreId) -> Result<Vec<MasterKey>, OpenError> {
    let current = match &config.auth.master {
        Master::Key(secret) => MasterKey::from_base64(secret),
        Master::Passphrase(phrase) => MasterKey::from_passphrase(phrase, id.as_bytes()),
    };
    let mut keys = vec![current.map_err(|_| OpenError::WrongKey)?];
    if let Some(previous) = &config.auth.previous {
        keys.push(MasterKey::from_base64(previous).map_err(|_| OpenError::WrongKey)?);
    }
    Ok(keys)
}

fn disk(path: PathBuf, ballast: Ballast) -> Box<dyn Fn() -> (u64, u64) + Send + Sync> {
    Box::new(move || {
        let file = std::fs::metadata(&path).map_or(0, |found| found.len());
        (file, ballast.room().map_or(0, |room| room.available))
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StartError::Interrupted))
}
