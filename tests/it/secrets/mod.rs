//! Promise 7: secrets stay in.
//!
//! A real server runs at its most talkative, over a real file, with a canary in the place of every secret; everything
//! that can go wrong with a call goes wrong; then all that came out is searched.

mod course;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tollgate::auth::Issued;
use tollgate::config::{Config, MapVars};
use tollgate::crypto::keyring::MasterKey;
use tollgate::model::clock::{Clock, SystemClock};
use tollgate::model::key::{ApiKey, Limits, Schemes, Scopes, Standing};
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Answer, Fault, Imitation, Rule, Settings};

use crate::support::{Client, Reply, query_body};

/// Base64 of 32 bytes that read `master-key-canary-master-key-can`.
const MASTER: &str = "bWFzdGVyLWtleS1jYW5hcnktbWFzdGVyLWtleS1jYW4=";
const UPSTREAM_KEY: &str = "AKLTcanary";
const UPSTREAM_SECRET: &str = "upstream-secret-canary";
const ADMIN_TOKEN: &str = "admin-token-canary-0123456789abcdef";
const METRICS_TOKEN: &str = "metrics-token-canary";
const CALLBACK_SECRET: &str = "callback-secret-canary-0123456789abcdef";
/// Keys of OpenAI-compatible upstreams: one of the environment, one that is added.
const OPENAI_KEY: &str = "openai-key-canary-0123456789abcdef";
const ADDED_KEY: &str = "added-key-canary-0123456789abcdef";
/// What is no secret of ours, but a client's own business.
const PROMPT: &str = "prompt-canary";
const IDEMPOTENCY_KEY: &str = "idempotency-key-canary";

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    let mut run = Run::start().await;
    run.everything_that_can_happen().await;
    let spoken = run.spoken.clone();
    let canaries = run.canaries.clone();
    let (logs, files) = run.stop();

    assert!(logs.contains("request.id"), "the logs were captured:\n{logs}");
    assert!(
        spoken.len() > 40
            && files
                .iter()
                .any(|(name, text)| name.contains("canary-store") && text.len() > 10_000)
    );
    let log_files = files.iter().filter(|(name, _)| name.contains("tollgate.log"));
    assert!(log_files.clone().count() > 2 && log_files.clone().any(|(_, text)| text.contains("request.id")));
    for canary in canaries {
        for (what, text) in &spoken {
            assert!(!text.contains(&canary), "{canary} is in the answer to {what}");
        }
        for (name, text) in &files {
            assert!(!text.contains(&canary), "{canary} is in the file {name}");
        }
        assert!(!logs.contains(&canary), "{canary} is in the logs:\n{logs}");
    }
}

#[test]
fn nothing_that_holds_a_secret_prints_it() {
    let vars = vars("127.0.0.1:1", "/tmp/never-opened.redb");
    let vars = vars
        .into_iter()
        .fold(MapVars::default(), |vars, (name, value)| vars.with(name, &value));
    let config = Config::parse(&vars).unwrap();
    let master = MasterKey::from_base64(&Secret::new(MASTER.to_owned())).unwrap();
    let account = (UPSTREAM_KEY.to_owned(), Secret::new(UPSTREAM_SECRET.to_owned()));
    let printed = [
        format!("{vars:?}"),
        format!("{config:#?}"),
        format!("{master:?}"),
        format!("{:?}", Settings::new(vec![account])),
        format!("{:?}", issued(&json!({ "secret_key": "sk_canary" }))),
    ];
    for text in printed {
        assert!(words(&text).all(|word| word == UPSTREAM_KEY), "{text}");
        assert!(!text.contains(MASTER), "{text}");
    }
}

