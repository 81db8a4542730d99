//! HTTP, and only HTTP: routes, their document, and the one table from errors to statuses.
//!
//! From the outside in: [`edge`] (id, span, metric, envelope) → poem's routes → [`guard`] (cheap checks, body,
//! credential) → a handler, which builds a `Call` or asks a service.

#![expect(clippy::unused_async, reason = "poem-openapi calls every handler as a future")]

pub mod audit;
pub mod backup;
pub mod body;
pub mod console;
pub mod cors;
pub mod docs;
mod document;
mod document_schema;
pub mod edge;
pub mod error;
pub mod guard;
pub mod jobs;
pub mod keys;
pub mod media;
mod model_path;
pub mod open;
pub mod openai;
pub mod operator;
pub mod page;
pub mod params;
pub mod peer;
pub mod ratelimit;
mod raw;
pub mod readiness;
pub mod rekey;
pub mod relayed;
pub mod routes;
pub mod schema;
mod security;
pub mod spec;
pub mod starting;
mod strict;
pub mod tasks;
pub mod upstreams;
pub mod usage;
pub mod vision;
pub mod volcengine;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use poem::endpoint::make_sync;
use poem::{Endpoint, Response, Route};
use poem_openapi::{OpenApi, OpenApiService};

pub use self::body::Bodies;
pub use self::cors::Cors;
pub use self::starting::Starting;

use self::console::Console;
use self::docs::Docs;
use self::edge::Edge;
use self::readiness::Lifecycle;
use self::routes::Routes;
use self::spec::Tag;
use crate::admission::{AddressLimit, Admission};
use crate::auth::{Authenticator, Directory, Issuer};
use crate::backup::Backups;
use crate::catalogue::Curator;
use crate::crypto::digest::Digest;
use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::MasterKey;
use crate::jobs::events::Followers;
use crate::jobs::logs::LogBuffer;
use crate::jobs::webhook::Outbox;
use crate::jobs::{Gallery, Jobs, Throughput};
use crate::model::clock::{Clock, Timestamp};
use crate::record::Recorder;
use crate::rekey::Rekey;
use crate::relay::Relay;
use crate::store::Store;

/// Everything that handlers ask. Built once, by `app`.
pub struct Services {
    /// Relays calls.
    pub relay: Arc<Relay>,
    /// Durable background work.
    pub jobs: Arc<Jobs>,
    /// Brings what they made.
    pub gallery: Gallery,
    /// How many items of each queue end in a minute.
    pub throughput: Throughput,
    /// Who follows jobs' events.
    pub followers: Followers,
    /// What jobs log.
    pub logs: Arc<LogBuffer>,
    /// Counts refusals.
    pub recorder: Arc<Recorder>,
    /// Shows the gates.
    pub admission: Arc<Admission>,
    /// Tells clients' servers of jobs.
    pub webhooks: Arc<Outbox>,
    /// Makes backups.
    pub backups: Arc<Backups>,
    /// Read for lists.
    pub store: Store,
    /// The client keys in use.
    pub directory: Arc<Directory>,
    /// Changes them.
    pub issuer: Issuer,
    /// Knows and changes what upstreams, accounts and models there are.
    pub curator: Curator,
    /// Proves callers.
    pub authenticator: Authenticator,
    /// Reads bodies.
    pub bodies: Bodies,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Where the process is in its life.
    pub lifecycle: Arc<Lifecycle>,
    /// Every metric.
    pub metrics: PrometheusHandle,
    /// The standard `process_*` metrics.
    pub process: metrics_process::Collector,
    /// Which accounts have series.
    pub published: readiness::Published,
    /// How often a client's address may come to `/api/*`, where that is limited.
    pub addresses: Option<AddressLimit>,
    /// Whose web pages may read answers.
    pub cors: Cors,
    /// How many proxies stand before us.
    pub trusted_proxy_hops: u8,
    /// What opens the secrets of keys that are imported.
    pub master_key: Arc<MasterKey>,
    /// Replaces the master key and the data keys.
    pub rekey: Arc<Rekey>,
    /// Keyed digest of `METRICS_TOKEN`.
    pub metrics_token: Option<Digest>,
    /// What does not change while the process lives.
    pub facts: Facts,
}

