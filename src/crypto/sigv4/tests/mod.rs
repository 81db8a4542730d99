//! What the signature scheme promises, against vectors of the official Python signer and a reference signer that
//! shares no code with ours.

mod accepted;
mod refused;
mod signer;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::fixture::{Golden, Vector, golden};
use super::sign::Signer;
use super::verify::{Rules, SignatureError, Strictness, inspect};
use super::{Head, date};
use crate::crypto::digest::sha256;
use crate::model::clock::Timestamp;
use crate::model::secret::Secret;

fn secret() -> Secret {
    Secret::new(golden().secret_key)
}

fn now() -> Timestamp {
    date::parse(&golden().x_date).unwrap()
}

fn signer() -> Signer {
    Signer::new(golden().access_key, secret(), golden().region, "cv")
}

/// A request as the server receives it.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    path: String,
    query: String,
    host: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn of(golden: &Golden, vector: &Vector) -> Self {
        let request = Self {
            method: golden.method.clone(),
            path: vector.path.clone(),
            query: vector.query.clone(),
            host: Some(golden.host.clone()),
            headers: HeaderMap::new(),
            body: golden.body.clone().into_bytes(),
        };
        let mut request = request.with("x-date", &golden.x_date);
        if let Some(content_type) = &vector.content_type {
            request = request.with("content-type", content_type);
        }
        if vector.signed_headers.contains("x-content-sha256") {
            request = request.with("x-content-sha256", &golden.body_sha256);
        }
        let Vector {
            algorithm,
            suffix,
            signed_headers,
            signature,
            ..
        } = vector;
        request.authorized(algorithm, suffix, signed_headers, signature)
    }

    /// Vector V1: what the Python, Go and Java SDKs send.
    fn plain() -> Self {
        Self::vector(1)
    }

    /// Vector V1 to V5.
    fn vector(number: usize) -> Self {
        let golden = golden();
        Self::of(&golden, &golden.vectors[number - 1])
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sends a header twice.
    fn repeating(mut self, name: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        let value = self
            .headers
            .get(&name)
            .cloned()
            .unwrap_or(HeaderValue::from_static("relay.local"));
        self.headers.insert(name.clone(), value.clone());
        self.headers.append(name, value);
        self
    }

    fn at_host(mut self, wire: &str) -> Self {
        self.host = Some(wire.to_owned());
        self
    }

    fn authorized(self, algorithm: &str, suffix: &str, signed_headers: &str, signature: &str) -> Self {
        let Golden {
            access_key,
            x_date,
            region,
            ..
        } = golden();
        let credential = format!("{access_key}/{}/{region}/cv/{suffix}", date::day(&x_date));
        let text =
            format!("{algorithm} Credential={credential}, SignedHeaders={signed_headers}, Signature={signature}");
        self.with("authorization", &text)
    }

    /// Changes the text of `Authorization`.
    fn replacing(self, from: &str, to: &str) -> Self {
        let authorization = self.headers["authorization"].to_str().unwrap().to_owned();
        assert!(authorization.contains(from), "{authorization}");
        self.with("authorization", &authorization.replace(from, to))
    }

    /// Signs with the reference signer, as a client that writes the host as `signed_host` and lists `names` in this
    /// order. Path and query must already be canonical.
    fn signed_by_reference(self, names: &[&str], signed_host: &str) -> Self {
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        let mut headers = String::new();
        for name in &sorted {
            let value = if *name == "host" {
                signed_host
            } else {
                self.headers[*name].to_str().unwrap()
            };
            headers.extend([*name, ":", value, "\n"]);
        }
        let payload = HEXLOWER.encode(&sha256(&self.body));
        let Self {
            method, path, query, ..
        } = &self;
        let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", sorted.join(";"));
        let canonical = HEXLOWER.encode(&sha256(canonical.as_bytes()));
        let to_sign = format!(
            "HMAC-SHA256\n{}\n20260224/cn-north-1/cv/request\n{canonical}",
            golden().x_date
        );
        let mut key = golden().secret_key.into_bytes();
        for part in ["20260224", "cn-north-1", "cv", "request", &to_sign] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        self.authorized("HMAC-SHA256", "request", &names.join(";"), &HEXLOWER.encode(&key))
    }

    fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            host: self.host.as_deref(),
        }
    }

    fn check_at(&self, strictness: Strictness, now: Timestamp) -> Result<(), SignatureError> {
        let rules = Rules {
            region: "cn-north-1".to_owned(),
            service: "cv",
            strictness,
        };
        let presented = inspect(&self.head(), &rules, now)?;
        presented.verify(&self.head(), &secret(), &sha256(&self.body))
    }

    fn check(&self) -> Result<(), SignatureError> {
        self.check_at(Strictness::Tolerant, now())
    }

    fn check_strictly(&self) -> Result<(), SignatureError> {
        self.check_at(Strictness::Strict, now())
    }
}

const OFFICIAL: [&str; 4] = ["content-type", "host", "x-content-sha256", "x-date"];
