//! Child processes: their ports, their memory, the CPU they used, and their end.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::Result;

/// A child process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it. What it prints is kept only where `command` says so.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn()?;
        Ok(Self(child))
    }

    /// What it prints, if it was started with a pipe.
    pub(crate) fn output(&mut self) -> Option<std::process::ChildStdout> {
        self.0.stdout.take()
    }

    /// Resident memory in bytes, its children's with it.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut sum = 0;
        for process in self.family() {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kibibytes = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0");
            sum += kibibytes.parse::<u64>()? * 1024;
        }
        Ok(sum)
    }

    /// CPU time used so far, its children's with it. Its grain is a hundredth of a second.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for process in self.family() {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
            // The name in brackets may hold anything; user and system time are the 12th and 13th field after it.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            for field in fields.skip(11).take(2) {
                ticks += field.parse::<u64>()?;
            }
        }
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<()> {
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        self.0.wait()?;
        Ok(())
    }

    /// The process and its children.
    fn family(&self) -> Vec<u32> {
        let own = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        std::iter::once(own).chain(children).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port that nobody listens on, for a program that cannot be handed a listener.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Waits until something listens.
pub(crate) async fn until_listening(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = TcpStream::connect(address).await {
        if begun.elapsed() > PATIENCE {
            return Err(error.into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Lets this process, and those it starts from now on, have so many files open.
pub(crate) fn allow_files(files: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < files {
        return Err(format!("{files} files must be open at once, but no more than {hard} may be").into());
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.max(files), hard)?)
}

/// This program again, in another role.
pub(crate) fn this_program(role: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role);
    Ok(command)
}

/// A new folder on the disk that the build stands on, which is a real one where `/tmp` may be memory.
pub(crate) fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(PathBuf::from(env!("CARGO_TARGET_TMPDIR")))?)
}

/// How long a child may take to listen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