/// What does not change while the process lives.
pub struct Facts {
    /// When it started.
    pub started_at: Timestamp,
    /// `MAX_BODY_BYTES`.
    pub max_body_bytes: usize,
    /// `MAX_RESPONSE_BYTES`.
    pub max_response_bytes: usize,
    /// `VOLC_DEADLINE`.
    pub deadline: Duration,
    /// `VISION_MODEL`.
    pub vision_model: String,
    /// `IDEMPOTENCY_TTL`.
    pub idempotency_ttl: Duration,
    /// `UPSTREAM_MAX_RUNNING_TASKS`.
    pub max_running_tasks: Option<usize>,
    /// Bytes of the store's file, and bytes that its disk has left.
    pub disk: Box<dyn Fn() -> (u64, u64) + Send + Sync>,
    /// How many connections are open.
    pub connections: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Services {
    fn digest_token(&self, token: &str) -> Digest {
        token_digest(&self.store, token)
    }
}

/// The keyed digest by which a token of the environment is compared. It is never written, so the key that names things
/// serves: it stays.
#[must_use]
pub fn token_digest(store: &Store, token: &str) -> Digest {
    store.keyring().id.of("token", &[token.as_bytes()])
}

/// Every operation of the document.
type Operations = (
    openai::OpenAiApi,
    openai::ModelsApi,
    volcengine::VolcengineApi,
    vision::VisionApi,
    media::videos::VideosApi,
    jobs::Group,
    (tasks::OwnApi, usage::OwnUsageApi),
    keys::KeysApi,
    upstreams::UpstreamsApi,
    upstreams::AccountsApi,
    upstreams::ModelsApi,
    usage::UsageApi,
    audit::AuditApi,
    jobs::admin::Group,
    (tasks::AdminTasksApi, operator::Group),
    open::OpenRoutes,
);

fn service() -> OpenApiService<Operations, ()> {
    spec::service((
        openai::OpenAiApi,
        openai::ModelsApi,
        volcengine::VolcengineApi,
        vision::VisionApi,
        media::videos::VideosApi,
        jobs::GROUP,
        (tasks::OwnApi, usage::OwnUsageApi),
        keys::KeysApi,
        upstreams::UpstreamsApi,
        upstreams::AccountsApi,
        upstreams::ModelsApi,
        usage::UsageApi,
        audit::AuditApi,
        jobs::admin::GROUP,
        (tasks::AdminTasksApi, operator::GROUP),
        open::OpenRoutes,
    ))
}

/// The OpenAPI document, as `/openapi.json` serves it.
#[must_use]
pub fn document() -> String {
    document::complete(&service().spec())
}

/// The groups of operations, in the order in which [`Operations`] first names them.
fn groups() -> Vec<&'static str> {
    let paths = Operations::meta().into_iter().flat_map(|api| api.paths);
    let mut seen = BTreeSet::new();
    paths
        .flat_map(|path| path.operations)
        .flat_map(|operation| operation.tags)
        .filter(|group| seen.insert(*group))
        .collect()
}

/// Every route, behind the edge.
pub fn endpoint(services: Arc<Services>) -> impl Endpoint<Output = Response> + 'static {
    let service = service();
    let document = document::complete(&service.spec());
    let docs = Docs::new(&service.swagger_ui_html(), &groups());
    let json = move |_| {
        Response::builder()
            .content_type("application/json")
            .body(document.clone())
    };
    let html = move |_| docs.response();
    let console = Arc::new(Console::new());
    let routes = Route::new()
        .at("/openapi.json", poem::get(make_sync(json)))
        .at("/docs", poem::get(make_sync(html)))
        .at("/console", poem::get(Arc::clone(&console)))
        .at("/console/:asset", poem::get(console))
        .nest("/", service);
    Edge::new(routes, services, Routes::new(Operations::meta(), PLAIN))
}

/// Routes that are not operations of the document.
const PLAIN: &[&str] = &["/openapi.json", "/docs", "/console", "/console/{asset}"];
