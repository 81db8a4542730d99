//! The program itself, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;

use tollgate::config::{MapVars, Vars};

use super::eventually;

/// A `tollgate serve` that runs. It is killed when dropped.
pub(crate) struct Process {
    pub(crate) url: String,
    child: Child,
    vars: MapVars,
    folder: PathBuf,
}

impl Process {
    /// Starts a server over `tollgate.redb` in `folder`, and waits until it serves.
    pub(crate) async fn serve(vars: &MapVars, folder: &Path) -> Self {
        Self::serve_within(vars, folder, &[]).await
    }

    /// The same, where the server runs under a command, such as one that sets limits.
    pub(crate) async fn serve_within(vars: &MapVars, folder: &Path, under: &[&str]) -> Self {
        let database = folder.join("tollgate.redb");
        let vars = vars
            .clone()
            .with("DATABASE_URL", database.to_str().unwrap())
            .with("HOST", "127.0.0.1")
            .with("PORT", "0");
        let mut command = command(&vars, folder, &[under, &[TOLLGATE, "serve"]].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            // The whole output is read, or the server would block on a full pipe.
            for line in output.lines().map_while(Result::ok) {
                let address = line
                    .split_once(r#""address":""#)
                    .and_then(|(_, rest)| rest.split_once('"'));
                if let Some((address, _)) = address {
                    drop(tell.send(address.to_owned()));
                }
            }
        });
        let mut address = None;
        eventually("the server serves", async || {
            address = told.try_recv().ok();
            address.is_some()
        })
        .await;
        let address = address.unwrap();
        let (_, port) = address.rsplit_once(':').unwrap();
        let vars = vars.with("PORT", port);
        Self {
            url: format!("http://{address}"),
            child,
            vars,
            folder: folder.to_owned(),
        }
    }

    /// Runs another command in the same environment, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        command(&self.vars, &self.folder, &[&[TOLLGATE], arguments].concat())
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed, and reads the JSON that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
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

/// A command with these variables and no others.
fn command(vars: &MapVars, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for name in vars.names() {
        command.env(&name, vars.get(&name).unwrap());
    }
    command
}

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");
