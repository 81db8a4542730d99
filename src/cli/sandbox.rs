//! `tollgate sandbox`: the relay in front of a built-in imitation of its upstreams, for trying it out.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::error::CliError;
use super::output;
use crate::api::Services;
use crate::app::{self, Outside, StartError};
use crate::auth::{Actor, Authority, KeySpec};
use crate::config::{Config, MapVars};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::model::clock::SystemClock;
use crate::model::key::{Limits, Schemes, Scope, Scopes};
use crate::model::secret::Secret;
use crate::sandbox::{Imitation, Settings};
use crate::server::signal::{Shutdown, Signals};

/// Try it without an account: the relay over a temporary store, in front of an imitation of its upstreams
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Where the relay listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// Keep the store in this file; a master key in the environment opens it again
    #[arg(long, value_name = "FILE")]
    pub(super) database: Option<PathBuf>,
    /// How long the imitation waits before every answer
    #[arg(long, value_name = "LENGTH", default_value = "0ms", value_parser = crate::config::parse_length)]
    pub(super) latency: Duration,
    /// How long a task takes until it is done
    #[arg(long, value_name = "LENGTH", default_value = "4s", value_parser = crate::config::parse_length)]
    pub(super) task_duration: Duration,
    /// How many submits may run at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub(super) concurrency: NonZeroUsize,
    /// Print one line of JSON instead of what to paste next
    #[arg(long)]
    pub(super) json: bool,
}

/// Serves until a signal ends it. Everything it needs is made here: keys, a store, an upstream.
///
/// # Errors
/// [`CliError::Start`] where the relay cannot start, [`CliError::System`] where the imitation cannot.
pub(super) async fn run(args: SandboxArgs) -> Result<(), CliError> {
    let folder = tempfile::tempdir().map_err(CliError::System)?;
    let database = args
        .database
        .clone()
        .unwrap_or_else(|| folder.path().join("tollgate.redb"));
    let imitation = imitate(&args).await?;
    let upstream = imitation.addr();
    let config = config(&args, &database, upstream)?;
    let listener = std::net::TcpListener::bind(args.listen).map_err(CliError::System)?;
    let address = listener.local_addr().map_err(CliError::System)?;
    let shutdown = Shutdown::new();
    let signals = Signals::install().map_err(CliError::System)?;
    let (ready, started) = oneshot::channel();
    let serving = app::serve_on(config, Outside::real()?, listener, shutdown.clone(), |app| {
        // The other end waits for exactly this, or the process is ending.
        drop(ready.send(Arc::clone(app.services())));
    });
    let telling = async {
        let Ok(services) = started.await else { return Ok(()) };
        let welcome = Welcome::new(&services, address, upstream, &database).await?;
        let text = if args.json { welcome.line() } else { welcome.page() };
        output::write(text.as_bytes())
    };
    let served = tokio::select! {
        never = signals.drive(&shutdown) => match never {},
        (served, told) = async { tokio::join!(serving, telling) } => served.map_err(CliError::from).and(told),
    };
    imitation.stop().await;
    served
}

async fn imitate(args: &SandboxArgs) -> Result<Imitation, CliError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(CliError::System)?;
    let settings = Settings {
        latency: args.latency,
        task_duration: args.task_duration,
        bearer_keys: OPENAI_KEYS
            .map(|(name, key)| (name.to_owned(), Secret::new(key.to_owned())))
            .to_vec(),
        ..Settings::new(vec![(ACCESS_KEY.to_owned(), Secret::new(SECRET_KEY.to_owned()))])
    };
    Imitation::start(listener, settings, Arc::new(SystemClock)).map_err(CliError::System)
}

/// The environment of a real server, with what the sandbox makes up.
fn config(args: &SandboxArgs, database: &Path, upstream: SocketAddr) -> Result<Config, CliError> {
    let master = MasterKey::generate_base64(&OsEntropy)?;
    let callback_secret = MasterKey::generate_base64(&OsEntropy)?;
    let kept = std::env::var("API_KEY_ENCRYPTION_KEY")
        .ok()
        .filter(|_| args.database.is_some());
    let concurrency = args.concurrency.to_string();
    let openai_keys = OPENAI_KEYS.map(|(_, key)| key).join(",");
    // Beside the store: a key file of the working directory holds keys that cost money.
    let key_file = database.with_extension("keys.txt");
    let backups = database.with_extension("backups");
    let exports = database.with_extension("audit");
    let vars = MapVars::default()
        .with("DATABASE_URL", &database.display().to_string())
        .with("API_KEY_ENCRYPTION_KEY", kept.as_deref().unwrap_or(master.expose()))
        .with("VOLC_ACCESSKEY", ACCESS_KEY)
        .with("VOLC_SECRETKEY", SECRET_KEY)
        .with("VOLC_HOST", &upstream.to_string())
        .with("VOLC_SCHEME", "http")
        .with("OPENAI_API_KEY", &openai_keys)
        .with("OPENAI_BASE_URL", &format!("http://{upstream}/v1"))
        .with("OPENAI_MODEL", OPENAI_MODEL)
        .with("KEY_FILE_PATH", &key_file.display().to_string())
        .with("UPSTREAM_MAX_CONCURRENT", &concurrency)
        .with("PER_KEY_MAX_CONCURRENT", &concurrency)
        .with("PER_KEY_MAX_QUEUE", "100")
        .with("INTERNAL_CALLBACK_SECRET", callback_secret.expose())
        // Receivers that are tried out run beside it.
        .with("WEBHOOK_ALLOW", "127.0.0.1")
        .with("BACKUP_URL", &format!("file://{}", backups.display()))
        .with("BACKUP_EVERY", "0s")
        .with("STORE_RESERVE_BYTES", "0")
        .with("DRAIN_TIMEOUT", "5s");
    // A log book that outlives the sandbox is exported by whoever keeps it.
    let vars = match args.database {
        Some(_) => vars,
        None => vars.with("AUDIT_EXPORT_URL", &format!("file://{}", exports.display())),
    };
    Ok(Config::parse(&vars)?)
}

