//! The real program, in processes of its own that can be killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tokio::net::TcpListener;
use tollgate::crypto::entropy::OsEntropy;
use tollgate::crypto::keyring::MasterKey;
use tollgate::crypto::seal::StoreId;
use tollgate::model::clock::SystemClock;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Imitation, Settings};
use tollgate::store::{Missing, OpenOptions, Opened, Store};

use super::Client;
use super::relay::{MASTER, UPSTREAM_KEY, UPSTREAM_SECRET};

/// The program with an environment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    database: PathBuf,
    vars: BTreeMap<String, String>,
    user: Option<u32>,
}

/// What a command that ended had to say.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// A server that runs. It is killed when dropped.
pub(crate) struct Serving {
    pub(crate) url: String,
    child: Child,
}

impl Program {
    /// One whose store is at `database`.
    pub(crate) fn on(database: &Path) -> Self {
        let program = Self {
            database: database.to_owned(),
            vars: BTreeMap::new(),
            user: None,
        };
        program
            .with("DATABASE_URL", &database.display().to_string())
            .with("API_KEY_ENCRYPTION_KEY", MASTER)
            .with("STORE_RESERVE_BYTES", "0")
            .with("HOST", "127.0.0.1")
            .with("PORT", "0")
            .with("LOG_FORMAT", "json")
    }

    /// One that speaks to an upstream.
    pub(crate) fn before(self, upstream: SocketAddr) -> Self {
        self.with("VOLC_ACCESSKEY", UPSTREAM_KEY)
            .with("VOLC_SECRETKEY", UPSTREAM_SECRET)
            .with("VOLC_SCHEME", "http")
            .with("VOLC_HOST", &upstream.to_string())
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.vars.remove(name);
        self
    }

    /// Runs it as another user: root may do too much.
    pub(crate) fn run_by(mut self, uid: u32) -> Self {
        self.user = Some(uid);
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(args).env_clear().envs(&self.vars).current_dir("/");
        if let Some(uid) = self.user {
            std::os::unix::process::CommandExt::uid(&mut command, uid);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let ended = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            success: ended.status.success(),
            output: text(ended.stdout),
            errors: text(ended.stderr),
        }
    }

    /// Issues a key.
    pub(crate) fn client(&self) -> Client {
        let created = self.run(&["key", "create", "--json"]);
        assert!(created.success, "{created:?}");
        let key: serde_json::Value = serde_json::from_str(&created.output).unwrap();
        let secret = key["secret_key"].as_str().unwrap();
        Client::new(String::new(), None).header("authorization", &format!("Bearer {secret}"))
    }

    /// Starts a server without waiting for it; its log comes line by line.
    pub(crate) fn spawn(&self) -> (Serving, Receiver<String>) {
        let mut command = self.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, log) = mpsc::channel();
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for stream in [Box::new(output) as Box<dyn Read + Send>, Box::new(errors)] {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.for_each(|line| drop(tell.send(line)));
            });
        }
        let url = String::new();
        (Serving { url, child }, log)
    }

    /// Starts a server, and waits until it serves.
    pub(crate) fn serve(&self) -> Serving {
        let (mut serving, log) = self.spawn();
        let line = line_with(&log, r#""message":"serving""#);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        serving.url = format!("http://{}", line["address"].as_str().unwrap());
        serving
    }

    /// Opens a copy of the store as it is now, whoever holds it.
    pub(crate) fn open_copy(&self) -> Opened {
        let copy = self.database.with_extension("copy");
        std::fs::copy(&self.database, &copy).unwrap();
        open_file(&copy).unwrap()
    }
}

impl Serving {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The first line of a log that holds `text`. It waits twenty seconds at most.
pub(crate) fn line_with(log: &Receiver<String>, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match log.recv_timeout(Duration::from_secs(20)) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(error) => panic!("no line says {text:?} ({error}), only {seen:#?}"),
        }
    }
}

/// Opens the store in a file, in this process.
pub(crate) fn open_file(path: &Path) -> Result<Opened, tollgate::store::error::OpenError> {
    let keys = |_: StoreId| Ok(vec![MasterKey::from_base64(&Secret::new(MASTER.to_owned())).unwrap()]);
    Store::open(
        path,
        &OpenOptions {
            master_keys: &keys,
            cache_bytes: 8 << 20,
            missing: Missing::Create,
            progress: |_| {},
            clock: Arc::new(SystemClock),
            entropy: &OsEntropy,
        },
    )
}

/// An upstream for programs, which takes `latency` for every answer.
pub(crate) async fn imitation(latency: Duration) -> Imitation {
    let accounts = vec![(UPSTREAM_KEY.to_owned(), Secret::new(UPSTREAM_SECRET.to_owned()))];
    let settings = Settings {
        latency,
        ..Settings::new(accounts)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Imitation::start(listener, settings, Arc::new(SystemClock)).unwrap()
}
