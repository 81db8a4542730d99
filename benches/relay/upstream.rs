//! The upstream: the built-in imitation in a process of its own. It answers at once and trusts every signature.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use tokio::net::TcpListener;
use tollgate::model::clock::SystemClock;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Imitation, Settings, Verification};

use super::process::{Process, this_program};
use super::{Result, table};

/// Its name on the command line.
pub(crate) const ROLE: &str = "role-upstream";

/// The running imitation.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Upstream {
    pub(crate) fn start() -> Result<Self> {
        let mut process = Process::start(this_program(ROLE)?.stdout(Stdio::piped()))?;
        let mut line = String::new();
        let output = process.output().ok_or("the upstream has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self {
            address: line.trim().parse()?,
            _process: process,
        })
    }
}

/// What the process does.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let settings = Settings {
        verification: Verification::Trusted,
        ..Settings::new(vec![(ACCESS_KEY.to_owned(), Secret::new(SECRET_KEY.to_owned()))])
    };
    let imitation = Imitation::start(listener, settings, Arc::new(SystemClock))?;
    table::say(&imitation.addr().to_string());
    std::future::pending().await
}

/// The account's credential. It opens nothing.
pub(crate) const ACCESS_KEY: &str = "AKBENCH";
pub(crate) const SECRET_KEY: &str = "a-secret-of-no-value";
