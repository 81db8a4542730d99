//! An OpenAI-compatible provider with several accounts, and what a test has to do with each of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate::model::clock::SystemClock;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Answer, Fault, Imitation, Rule, Settings};
use tollgate::upstream::error::{Fault as Failure, Phase, UpstreamError};
use tollgate::upstream::transport::{Network, Opened, Outbound, Received, Sending, Transport};

use super::{Builder, Client, Relay, Reply};

/// An imitation whose accounts are called by names.
pub(crate) struct Provider {
    imitation: Imitation,
    keys: Vec<String>,
}

impl Provider {
    pub(crate) async fn with(names: &[&str]) -> Self {
        let keys: Vec<String> = names.iter().map(|name| key_of(name)).collect();
        let bearer = |name: &&str| ((*name).to_owned(), Secret::new(key_of(name)));
        let settings = Settings {
            bearer_keys: names.iter().map(bearer).collect(),
            ..Settings::new(Vec::new())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            imitation: Imitation::start(listener, settings, Arc::new(SystemClock)).unwrap(),
            keys,
        }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.imitation.addr())
    }

    /// A relay whose `openai` upstream has every account of it.
    pub(crate) fn behind(&self, relay: Builder) -> Builder {
        relay
            .with("OPENAI_API_KEY", &self.keys.join(","))
            .with("OPENAI_BASE_URL", &self.url())
    }

    /// The same for the `dashscope` upstream.
    pub(crate) fn as_dashscope(&self, relay: Builder) -> Builder {
        relay
            .with("DASHSCOPE_API_KEY", &self.keys.join(","))
            .with("DASHSCOPE_BASE_URL", &self.url())
    }

    /// From now on every call of an account ends like this.
    pub(crate) fn always(&self, account: &str, fault: Fault) {
        self.order(Rule::any(fault).by(account).always());
    }

    /// The next call ends like this, whichever account makes it.
    pub(crate) fn next(&self, fault: Fault) {
        self.order(Rule::any(fault));
    }

    pub(crate) fn order(&self, rule: Rule) {
        self.imitation.faults().push(rule).unwrap();
    }

    /// An account is well again.
    pub(crate) fn heal(&self, account: &str) {
        self.imitation.faults().heal(account);
    }

    /// How often an account was asked.
    pub(crate) fn asked(&self, account: &str) -> u64 {
        self.imitation.seen().account(account).total
    }

    /// How often it was asked at all.
    pub(crate) fn total(&self) -> u64 {
        self.imitation.seen().total
    }

    /// How many calls are there now.
    pub(crate) fn in_flight(&self) -> usize {
        self.imitation.seen().in_flight
    }
}

/// The bearer key of an account.
pub(crate) fn key_of(account: &str) -> String {
    format!("sk-{account}-0123456789abcdefghij")
}

/// An error with this status in the provider's words.
pub(crate) fn error(status: u16) -> Fault {
    let status = StatusCode::from_u16(status).unwrap();
    // Without a code, a 400 would be that of an account in arrears.
    let code = (status == StatusCode::BAD_REQUEST).then(|| "invalid_value".to_owned());
    Fault::Answer(Answer {
        status,
        error: code,
        ..Answer::default()
    })
}

/// A 429 that asks for a wait.
pub(crate) fn limited_for(seconds: u64) -> Fault {
    Fault::rate_limit(HeaderValue::from(seconds))
}

/// A 429 that does not say for how long.
pub(crate) fn limited() -> Fault {
    Fault::Answer(Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        ..Answer::default()
    })
}

/// A chat with a model.
pub(crate) fn chat_body(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).to_string()
}

impl Client {
    /// Chats with a model, without a stream.
    pub(crate) async fn chat(&self, model: &str) -> Reply {
        self.post("/v1/chat/completions", &chat_body(model)).await
    }
}

impl Relay {
    /// The accounts of an upstream as the operator sees them, in the order of their definition.
    pub(crate) async fn accounts_of(&self, upstream: &str) -> Vec<Value> {
        let path = format!("/admin/upstreams/{upstream}/accounts");
        let listed = self.operator().get(&path).await.json();
        listed["items"].as_array().unwrap().clone()
    }

    /// The state and reason of each of them.
    pub(crate) async fn states_of(&self, upstream: &str) -> Vec<String> {
        let accounts = self.accounts_of(upstream).await;
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        accounts
            .iter()
            .map(|account| format!("{} {}", word(&account["state"]), word(&account["reason"])))
            .collect()
    }

    /// The events of the log book by their names, oldest first.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        let book = self.log_book();
        book.iter().map(|(_, entry)| entry.event.label()).collect()
    }
}

/// A network that carries some requests differently from others, in the order in which they come.
pub(crate) struct Detour {
    network: Network,
    ways: Mutex<VecDeque<Way>>,
}

/// How the network carries one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As ever.
    Through,
    /// No connection can be made.
    NoConnection,
    /// It hangs before its first byte.
    Held,
}

impl Detour {
    /// The first requests take these ways, all others go through.
    pub(crate) fn of(ways: impl IntoIterator<Item = Way>) -> Arc<Self> {
        Arc::new(Self {
            network: Network::new().unwrap(),
            ways: Mutex::new(ways.into_iter().collect()),
        })
    }

    /// How many requests are yet to take a way of their own.
    pub(crate) fn left(&self) -> usize {
        self.ways.lock().unwrap().len()
    }

    async fn carry<T>(&self, sending: Sending<'_, T>) -> Result<T, UpstreamError> {
        let way = self.ways.lock().unwrap().pop_front();
        match way.unwrap_or(Way::Through) {
            Way::Through => sending.await,
            Way::NoConnection => Err(UpstreamError {
                phase: Phase::Connect,
                fault: Failure::Broken,
            }),
            Way::Held => std::future::pending().await,
        }
    }
}

impl Transport for Detour {
    fn send(&self, request: Outbound) -> Sending<'_, Received> {
        Box::pin(self.carry(self.network.send(request)))
    }

    fn open(&self, request: Outbound) -> Sending<'_, Opened> {
        Box::pin(self.carry(self.network.open(request)))
    }
}
