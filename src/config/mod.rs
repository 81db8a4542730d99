//! The configuration: variables into typed settings, once, at start.
//!
//! Each concern has a file with its struct. Reading never stops at the first mistake: [`Config::parse`] reports all of
//! them, each with its variable and what to do. Nothing here opens a file or a socket.

mod admission;
mod auth;
mod aws;
mod backup;
mod dotenv;
mod export;
mod jobs;
mod mistake;
mod openai;
mod origins;
mod reader;
mod replaced;
mod server;
mod store;
mod telemetry;
mod value;
mod vars;
mod volcengine;
mod webhook;

pub use admission::{AccountLimits, Admission, KeyLimits};
pub use auth::{Auth, Master, Signatures, UnknownTasks};
pub use aws::{Addressing, Aws, AwsCredentials};
pub use backup::Backup;
pub use dotenv::read_dotenv;
pub use export::AuditExport;
pub use jobs::Jobs;
pub use mistake::{Mistake, Mistakes};
pub use openai::{Existence, MegaLlm, ModelSettings, OpenAi};
pub use origins::CorsOrigins;
pub use server::{AddressRate, Platform, Server};
pub use store::{Location, StoreSettings};
pub use telemetry::{LogFile, LogFormat, Telemetry};
pub use value::parse_length;
pub use vars::{Environment, Layered, MapVars, Vars};
pub use volcengine::{Credential, Volcengine};
pub use webhook::Webhook;

use reader::Reader;

/// Everything that the environment decides. Printing it shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// How the process listens, bounds what it holds, and stops.
    pub server: Server,
    /// Where the store is and how long it keeps what.
    pub store: StoreSettings,
    /// The secrets that open the store and the first door.
    pub auth: Auth,
    /// How much may run and wait at once.
    pub admission: Admission,
    /// Where background work waits, and how long it is kept.
    pub jobs: Jobs,
    /// The `volcengine` upstream; `None` where the environment holds no keys for it.
    pub volcengine: Option<Volcengine>,
    /// Below which names what Volcengine's tasks made may be fetched from.
    pub media_hosts: Vec<String>,
    /// The `openai` upstream; `None` where the environment holds no key for it.
    pub openai: Option<OpenAi>,
    /// The `megallm` upstream, if it turns out to exist.
    pub megallm: MegaLlm,
    /// The `dashscope` upstream; `None` where the environment holds no key for it.
    pub dashscope: Option<OpenAi>,
    /// Which models calls are for.
    pub models: ModelSettings,
    /// What webhooks are signed with, and what they may reach.
    pub webhook: Webhook,
    /// What opens S3-compatible object storage.
    pub aws: Aws,
    /// Where the days of the log book are exported to; `None` where they are not.
    pub audit_export: Option<AuditExport>,
    /// Backups that nobody asks for; `None` without a place for them.
    pub backup: Option<Backup>,
    /// What is logged and who may read the metrics.
    pub telemetry: Telemetry,
    /// What is allowed but may surprise, one sentence each, to be logged once at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the configuration from `vars`.
    ///
    /// # Errors
    /// [`Mistakes`] with everything that is wrong, not only the first.
    pub fn parse(vars: &dyn Vars) -> Result<Self, Mistakes> {
        Self::read(vars, Vec::new())
    }

    /// Reads the configuration from `vars` and, below them, from the text of a `.env` file.
    ///
    /// # Errors
    /// As [`Config::parse`]; lines of the text that cannot be used are among the mistakes.
    pub fn parse_with_dotenv(vars: &dyn Vars, dotenv: &str) -> Result<Self, Mistakes> {
        let (lower, mistakes) = read_dotenv(dotenv);
        Self::read(
            &Layered {
                upper: vars,
                lower: &lower,
            },
            mistakes,
        )
    }

    /// Reads only where the server listens, for a probe that needs no secret.
    ///
    /// # Errors
    /// As [`Config::parse_with_dotenv`], of the variables it reads.
    pub fn parse_server(vars: &dyn Vars, dotenv: &str) -> Result<Server, Mistakes> {
        Self::parse_part(vars, dotenv, Server::read)
    }

    /// Reads only what opens object storage, for a command that speaks to a server elsewhere.
    ///
    /// # Errors
    /// As [`Config::parse_with_dotenv`], of the variables it reads.
    pub fn parse_aws(vars: &dyn Vars, dotenv: &str) -> Result<Aws, Mistakes> {
        Self::parse_part(vars, dotenv, Aws::read)
    }

    fn parse_part<T>(vars: &dyn Vars, dotenv: &str, read: fn(&mut Reader<'_>) -> T) -> Result<T, Mistakes> {
        let (lower, mistakes) = read_dotenv(dotenv);
        let layered = Layered {
            upper: vars,
            lower: &lower,
        };
        let mut reader = Reader::new(&layered);
        reader.mistakes = mistakes;
        let part = read(&mut reader);
        if reader.mistakes.is_empty() {
            Ok(part)
        } else {
            Err(Mistakes::new(reader.mistakes))
        }
    }

    fn read(vars: &dyn Vars, mistakes: Vec<Mistake>) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(vars);
        reader.mistakes = mistakes;
        let server = Server::read(&mut reader);
        let store = StoreSettings::read(&mut reader);
        let auth = Auth::read(&mut reader);
        let admission = Admission::read(&mut reader);
        let jobs = Jobs::read(&mut reader);
        let volcengine = Volcengine::read(&mut reader);
        let media_hosts = Volcengine::read_media_hosts(&mut reader);
        let openai = OpenAi::read_openai(&mut reader);
        let megallm = MegaLlm::read(&mut reader);
        let dashscope = OpenAi::read_dashscope(&mut reader);
        let models = ModelSettings::read(&mut reader);
        let webhook = Webhook::read(&mut reader);
        let aws = Aws::read(&mut reader);
        let audit_export = AuditExport::read(&mut reader, &aws);
        let backup = Backup::read(&mut reader, &aws);
        let telemetry = Telemetry::read(&mut reader);
        replaced::read(&mut reader);
        warn_of_unknown_names(&mut reader);
        if let Some(volcengine) = &volcengine {
            warn_of_a_useless_wait(&mut reader, &admission, volcengine);
        }
        let Reader { mistakes, warnings, .. } = reader;
        match auth {
            Some(auth) if mistakes.is_empty() => Ok(Self {
                server,
                store,
                auth,
                admission,
                jobs,
                volcengine,
                media_hosts,
                openai,
                megallm,
                dashscope,
                models,
                webhook,
                aws,
                audit_export,
                backup,
                telemetry,
                warnings,
            }),
            _ => Err(Mistakes::new(mistakes)),
        }
    }
}

