//! The upstream, in a process of its own: the built-in imitation, which answers at once and trusts every signature, or
//! the canned one.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use tokio::net::TcpListener;
use tollgate::model::clock::SystemClock;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Imitation, Settings, Verification};

use super::process::{Process, this_program};
use super::{Result, canned, table};

/// Its name on the command line.
pub(crate) const ROLE: &str = "role-upstream";

/// The running upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Upstream {
    /// The imitation.
    pub(crate) fn start() -> Result<Self> {
        Self::in_role(ROLE)
    }

    /// The one that does next to nothing.
    pub(crate) fn start_canned() -> Result<Self> {
        Self::in_role(canned::ROLE)
    }

    fn in_role(role: &str) -> Result<Self> {
        let mut process = Process::start(this_program(role)?.stdout(Stdio::piped()))?;
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

/// The credentials of its accounts. They open nothing.
pub(crate) const ACCESS_KEY: &str = "AKBENCH";
pub(crate) const SECRET_KEY: &str = "a-secret-of-no-value";
pub(crate) const BEARER_KEY: &str = "sk-bench";