#[test]
fn a_mistake_in_a_secret_is_told_without_it() {
    for (name, value) in [
        ("API_KEY_ENCRYPTION_KEY", "canary-that-is-not-base64"),
        ("API_KEY_ENCRYPTION_KEY_PREVIOUS", "canary-that-is-not-base64"),
        ("ENCRYPTION_PASSPHRASE", "canary"),
        ("ADMIN_TOKEN", "canary"),
        ("METRICS_TOKEN", "canary with blanks"),
        ("INTERNAL_CALLBACK_SECRET", "canary"),
        ("OPENAI_API_KEY", "canary with blanks"),
        ("VOLC_SECRETKEY", "canary,canary-two"),
        ("DATABASE_URL", "postgres://user:canary@host/db"),
    ] {
        let vars = vars("127.0.0.1:1", "x.redb");
        let vars = vars
            .into_iter()
            .fold(MapVars::default(), |vars, (name, value)| vars.with(name, &value));
        let mistakes = Config::parse(&vars.with(name, value)).unwrap_err();
        let told = format!("{mistakes} {mistakes:?}");
        assert!(told.contains(name), "{told}");
        assert!(words(&told).all(|word| word == UPSTREAM_KEY), "{told}");
    }
}

/// A server as a process of its own, in front of an imitation in this one.
struct Run {
    child: Child,
    logs: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    folder: TempDir,
    url: String,
    upstream: Imitation,
    spoken: Vec<(String, String)>,
    canaries: Vec<String>,
}