/// A misspelt variable would silently leave its default in force.
fn warn_of_unknown_names(reader: &mut Reader<'_>) {
    let mut names = reader.names();
    names.retain(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !VARIABLES.contains(&name.as_str()));
    if !names.is_empty() {
        reader.warn(format!("set, but not known, perhaps misspelt: {}", names.join(", ")));
    }
}

fn warn_of_a_useless_wait(reader: &mut Reader<'_>, admission: &Admission, volcengine: &Volcengine) {
    let longest = volcengine.deadline.saturating_sub(Volcengine::LEAST_TIME_TO_SUBMIT);
    if admission.per_account.queue_timeout > longest {
        reader.warn(format!(
            "UPSTREAM_QUEUE_TIMEOUT is longer than {longest:?}: \
             VOLC_DEADLINE less the 5 s that a submit needs ends the wait first"
        ));
    }
}

/// What most of our variables begin with.
const PREFIXES: &[&str] = &[
    "VOLC_",
    "UPSTREAM_",
    "PER_KEY_",
    "JOB_",
    "OPENAI_",
    "MEGALLM_",
    "DASHSCOPE_",
    "BACKUP_",
];

/// Every variable that the configuration reads, in the order of `.env.example`.
///
/// `RAILWAY_ENVIRONMENT` and `FLY_APP_NAME`, which platforms set, and variables of the replaced systems are not listed.
pub const VARIABLES: &[&str] = &[
    "API_KEY_ENCRYPTION_KEY",
    "API_KEY_ENCRYPTION_KEY_PREVIOUS",
    "ENCRYPTION_PASSPHRASE",
    "ENCRYPTION_PASSPHRASE_PREVIOUS",
    "ADMIN_TOKEN",
    "SIGNATURE_STRICT",
    "UNKNOWN_TASKS",
    "VOLC_ACCESSKEY",
    "VOLC_SECRETKEY",
    "VOLC_REGION",
    "VOLC_HOST",
    "VOLC_SCHEME",
    "VOLC_TIMEOUT",
    "VOLC_DEADLINE",
    "VOLC_MEDIA_HOSTS",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
    "MEGALLM_BASE_URL",
    "MEGALLM_TIMEOUT",
    "MEGALLM_MAX_RETRIES",
    "MAX_KEY_RETRIES",
    "KEY_FILE_PATH",
    "DASHSCOPE_API_KEY",
    "DASHSCOPE_BASE_URL",
    "VISION_MODEL",
    "DEFAULT_MODEL",
    "UNKNOWN_MODELS",
    "UPSTREAM_MAX_CONCURRENT",
    "UPSTREAM_MAX_QUEUE",
    "UPSTREAM_QUEUE_TIMEOUT",
    "UPSTREAM_SUBMIT_MIN_INTERVAL",
    "UPSTREAM_MAX_RUNNING_TASKS",
    "PER_KEY_MAX_CONCURRENT",
    "PER_KEY_MAX_QUEUE",
    "PER_KEY_MAX_CONCURRENT_CALLS",
    "PER_KEY_MAX_QUEUE_CALLS",
    "JOB_QUEUES",
    "CELERY_CONTENT_CONCURRENCY",
    "CELERY_WORKFLOW_CONCURRENCY",
    "JOB_RETENTION",
    "JOB_MAX_FINISHED",
    "HOST",
    "PORT",
    "SERVER_PORT",
    "TRUSTED_PROXY_HOPS",
    "RATE_LIMIT_WINDOW_MS",
    "RATE_LIMIT_MAX_REQUESTS",
    "CORS_ORIGINS",
    "MAX_BODY_BYTES",
    "MAX_RESPONSE_BYTES",
    "BODY_MEMORY_BYTES",
    "DRAIN_TIMEOUT",
    "RUN_AS_UID",
    "DATABASE_URL",
    "DATABASE_TYPE",
    "IDEMPOTENCY_TTL",
    "AUDIT_RETENTION",
    "AUDIT_MAX_BYTES",
    "STORE_RESERVE_BYTES",
    "STORE_CACHE_BYTES",
    "INTERNAL_CALLBACK_SECRET",
    "WEBHOOK_ALLOW",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AUDIT_EXPORT_URL",
    "AUDIT_EXPORT_FORMAT",
    "BACKUP_URL",
    "BACKUP_EVERY",
    "BACKUP_KEEP",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "LOG_FILE",
    "LOG_MAX_BYTES",
    "LOG_MAX_FILES",
    "DEBUG",
    "METRICS_TOKEN",
];

#[cfg(test)]
mod tests;
