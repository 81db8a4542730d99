//! A relay in front of an OpenAI-compatible upstream.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tollgate::model::clock::SystemClock;
use tollgate::model::record::{Entry, Event};
use tollgate::model::secret::Secret;
use tollgate::model::usage::{Source, Usage};
use tollgate::sandbox::{Imitation, Settings};

use super::{Builder, Relay};

/// The credential of the only account.
pub(crate) const OPENAI_KEY: &str = "sk-upstream-canary-0123456789";

impl Builder {
    /// With an `openai` upstream of one account at this address.
    pub(crate) fn openai_at(self, address: SocketAddr) -> Self {
        self.with("OPENAI_API_KEY", OPENAI_KEY)
            .with("OPENAI_BASE_URL", &format!("http://{address}/v1"))
    }
}

impl Relay {
    /// What the calls so far consumed, as the log book says, oldest first.
    pub(crate) fn consumed(&self) -> Vec<(Usage, Source)> {
        let consumed = |(_, entry): (u64, Entry)| match entry.event {
            Event::Consumed(consumed) => Some((consumed.usage, consumed.source)),
            _ => None,
        };
        self.log_book().into_iter().filter_map(consumed).collect()
    }
}

/// An imitation of OpenAI's API that knows the account.
pub(crate) async fn openai_imitation() -> Imitation {
    let settings = Settings {
        bearer_keys: vec![("first".to_owned(), Secret::new(OPENAI_KEY.to_owned()))],
        ..Settings::new(Vec::new())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Imitation::start(listener, settings, Arc::new(SystemClock)).unwrap()
}
