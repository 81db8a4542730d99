//! A client of the relay, with or without a key.

use std::sync::Once;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tollgate::auth::Issued;
use tollgate::crypto::digest::sha256;
use tollgate::crypto::sigv4::sign::{Signer, Unsigned};
use tollgate::model::clock::{Clock, SystemClock};

/// A client.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    key: Option<std::sync::Arc<Issued>>,
    http: reqwest::Client,
    headers: HeaderMap,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(url: String, key: Option<Issued>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
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

    pub(crate) async fn submit(&self, body: &str) -> Reply {
        self.post("/v1/submit", body).await
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
        if !body.is_empty() {
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
        let key = self.issued();
        let signer = Signer::new(
            key.key.access_key.clone(),
            key.secret.clone(),
            "cn-north-1".to_owned(),
            "cv",
        );
        let host = self.url.trim_start_matches("http://");
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let signature = signer.sign(
            &Unsigned {
                method: "POST",
                host,
                path: bare,
                query,
                content_type: "application/json",
                body_sha256: &sha256(body.as_bytes()),
            },
            SystemClock.wall(),
        );
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .headers(self.headers.clone())
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header("x-date", signature.x_date)
            .header("x-content-sha256", signature.x_content_sha256)
            .header(AUTHORIZATION, signature.authorization);
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Reply {
            status,
            headers,
            body: response.bytes().await.unwrap().to_vec(),
        }
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

    /// The task that a submit created.
    pub(crate) fn task_id(&self) -> String {
        self.json()["data"]["task_id"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
