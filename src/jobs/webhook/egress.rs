//! The guard of what leaves for addresses that strangers name.
//!
//! A name is resolved once, every address that came is judged, and the connection is made to one of them: nothing
//! resolves it again. So a name cannot lead to one address when it is judged and to another when it is called.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::model::address::is_public;
use crate::model::http_url::Host;
use crate::model::webhook::{Exemption, WebhookUrl};

/// What a resolver comes back with.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// What turns names into addresses: the system, or a test's table.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, all of them.
    ///
    /// Dropping the future gives the answer up.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Judges where webhooks may go.
pub struct Guard {
    resolver: Arc<dyn Resolve>,
    allow: Vec<Exemption>,
}

/// Addresses that a request may be sent to, at least one. Only [`Guard::judge`] makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged(Vec<SocketAddr>);

impl Judged {
    /// The addresses, in the order in which they are to be tried.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

/// Why a request may not be sent. The sentences name no address, as that would tell a stranger what our names lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It leads, or one of its addresses does, into somebody's own network.
    #[error("the webhook's host is not on the public internet, or one of its addresses is not")]
    NotPublic(IpAddr),
    /// It names another port than those of the web.
    #[error("the webhook's port must be 80 or 443")]
    Port(u16),
    /// Its name leads nowhere, at least for now.
    #[error("the name of the webhook's host could not be resolved")]
    Unresolved,
}

impl Guard {
    /// A guard that lets through what is public, and what is exempt.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolve>, allow: Vec<Exemption>) -> Self {
        Self { resolver, allow }
    }

    /// Finds out where a URL leads, and whether a request may go there.
    ///
    /// # Errors
    /// [`Refused`]: no connection may be opened.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn judge(&self, url: &WebhookUrl) -> Result<Judged, Refused> {
        let port = url.port();
        let (found, is_exempt) = match url.host() {
            Host::Address(address) => (vec![*address], false),
            Host::Name(name) => {
                let is_exempt = self.allow.iter().any(|exempt| exempt.covers_name(name, port));
                match timeout(PATIENCE, self.resolver.resolve(name)).await {
                    Ok(Ok(found)) if !found.is_empty() => (found, is_exempt),
                    _ => return Err(Refused::Unresolved),
                }
            }
        };
        for address in &found {
            if !is_exempt {
                self.judge_address(*address, port)?;
            }
        }
        let addresses = found
            .into_iter()
            .take(MOST)
            .map(|address| SocketAddr::new(address, port));
        Ok(Judged(addresses.collect()))
    }

    fn judge_address(&self, address: IpAddr, port: u16) -> Result<(), Refused> {
        if self.allow.iter().any(|exempt| exempt.covers_address(address, port)) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(Refused::NotPublic(address));
        }
        if !PORTS.contains(&port) {
            return Err(Refused::Port(port));
        }
        Ok(())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

/// The ports of the web.
const PORTS: [u16; 2] = [80, 443];

/// Addresses of one name that are tried; all are judged.
const MOST: usize = 4;

/// How long a resolver may take.
const PATIENCE: Duration = Duration::from_secs(5);
