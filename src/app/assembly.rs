//! How the parts of the path hang together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::{Outside, StartError};
use crate::admission::{AddressLimit, Admission, Entrant};
use crate::api::readiness::{Lifecycle, Published};
use crate::api::{self, Bodies, Cors, Facts, Services};
use crate::auth::{self, Authenticator, Directory, Issuer};
use crate::backup::{self, Backups};
use crate::catalogue::Curator;
use crate::config::{Config, Volcengine};
use crate::crypto::backup::BackupKey;
use crate::crypto::keyring::{Keyring, MasterKey};
use crate::dispatch::{Dispatcher, Outfit};
use crate::jobs::events::Followers;
use crate::jobs::logs::LogBuffer;
use crate::jobs::webhook::egress::Guard;
use crate::jobs::webhook::{Outbox, RootSecret, Surroundings};
use crate::jobs::{self, Gallery, Jobs, Throughput};
use crate::model::clock::GuardedClock;
use crate::model::upstream::UpstreamName;
use crate::record::Recorder;
use crate::rekey::Rekey;
use crate::relay::{Policy, Relay};
use crate::store::Store;
use crate::store::ballast::Ballast;
use crate::upstream::media::MediaHosts;
use crate::upstream::volcengine::{self, InvalidAddress};

/// What the services are assembled from.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) outside: &'a Outside,
    pub(super) store: Store,
    pub(super) directory: Arc<Directory>,
    pub(super) issuer: Issuer,
    pub(super) curator: Curator,
    pub(super) master_key: Arc<MasterKey>,
    pub(super) rekey: Arc<Rekey>,
    pub(super) metrics: metrics_exporter_prometheus::PrometheusHandle,
    pub(super) place: &'a Path,
    pub(super) calls: &'a TaskTracker,
    pub(super) background: &'a TaskTracker,
    pub(super) connections: Box<dyn Fn() -> usize + Send + Sync>,
}

/// Builds everything that serves calls, from the floor up.
///
/// # Errors
/// [`StartError`], with a sentence that says what to do.
pub(super) fn assemble(parts: Parts<'_>) -> Result<Arc<Services>, StartError> {
    let Parts {
        config,
        outside,
        store,
        directory,
        issuer,
        curator,
        master_key,
        rekey,
        metrics,
        place,
        calls,
        background,
        connections,
    } = parts;
    let keyring = Arc::clone(store.keyring());
    let upstream = config.volcengine.as_ref();
    let region = upstream.map_or(Volcengine::DEFAULT_REGION, |upstream| &upstream.region);
    let dispatcher = dispatcher(config, outside, &curator, &keyring)?;
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
    let relay = Arc::new(Relay::new(
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
    )?);
    follow(&curator, &relay, &admission);
    let webhooks = Arc::new(outbox(config, outside, &store));
    let jobs = Arc::new(Jobs::new(jobs::Parts {
        store: store.clone(),
        clock: Arc::clone(&outside.clock),
        entropy: Arc::clone(&outside.entropy),
        relay: Arc::clone(&relay),
        recorder: Arc::clone(&recorder),
        directory: Arc::clone(&directory),
        outbox: Arc::clone(&webhooks),
        queues: config.jobs.queues.clone(),
    }));
    let gallery = gallery(config, outside, &jobs);
    let authenticator = Authenticator::new(
        Arc::clone(&directory),
        keyring,
        auth::rules(config.auth.signatures, region),
        config.auth.admin_token.as_ref(),
        Arc::clone(&outside.clock),
    );
    let backups = Arc::new(backups(config, outside, &store, &master_key, background));
    let facts = facts(config, outside, place, deadline, connections);
    let token = |token: &crate::model::secret::Secret| api::token_digest(&store, token.expose());
    Ok(Arc::new(Services {
        followers: Followers::new(store.clone(), jobs.hub().clone()),
        logs: Arc::new(LogBuffer::new(store.clone(), jobs.vault().clone())),
        jobs,
        gallery,
        throughput: Throughput::default(),
        relay,
        recorder,
        admission,
        webhooks,
        backups,
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
        published: Published::default(),
        addresses: addresses(config, outside),
        cors: Cors::new(config.server.cors_origins.clone()),
        trusted_proxy_hops: config.server.trusted_proxy_hops,
        master_key,
        rekey,
        metrics_token: config.telemetry.metrics_token.as_ref().map(token),
        facts,
        store,
    }))
}

/// What finished tasks have made.
fn gallery(config: &Config, outside: &Outside, jobs: &Arc<Jobs>) -> Gallery {
    let upstream = config.volcengine.as_ref();
    let hosts =
        upstream.map(|upstream| MediaHosts::new(&config.media_hosts, upstream.scheme.clone(), upstream.host.clone()));
    Gallery::new(
        Arc::clone(jobs),
        Arc::clone(&outside.media),
        hosts,
        Arc::clone(&outside.clock),
    )
}

/// What backs the store up.
fn backups(
    config: &Config,
    outside: &Outside,
    store: &Store,
    master_key: &MasterKey,
    cleaning: &TaskTracker,
) -> Backups {
    Backups::new(backup::Parts {
        store: store.clone(),
        key: BackupKey::new(master_key, store.id()),
        clock: Arc::clone(&outside.clock),
        entropy: Arc::clone(&outside.entropy),
        plan: config.backup.clone(),
        aws: config.aws.clone(),
        cleaning: cleaning.clone(),
    })
}

/// What does not change while the process lives.
fn facts(
    config: &Config,
    outside: &Outside,
    place: &Path,
    deadline: Duration,
    connections: Box<dyn Fn() -> usize + Send + Sync>,
) -> Facts {
    let running = config.admission.per_account.max_running_tasks;
    Facts {
        started_at: outside.clock.wall(),
        max_body_bytes: config.server.max_body_bytes,
        max_response_bytes: config.server.max_response_bytes,
        deadline,
        vision_model: config.models.vision_model.clone(),
        idempotency_ttl: config.store.idempotency_ttl,
        max_running_tasks: running.map(std::num::NonZeroUsize::get),
        disk: disk(place.to_owned(), Ballast::beside(place, config.store.reserve_bytes)),
        connections,
    }
}

/// What tells clients' servers of jobs.
fn outbox(config: &Config, outside: &Outside, store: &Store) -> Outbox {
    Outbox::new(Surroundings {
        store: store.clone(),
        clock: Arc::clone(&outside.clock),
        entropy: Arc::clone(&outside.entropy),
        root: config.webhook.root.clone().map(RootSecret::new),
        guard: Guard::new(Arc::clone(&outside.resolver), config.webhook.allow.clone()),
    })
}

/// What sends, to the accounts that are defined, each standing as it is known to.
fn dispatcher(
    config: &Config,
    outside: &Outside,
    curator: &Curator,
    keyring: &Keyring,
) -> Result<Dispatcher, InvalidAddress> {
    let (standings, persist) = (curator.standings(), Arc::clone(curator.standings()));
    Dispatcher::new(
        config.volcengine.as_ref(),
        &keyring.id,
        curator.catalogue().load_full(),
        |account| standings.of(account),
        Outfit {
            transport: Arc::clone(&outside.transport),
            clock: Arc::clone(&outside.clock),
            max_bytes: config.server.max_response_bytes,
            on_change: Box::new(move |account, standing| persist.persist(account, standing)),
        },
    )
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

fn disk(path: PathBuf, ballast: Ballast) -> Box<dyn Fn() -> (u64, u64) + Send + Sync> {
    Box::new(move || {
        let file = std::fs::metadata(&path).map_or(0, |found| found.len());
        (file, ballast.room().map_or(0, |room| room.available))
    })
}
