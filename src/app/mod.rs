//! The composition root: a configuration becomes a running Tollgate. The only place that builds things.

mod assembly;
mod background;
mod checking;
mod error;
mod moving;
mod offline;
mod restoring;
mod serve;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use poem::{Endpoint, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::checking::{CheckReport, Step, check, compact};
pub use self::error::StartError;
pub use self::moving::store_path;
pub use self::offline::{Offline, inspect, offline};
pub use self::restoring::restore;
pub use self::serve::{serve, serve_on};

use self::assembly::{Parts, assemble};
use crate::api::readiness::Phase;
use crate::api::{self, Services};
use crate::auth::{Directory, Issuer};
use crate::catalogue::Curator;
use crate::config::{Config, Master, Platform};
use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::StoreId;
use crate::jobs::webhook::egress::{Resolve, SystemResolver};
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::record::{recovery, renewal};
use crate::rekey::{self, Rekey};
use crate::store::ballast::{Ballast, Dropped};
use crate::store::error::OpenError;
use crate::store::{self, Missing, OpenOptions, Store, restored};
use crate::telemetry::init;
use crate::upstream::media::MediaSource;
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
    /// What fetches what tasks made.
    pub media: Arc<MediaSource>,
    /// What turns the names of webhooks' hosts into addresses.
    pub resolver: Arc<dyn Resolve>,
}

impl Outside {
    /// The real world.
    ///
    /// # Errors
    /// [`StartError`] when the machine's certificates cannot be read.
    pub fn real() -> Result<Self, StartError> {
        let network = Network::new().map_err(StartError::Certificates)?;
        Ok(Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(crate::crypto::entropy::OsEntropy),
            transport: Arc::new(network.clone()),
            media: Arc::new(MediaSource::new(network)),
            resolver: Arc::new(SystemResolver),
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
        let restored = renewal::record(&store).await?;
        recovery::recover(&store, volcengine::NAME).await?;
        warn_of_a_restoration(&store, config.store.idempotency_ttl, outside.clock.wall()).await?;
        let master_key = Arc::new(master_keys(config, store.id())?.swap_remove(0));
        let (calls, background) = (TaskTracker::new(), TaskTracker::new());
        let stop = CancellationToken::new();
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
        let rekey = Arc::new(Rekey::new(rekey::Parts {
            store: store.clone(),
            directory: Arc::clone(&directory),
            master: Arc::clone(&master_key),
            wrapped: rekey::Wrapped::by(opened.master_key),
            clock: Arc::clone(&outside.clock),
            entropy: Arc::clone(&outside.entropy),
            ttl: config.store.idempotency_ttl,
            tasks: background.clone(),
            stop: stop.clone(),
        }));
        let services = assemble(Parts {
            config,
            outside,
            store: store.clone(),
            rekey,
            directory,
            issuer,
            curator,
            master_key,
            metrics,
            place: &place.store,
            calls: &calls,
            background: &background,
            connections,
        })?;
        if let Some(restored) = restored {
            let held = services.jobs.hold_all().await?;
            if held > 0 {
                tracing::warn!(
                    jobs = held,
                    "jobs that had not ended in the backup are held: release them one by one"
                );
            }
            renewal::complete(&store, restored).await?;
        }
        Ok(Self {
            services,
            background,
            calls,
            stop,
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
        self.services.jobs.close_intake();
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
        let ended = async {
            // Items hold calls, so their workers come first.
            self.services.jobs.until_idle().await;
            self.calls.wait().await;
        };
        tokio::select! {
            biased;
            () = ended => {}
            () = enough => tracing::warn!(
                calls = self.calls.len(),
                "calls were still in flight: their outcome is unknown"
            ),
        }
        self.services.jobs.return_leases().await;
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

/// A restored store does not know the idempotency keys that were used after its backup was made. While their users may
/// still repeat them, every start says so.
async fn warn_of_a_restoration(store: &Store, ttl: Duration, now: Timestamp) -> Result<(), StartError> {
    let restored = store.read_aside(restored::get).await?;
    if let Some(restored) = restored.filter(|restored| restored.at.plus(ttl) > now) {
        tracing::warn!(
            restored_at = %restored.at,
            backup_at = %restored.backup_at,
            "the store was restored from a backup: calls whose idempotency keys were first used between the two may be \
             sent again"
        );
    }
    Ok(())
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
        tracing::warn!("the store is still wrapped with the previous master key: run tollgate rekey, then remove it");
    }
    if let Err(error) = ballast.take() {
        tracing::warn!(error = %error, "no reserve could be kept beside the store");
    }
    Ok(opened)
}

/// The keys that may open the store: the current one first.
fn master_keys(config: &Config, id: StoreId) -> Result<Vec<MasterKey>, OpenError> {
    let key = |master: &Master| match master {
        Master::Key(secret) => MasterKey::from_base64(secret),
        Master::Passphrase(phrase) => MasterKey::from_passphrase(phrase, id.as_bytes()),
    };
    let masters = std::iter::once(&config.auth.master).chain(&config.auth.previous);
    masters
        .map(|master| key(master).map_err(|_| OpenError::WrongKey))
        .collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StartError::Interrupted))
}
