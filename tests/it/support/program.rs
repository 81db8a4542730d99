//! The real program, in processes of its own that can be killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tokio::net::TcpListener;
use tollgate::config::{MapVars, Vars};
use tollgate::crypto::entropy::OsEntropy;
use tollgate::crypto::keyring::MasterKey;
use tollgate::crypto::seal::StoreId;
use tollgate::model::clock::SystemClock;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Imitation, Settings};
use tollgate::store::{Missing, OpenOptions, Opened, Store};

use super::MASTER;
use super::surroundings::{UPSTREAM_KEY, UPSTREAM_SECRET};
use super::{Client, eventually};

/// The program with an environment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    database: PathBuf,
    vars: BTreeMap<String, String>,
    user: Option<u32>,
    /// The words of a command that it runs under, such as one that sets limits.
    under: Vec<String>,
}

/// What a command that ended had to say.
#[derive(Debug)]
pub(crate) struct Said {
    /// The exit code, if no signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// A server that runs. It is killed when dropped.
pub(crate) struct Process {
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
            under: Vec::new(),
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

    pub(crate) fn with_all(self, vars: &MapVars) -> Self {
        vars.names()
            .iter()
            .fold(self, |program, name| program.with(name, &vars.get(name).unwrap()))
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

    /// Runs it under a command, which gets the program and its arguments as its last words.
    pub(crate) fn run_under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut words = self
            .under
            .iter()
            .map(String::as_str)
            .chain([TOLLGATE])
            .chain(args.iter().copied());
        let mut command = Command::new(words.next().unwrap());
        command.args(words).env_clear().envs(&self.vars);
        command.current_dir("/").stdin(Stdio::null());
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
            code: ended.status.code(),
            output: text(ended.stdout),
            errors: text(ended.stderr),
        }
    }

    /// Runs a command that must succeed, and reads the JSON that it prints.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let said = self.run(args);
        assert!(said.succeeded(), "{args:?}: {said:?}");
        serde_json::from_str(&said.output).unwrap()
    }

    /// Issues a key, and gives its holder, who has yet to be told of a server.
    pub(crate) fn client(&self, name: &str) -> Client {
        let key = self.json(&["key", "create", "--description", name]);
        let secret = key["secret_key"].as_str().unwrap();
        Client::new(String::new(), None).header("authorization", &format!("Bearer {secret}"))
    }

    /// Starts a server without waiting for it; its log comes line by line.
    pub(crate) fn spawn(&self) -> (Process, Receiver<String>) {
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
        (Process { url, child }, log)
    }

    /// Starts a server, and waits until it serves.
    pub(crate) fn serve(&self) -> Process {
        let (mut process, log) = self.spawn();
        let line = line_with(&log, r#""message":"serving""#);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        process.url = format!("http://{}", line["address"].as_str().unwrap());
        process
    }

    /// Opens a copy of the store as it is now, whoever holds it.
    pub(crate) fn open_copy(&self) -> Opened {
        let copy = self.database.with_extension("copy");
        std::fs::copy(&self.database, &copy).unwrap();
        open_file(&copy).unwrap()
    }
}

impl Said {
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl Process {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Process {
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

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");
