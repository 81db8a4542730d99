//! What a server finds around it: its environment, and an imitation of Volcengine.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tollgate::config::MapVars;
use tollgate::model::clock::{Clock, SystemClock};
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Imitation, Settings};

use super::MASTER;

/// The operator's own token.
pub(super) const ADMIN_TOKEN: &str = "operator-canary-token-0123456789abcdef";
pub(super) const UPSTREAM_KEY: &str = "AKTEST";
pub(super) const UPSTREAM_SECRET: &str = "upstream-canary-secret";

/// The environment of a test: where nothing else is said, everything is at its default.
pub(super) fn vars() -> MapVars {
    MapVars::default()
        .with("API_KEY_ENCRYPTION_KEY", MASTER)
        .with("ADMIN_TOKEN", ADMIN_TOKEN)
        .with("VOLC_SCHEME", "http")
        .with("STORE_RESERVE_BYTES", "0")
}

/// The environment of a server in front of an imitation of its own.
pub(crate) async fn surroundings() -> (MapVars, Imitation) {
    let accounts = [(UPSTREAM_KEY, UPSTREAM_SECRET)];
    let upstream = imitate(&accounts, Duration::from_secs(3), Arc::new(SystemClock)).await;
    let vars = vars()
        .with("VOLC_ACCESSKEY", UPSTREAM_KEY)
        .with("VOLC_SECRETKEY", UPSTREAM_SECRET)
        .with("VOLC_HOST", &upstream.addr().to_string());
    (vars, upstream)
}

/// An imitation that knows these accounts, each an access key and its secret.
pub(super) async fn imitate(accounts: &[(&str, &str)], task_duration: Duration, clock: Arc<dyn Clock>) -> Imitation {
    let account = |&(access, secret): &(&str, &str)| (access.to_owned(), Secret::new(secret.to_owned()));
    let settings = Settings {
        task_duration,
        ..Settings::new(accounts.iter().map(account).collect())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Imitation::start(listener, settings, clock).unwrap()
}