/// What a person needs next.
struct Welcome {
    url: String,
    upstream_url: String,
    access_key: String,
    secret_key: Secret,
    admin_key: Secret,
    database: String,
}

impl Welcome {
    async fn new(
        services: &Services,
        address: SocketAddr,
        upstream: SocketAddr,
        database: &Path,
    ) -> Result<Self, CliError> {
        let by = Actor {
            name: "sandbox".to_owned(),
            request: None,
            authority: Authority::Full,
        };
        let key = |description: &str, scopes| KeySpec {
            description: description.to_owned(),
            expires_at: None,
            scopes,
            schemes: Schemes::all(),
            models: None,
            limits: Limits::default(),
        };
        let client = services
            .issuer
            .create(key("sandbox client", Scopes::of([Scope::Relay, Scope::Jobs])), &by)
            .await
            .map_err(StartError::from)?;
        let admin = services
            .issuer
            .create(key("sandbox admin", Scopes::all()), &by)
            .await
            .map_err(StartError::from)?;
        Ok(Self {
            url: format!("http://{address}"),
            upstream_url: format!("http://{upstream}"),
            access_key: client.key.access_key,
            secret_key: client.secret,
            admin_key: admin.secret,
            database: database.display().to_string(),
        })
    }

    /// One line of JSON, for programs.
    fn line(&self) -> String {
        let line = serde_json::json!({
            "url": self.url,
            "docs_url": format!("{}/docs", self.url),
            "console_url": format!("{}/console", self.url),
            "upstream_url": self.upstream_url,
            "access_key": self.access_key,
            "secret_key": self.secret_key.expose(),
            "admin_key": self.admin_key.expose(),
            "database": self.database,
        });
        format!("{line}\n")
    }

    /// What to paste next, for people.
    fn page(&self) -> String {
        let Self {
            url,
            upstream_url,
            access_key,
            database,
            ..
        } = self;
        let (secret, admin) = (self.secret_key.expose(), self.admin_key.expose());
        let host = url.trim_start_matches("http://");
        format!(
            r#"
Tollgate serves at {url}, in front of an imitation of Volcengine and OpenAI.
Nothing here costs money or leaves this machine. Ctrl-C ends it.

Submit a task:

  curl -s {url}/v1/submit -H 'Authorization: Bearer {secret}' \
    -H 'Content-Type: application/json' -H 'Idempotency-Key: first' \
    -d '{{"req_key":"jimeng_t2i_v40","prompt":"a lighthouse at dusk"}}'

Or with Volcengine's own SDK, pip install volcengine:

  from volcengine.visual.VisualService import VisualService
  v = VisualService()
  v.set_ak('{access_key}'); v.set_sk('{secret}')
  v.set_host('{host}'); v.set_scheme('http')
  task = v.cv_sync2async_submit_task({{'req_key': 'jimeng_t2i_v40', 'prompt': 'a lighthouse at dusk'}})
  print(v.cv_sync2async_get_result({{'req_key': 'jimeng_t2i_v40', 'task_id': task['data']['task_id']}}))

Chat with any client of OpenAI's, pip install openai:

  from openai import OpenAI
  client = OpenAI(base_url='{url}/v1', api_key='{secret}')
  messages = [{{'role': 'user', 'content': 'Hello'}}]
  for chunk in client.chat.completions.create(model='{OPENAI_MODEL}', messages=messages, stream=True):
      print(chunk.choices[0].delta.content or '', end='')

What the operator sees:

  the console    {url}/console     (sign in with the admin key below)
  Swagger UI     {url}/docs        (authorise with the same key)
  the log book   curl -s {url}/admin/audit -H 'Authorization: Bearer {admin}'
  metrics        {url}/metrics
  upstream       {upstream_url}/__seen

  admin key      {admin}
  store          {database}
"#
        )
    }
}

/// The credential that relay and imitation share. It opens nothing else.
const ACCESS_KEY: &str = "AKSANDBOX";
const SECRET_KEY: &str = "sandbox-secret-of-no-value";
/// The pool of the `openai` upstream: each account's name at the imitation, and its key.
const OPENAI_KEYS: [(&str, &str); 3] = [
    ("openai-1", "sk-sandbox-of-no-value-1"),
    ("openai-2", "sk-sandbox-of-no-value-2"),
    ("openai-3", "sk-sandbox-of-no-value-3"),
];
const OPENAI_MODEL: &str = "gpt-4o-mini";
