//! The imitation as its clients see it, over real connections on loopback.

mod misbehaviour;
mod openai;
mod pool;
mod streams;
mod tasks;
mod volcengine;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{Answer, Fault, Imitation, Pace, Rule, Settings, Streams, Traffic, Verification};
use crate::crypto::digest::sha256;
use crate::crypto::sigv4::sign::{Signer, Unsigned};
use crate::model::clock::{Clock, Timestamp};
use crate::model::secret::Secret;

/// A clock that moves only when told to.
struct ManualClock {
    start: Instant,
    advanced: Mutex<Duration>,
}

impl ManualClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            advanced: Mutex::default(),
        })
    }

    fn advance(&self, length: Duration) {
        *self.advanced.lock().unwrap() += length;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_seconds(1_771_927_200).plus(*self.advanced.lock().unwrap())
    }

    fn monotonic(&self) -> Instant {
        self.start + *self.advanced.lock().unwrap()
    }
}

/// A running imitation and a client of it.
struct Scene {
    imitation: Imitation,
    clock: Arc<ManualClock>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Scene {
    /// Accounts `ak_one` and `ak_two`, whose secret keys are `sk_one` and `sk_two`.
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let account = |name: &str| (format!("ak_{name}"), Secret::new(format!("sk_{name}")));
        let mut settings = Settings::new(vec![account("one"), account("two")]);
        change(&mut settings);
        let clock = ManualClock::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let imitation = Imitation::start(listener, settings, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self {
            imitation,
            clock,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    fn host(&self) -> String {
        self.imitation.addr().to_string()
    }

    /// Sends a call signed by `account`, e.g. `one`, with the right version for its action.
    async fn signed(&self, account: &str, action: &str, body: &Value) -> Reply {
        let version = if action == "CVCancelTask" {
            "2024-06-06"
        } else {
            "2022-08-31"
        };
        let request = self.sign(account, &format!("Action={action}&Version={version}"), body.to_string());
        self.send(request).await
    }

    fn sign(&self, account: &str, query: &str, body: String) -> Request<Full<Bytes>> {
        let secret = Secret::new(format!("sk_{account}"));
        let signer = Signer::new(format!("ak_{account}"), secret, "cn-north-1".to_owned(), "cv");
        let unsigned = Unsigned {
            method: "POST",
            host: &self.host(),
            path: "/",
            query,
            content_type: "application/json",
            body_sha256: &sha256(body.as_bytes()),
        };
        let signature = signer.sign(&unsigned, self.clock.wall());
        Request::post(format!("http://{}/?{query}", self.host()))
            .header("content-type", "application/json")
            .header("x-date", signature.x_date)
            .header("x-content-sha256", signature.x_content_sha256)
            .header("authorization", signature.authorization)
            .body(Full::from(body))
            .unwrap()
    }

    /// Sends a call with the bearer token `sk_one`.
    async fn bearer(&self, path: &str, body: &Value) -> Reply {
        self.bearer_as("one", path, body).await
    }

    /// Sends a call with the bearer token of `account`, e.g. `sk_two` of `two`.
    async fn bearer_as(&self, account: &str, path: &str, body: &Value) -> Reply {
        self.send(self.post(account, path, body)).await
    }

    fn post(&self, account: &str, path: &str, body: &Value) -> Request<Full<Bytes>> {
        Request::post(format!("http://{}{path}", self.host()))
            .header("authorization", format!("Bearer sk_{account}"))
            .body(Full::from(body.to_string()))
            .unwrap()
    }

    /// The next call suffers `fault`.
    fn spoil(&self, fault: Fault) {
        self.imitation.faults().push(Rule::any(fault)).unwrap();
    }

    async fn get(&self, url: &str) -> Reply {
        let request = Request::get(url)
            .header("authorization", "Bearer sk_one")
            .body(Full::default());
        self.send(request.unwrap()).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        let (head, body) = self.try_send(request).await.unwrap().into_parts();
        Reply {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.client.request(request).await
    }

    /// Waits, without sleeping, until the imitation has noticed something.
    async fn until(&self, happened: impl Fn(&super::Seen) -> bool) {
        let waiting = async {
            while !happened(&self.imitation.seen()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    }
}

/// A question for `/v1/chat/completions`.
fn question(text: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})
}

/// The same, to be answered as a stream.
fn streamed(text: &str) -> Value {
    let mut question = question(text);
    question["stream"] = json!(true);
    question
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The data of every event but `[DONE]`.
    fn events(&self) -> Vec<Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }
}

const CHAT: &str = "/v1/chat/completions";
