//! A client of the relay, with or without a key.

use std::fmt;
use std::sync::Once;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tollgate::auth::Issued;
use tollgate::crypto::digest::sha256;
use tollgate::crypto::sigv4::sign::{Signer, Unsigned};
use tollgate::model::clock::{Clock, SystemClock, Timestamp};

/// A client.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    key: Option<std::sync::Arc<Issued>>,
    http: reqwest::Client,
    headers: HeaderMap,
}

/// A whole answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(url: String, key: Option<Issued>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        // No pool: a test that moves the clock must not meet a connection that ran out of patience meanwhile.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self {
            url,
            key: key.map(std::sync::Arc::new),
            http,
            headers: HeaderMap::new(),
        }
    }

    /// The key it holds.
    pub(crate) fn issued(&self) -> &Issued {
        self.key.as_ref().unwrap()
    }

    /// The same client with one more header on every request.
    pub(crate) fn header(&self, name: &'static str, value: &str) -> Self {
        let mut with = self.clone();
        with.headers
            .append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        with
    }

    /// The same client with an idempotency key on every request.
    pub(crate) fn idempotent(&self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The same client, of another server.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// Submits beside the test, to a server that may not live to answer. Aborting the handle hangs up.
    pub(crate) fn try_submitting(&self, body: &str) -> JoinHandle<reqwest::Result<Reply>> {
        let (client, body) = (self.clone(), body.to_owned());
        TaskTracker::new().spawn(async move { client.send(Method::POST, "/v1/submit", &body).await })
    }

    pub(crate) async fn submit(&self, body: &str) -> Reply {
        self.post("/v1/submit", body).await
    }

    /// Submits beside the test. Aborting the handle hangs up.
    pub(crate) fn launch(&self, marker: &str) -> JoinHandle<Reply> {
        let (client, body) = (self.clone(), super::submit_body(marker));
        TaskTracker::new().spawn(async move { client.submit(&body).await })
    }

    pub(crate) async fn query(&self, body: &str) -> Reply {
        self.post("/v1/get-result", body).await
    }

    pub(crate) async fn process(&self, body: &str) -> Reply {
        self.post("/?Action=CVProcess&Version=2022-08-31", body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send(Method::POST, path, body).await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> reqwest::Result<Reply> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .headers(self.headers.clone());
        if !body.is_empty() && !self.headers.contains_key(CONTENT_TYPE) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key
            && !self.headers.contains_key(AUTHORIZATION)
        {
            request = request.bearer_auth(key.secret.expose());
        }
        let response = request.body(body.to_owned()).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply {
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        })
    }

    /// Posts with Volcengine's signature instead of the secret, as its SDKs do.
    pub(crate) async fn post_signed(&self, path: &str, body: &str) -> Reply {
        self.post_with(path, body.to_owned(), self.sign(REGION, path, body))
            .await
    }

    /// What signs a post of JSON for a region, as headers.
    pub(crate) fn sign(&self, region: &str, path: &str, body: &str) -> HeaderMap {
        self.sign_at(SystemClock.wall(), "POST", region, path, body)
    }

    /// The same client with the signature of one request, made at a moment, in the place of its secret.
    pub(crate) fn signing(&self, at: Timestamp, method: &str, path: &str, body: &str) -> Self {
        let mut signing = self.clone();
        signing.headers.extend(self.sign_at(at, method, REGION, path, body));
        signing
    }

    fn sign_at(&self, at: Timestamp, method: &str, region: &str, path: &str, body: &str) -> HeaderMap {
        let key = self.issued();
        let signer = Signer::new(key.key.access_key.clone(), key.secret.clone(), region.to_owned(), "cv");
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let signature = signer.sign(
            &Unsigned {
                method,
                host: self.host(),
                path: bare,
                query,
                content_type: "application/json",
                body_sha256: &sha256(body.as_bytes()),
            },
            at,
        );
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        HeaderMap::from_iter([
            (HOST, value(self.host())),
            (CONTENT_TYPE, value("application/json")),
            (HeaderName::from_static("x-date"), value(&signature.x_date)),
            (
                HeaderName::from_static("x-content-sha256"),
                value(&signature.x_content_sha256),
            ),
            (AUTHORIZATION, value(&signature.authorization)),
        ])
    }

    /// Host and port of the relay.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The secret as a header line, for a request that is written by hand.
    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.issued().secret.expose())
    }

    /// Posts with these headers and those of the client, and no credential but what they hold.
    pub(crate) async fn post_with(&self, path: &str, body: impl Into<reqwest::Body>, headers: HeaderMap) -> Reply {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .headers(self.headers.clone())
            .headers(headers);
        let response = request.body(body).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Reply {
            status,
            headers,
            body: response.bytes().await.unwrap().to_vec(),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The stable code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The number of the intent that an error names.
    pub(crate) fn audit_id(&self) -> u64 {
        self.json()["error"]["audit_id"].as_u64().unwrap()
    }

    /// The task that a submit created.
    pub(crate) fn task_id(&self) -> String {
        self.json()["data"]["task_id"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts that it is our one envelope, with both of its shapes saying the same.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.code().as_str()),
            (status, code),
            "{}",
            self.text()
        );
        let number = match status {
            // What is spent is not there again in a moment.
            429 if code == "QUOTA_EXCEEDED" => 50_499,
            429 => 50_430,
            500.. => 50_500,
            401 | 403 => 50_400,
            _ => 50_499,
        };
        let body = self.json();
        assert_eq!((&body["code"], &body["status"]), (&number.into(), &number.into()));
        assert_eq!(body["message"], body["error"]["message"]);
        assert!(body["data"].is_null() && body["error"]["type"].is_string(), "{body}");
        assert_eq!(body["success"], false);
        let request = self.header("x-request-id").expect("every answer names its request");
        assert!(request.starts_with("req_"), "{request}");
        assert_eq!(
            (body["request_id"].as_str(), body["error"]["request_id"].as_str()),
            (Some(request), Some(request))
        );
    }

    /// Asserts that it is this answer to a limit, with a `Retry-After` from 1 s to 60 s.
    #[track_caller]
    pub(crate) fn is_limited(&self, code: &str) {
        self.assert_error(429, code);
        let after: u64 = self.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "Retry-After: {after}");
    }

    /// Its body, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The region that the relay signs and is signed for.
pub(crate) const REGION: &str = "cn-north-1";