impl Run {
    async fn start() -> Self {
        let accounts = vec![(UPSTREAM_KEY.to_owned(), Secret::new(UPSTREAM_SECRET.to_owned()))];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Imitation::start(listener, Settings::new(accounts), Arc::new(SystemClock)).unwrap();
        let folder = TempDir::new().unwrap();
        let store = folder.path().join("canary-store.redb");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .envs(vars(&upstream.addr().to_string(), store.to_str().unwrap()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let logs = Arc::new(Mutex::new(String::new()));
        let (told, address) = std::sync::mpsc::channel();
        let readers = vec![
            read_lines(child.stdout.take().unwrap(), Arc::clone(&logs), told.clone()),
            read_lines(child.stderr.take().unwrap(), Arc::clone(&logs), told),
        ];
        let wait = tokio::task::spawn_blocking(move || address.recv_timeout(Duration::from_secs(20)));
        let address = wait
            .await
            .unwrap()
            .unwrap_or_else(|_| panic!("it did not start: {}", logs.lock().unwrap()));
        let raw = data_encoding::BASE64.decode(MASTER.as_bytes()).unwrap();
        let canaries = [
            MASTER,
            UPSTREAM_SECRET,
            ADMIN_TOKEN,
            METRICS_TOKEN,
            CALLBACK_SECRET,
            OPENAI_KEY,
            ADDED_KEY,
            PROMPT,
            IDEMPOTENCY_KEY,
        ];
        let mut canaries: Vec<_> = canaries.into_iter().map(str::to_owned).collect();
        canaries.push(String::from_utf8(raw).unwrap());
        Self {
            child,
            logs,
            readers,
            folder,
            url: format!("http://{address}"),
            upstream,
            spoken: Vec::new(),
            canaries,
        }
    }

    fn client(&self, issued: Option<Issued>) -> Client {
        Client::new(self.url.clone(), issued)
    }

    fn operator(&self) -> Client {
        self.client(None)
            .header("authorization", &format!("Bearer {ADMIN_TOKEN}"))
    }

    /// Asks, and keeps the answer with its headers.
    async fn keep(&mut self, client: &Client, method: Method, path: &str, body: &str) -> Reply {
        let reply = client.send(method, path, body).await.unwrap();
        let text = format!("{:?}\n{}", reply.headers, String::from_utf8_lossy(&reply.body));
        self.spoken.push((path.to_owned(), text));
        reply
    }

    async fn post(&mut self, client: &Client, path: &str, body: &str) -> Reply {
        self.keep(client, Method::POST, path, body).await
    }

    /// A new key, whose secret is a canary from then on. The answer that shows it is not kept.
    async fn issue(&mut self, path: &str, body: &Value) -> (Client, String) {
        let reply = self.operator().post(path, &body.to_string()).await;
        assert_eq!(reply.status, 201);
        let key = reply.json();
        self.canaries.push(key["secret_key"].as_str().unwrap().to_owned());
        (self.client(Some(issued(&key))), key["id"].as_str().unwrap().to_owned())
    }

    /// Ends the server; what it logged, and every file it left.
    fn stop(mut self) -> (String, Vec<(String, String)>) {
        let mut files = files(self.folder.path());
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        files.extend(files_after(self.folder.path()));
        let logs = self.logs.lock().unwrap().clone();
        (logs, files)
    }
}

/// What a server is told, a canary in the place of every secret.
fn vars(upstream: &str, store: &str) -> Vec<(&'static str, String)> {
    [
        ("API_KEY_ENCRYPTION_KEY", MASTER),
        ("VOLC_ACCESSKEY", UPSTREAM_KEY),
        ("VOLC_SECRETKEY", UPSTREAM_SECRET),
        ("VOLC_HOST", upstream),
        ("VOLC_SCHEME", "http"),
        ("VOLC_DEADLINE", "6s"),
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("METRICS_TOKEN", METRICS_TOKEN),
        ("INTERNAL_CALLBACK_SECRET", CALLBACK_SECRET),
        ("OPENAI_API_KEY", OPENAI_KEY),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
        ("MAX_RESPONSE_BYTES", "64KiB"),
        ("DATABASE_URL", store),
        ("STORE_RESERVE_BYTES", "0"),
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("DRAIN_TIMEOUT", "1s"),
        ("LOG_LEVEL", "trace"),
        ("LOG_FORMAT", "json"),
        // Beside the store, where every file is searched; none of its parts is thrown away.
        ("LOG_FILE", "tollgate.log"),
        ("LOG_MAX_BYTES", "8KiB"),
        ("LOG_MAX_FILES", "1000"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// Keeps every line, and tells the address from the one that names it.
fn read_lines(
    from: impl Read + Send + 'static,
    logs: Arc<Mutex<String>>,
    address: std::sync::mpsc::Sender<String>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Ok(json) = serde_json::from_str::<Value>(&line)
                && let Some(told) = json["address"].as_str()
            {
                drop(address.send(told.to_owned()));
            }
            let mut logs = logs.lock().unwrap();
            logs.push_str(&line);
            logs.push('\n');
        }
    })
}

/// Every file beside the store while the server runs.
fn files(folder: &Path) -> Vec<(String, String)> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        // Canaries are ASCII: what is not text around them does not hide them.
        let text = String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned();
        Some((path.display().to_string(), text))
    };
    std::fs::read_dir(folder).unwrap().filter_map(read).collect()
}

/// The same once it has ended.
fn files_after(folder: &Path) -> Vec<(String, String)> {
    files(folder)
        .into_iter()
        .map(|(name, text)| (format!("after the end: {name}"), text))
        .collect()
}

/// A key as a client that may sign needs it.
fn issued(key: &Value) -> Issued {
    let text = |field: &str| key[field].as_str().unwrap_or_default().to_owned();
    let id: tollgate::model::id::KeyId = text("id").parse().unwrap_or(tollgate::model::id::KeyId::from_bits(0));
    let now = SystemClock.wall();
    Issued {
        key: ApiKey {
            id,
            owner: id.as_owner(),
            access_key: text("access_key"),
            description: String::new(),
            created_at: now,
            updated_at: now,
            expires_at: None,
            standing: Standing::Active,
            rotation_of: None,
            scopes: Scopes::all(),
            schemes: Schemes::all(),
            models: None,
            limits: Limits::default(),
        },
        secret: Secret::new(text("secret_key")),
    }
}

/// Every word that has a canary in it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c));
    words.filter(|word| word.contains("canary"))
}
