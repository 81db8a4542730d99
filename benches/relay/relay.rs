//! The two relays: the `tollgate` program on a real file, and the same relay with its store in memory.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tollgate::api::Services;
use tollgate::app::{App, Outside, StoreSource};
use tollgate::auth::{Actor, Authority, KeySpec};
use tollgate::config::{Config, MapVars};
use tollgate::crypto::entropy::OsEntropy;
use tollgate::crypto::keyring::MasterKey;
use tollgate::crypto::seal::StoreId;
use tollgate::model::clock::SystemClock;
use tollgate::model::key::{Limits, Schemes, Scope, Scopes};
use tollgate::model::secret::Secret;
use tollgate::server::{self, Server};
use tollgate::store::error::OpenError;
use tollgate::store::{Missing, OpenOptions, Store};
use tollgate::telemetry::init::{self, Format, Stream};

use super::load::Target;
use super::process::{PATIENCE, Process, free_address, this_program};
use super::{Result, table, upstream};

/// Its name on the command line.
pub(crate) const ROLE: &str = "role-relay-in-memory";

/// A running relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) target: Target,
    pub(crate) process: Process,
}

/// A store on the disk with a key that may use the relay, enqueue jobs and pause a queue.
#[derive(Debug)]
pub(crate) struct OnDisk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) key: Secret,
}

impl Relay {
    /// The program itself. Returns once `/ready` says so.
    pub(crate) async fn start(store: &OnDisk, upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command
            .arg("serve")
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.current_dir(store.folder.path());
        for (name, value) in environment(&file(store.folder.path()), address, upstream) {
            command.env(name, value);
        }
        let relay = Self {
            process: Process::start(&mut command)?,
            target: Target::new(address, store.key.expose())?,
        };
        until_ready(address).await?;
        Ok(relay)
    }

    /// The same relay over a store in memory, in a process of this program.
    pub(crate) async fn start_in_memory(upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let mut command = this_program(ROLE)?;
        command.args([address.to_string(), upstream.to_string()]);
        let mut process = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
        let mut key = String::new();
        let output = process.output().ok_or("the relay has no output")?;
        BufReader::new(output).read_line(&mut key)?;
        let target = Target::new(address, key.trim())?;
        until_ready(address).await?;
        Ok(Self { target, process })
    }
}

impl OnDisk {
    /// A new store, on which `fill` may work before it is closed.
    pub(crate) async fn make(fill: impl AsyncFnOnce(&Services) -> Result<()>) -> Result<Self> {
        let folder = super::process::folder()?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let config = config(&file(folder.path()), nowhere, nowhere)?;
        let app = App::open(&config, &Outside::real()?, StoreSource::File, Box::new(|| 0)).await?;
        let key = issue(&app).await?;
        fill(app.services()).await?;
        app.close(PATIENCE).await;
        Ok(Self { folder, key })
    }
}

/// What the process of the relay in memory does.
pub(crate) async fn serve_in_memory() -> Result<()> {
    let mut arguments = std::env::args().skip(2);
    let mut address = || -> Result<SocketAddr> { Ok(arguments.next().ok_or("an address is missing")?.parse()?) };
    let (own, upstream) = (address()?, address()?);
    init::logs(LOG_LEVEL, Format::Json, Stream::Error, None);
    let config = config(Path::new("unused.redb"), own, upstream)?;
    let keys = |_: StoreId| {
        Ok::<_, OpenError>(vec![
            MasterKey::from_base64(&Secret::new(MASTER.to_owned())).map_err(|_| OpenError::WrongKey)?,
        ])
    };
    let opened = Store::open_backend(
        InMemoryBackend::new(),
        &OpenOptions {
            master_keys: &keys,
            cache_bytes: config.store.cache_bytes,
            missing: Missing::Create,
            progress: |_| {},
            clock: Arc::new(SystemClock),
            entropy: &OsEntropy,
        },
    )?;
    let app = App::open(
        &config,
        &Outside::real()?,
        StoreSource::Opened(Box::new(opened)),
        Box::new(|| 0),
    )
    .await?;
    let key = issue(&app).await?;
    let server = Server::new(
        Arc::new(poem::EndpointExt::boxed(app.endpoint())),
        server::Limits::default(),
    );
    server.listen(server::bind(&own.ip().to_string(), own.port())?)?;
    app.run_in_background(&config);
    table::say(key.expose());
    std::future::pending().await
}

async fn issue(app: &App) -> Result<Secret> {
    let spec = KeySpec {
        description: "bench".to_owned(),
        expires_at: None,
        scopes: Scopes::of([Scope::Relay, Scope::Jobs, Scope::Admin]),
        schemes: Schemes::all(),
        models: None,
        limits: Limits::default(),
    };
    let by = Actor {
        name: "bench".to_owned(),
        request: None,
        authority: Authority::Full,
    };
    Ok(app.services().issuer.create(spec, &by).await?.secret)
}

/// Waits for a 200 from `/ready`.
async fn until_ready(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while !is_ready(address).await {
        if begun.elapsed() > PATIENCE {
            return Err("the relay was not ready in time".into());
        }
        sleep(std::time::Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn is_ready(address: SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return false;
    };
    let request = format!("GET /ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("tollgate.redb")
}

/// The environment of a server: whatever is not named stands at its default. One key carries all of the load, so it may
/// have more calls in flight than the 64 of the default; waiting is measured in [`super::queue`].
fn environment(store: &Path, address: SocketAddr, upstream: SocketAddr) -> [(&'static str, String); 15] {
    [
        ("DATABASE_URL", store.display().to_string()),
        ("API_KEY_ENCRYPTION_KEY", MASTER.to_owned()),
        ("HOST", address.ip().to_string()),
        ("PORT", address.port().to_string()),
        ("PER_KEY_MAX_CONCURRENT_CALLS", "2048".to_owned()),
        ("JOB_QUEUES", format!("default:{JOBS_AT_ONCE}")),
        ("VOLC_ACCESSKEY", upstream::ACCESS_KEY.to_owned()),
        ("VOLC_SECRETKEY", upstream::SECRET_KEY.to_owned()),
        ("VOLC_SCHEME", "http".to_owned()),
        ("VOLC_HOST", upstream.to_string()),
        ("OPENAI_API_KEY", upstream::BEARER_KEY.to_owned()),
        ("OPENAI_BASE_URL", format!("http://{upstream}/v1")),
        ("STORE_RESERVE_BYTES", "0".to_owned()),
        ("DRAIN_TIMEOUT", "0s".to_owned()),
        ("LOG_LEVEL", LOG_LEVEL.to_owned()),
    ]
}

fn config(store: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<Config> {
    let variables = environment(store, address, upstream);
    let vars = variables
        .iter()
        .fold(MapVars::default(), |vars, (name, value)| vars.with(name, value));
    Ok(Config::parse(&vars)?)
}

/// The key that every store of the bench is sealed under.
const MASTER: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// So many jobs run at once.
pub(crate) const JOBS_AT_ONCE: usize = 64;

/// No line for each request: nginx writes none either.
const LOG_LEVEL: &str = "warn";
