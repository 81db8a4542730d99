//! What client keys promise, over a store in memory.

mod authenticating;
mod authority;
mod golden;
mod importing;
mod issuing;
mod rotating;

use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio_util::task::TaskTracker;

use super::{Actor, AuthError, Authenticator, Authority, Directory, Issued, Issuer, KeySpec, Parts, Plane, rules};
use crate::config::Signatures;
use crate::crypto::digest::sha256;
use crate::crypto::entropy::{Entropy, EntropyError, OsEntropy};
use crate::crypto::sigv4::sign::{Signer, Unsigned};
use crate::model::caller::Caller;
use crate::model::clock::fixture::Wall;
use crate::model::clock::{Clock, Timestamp};
use crate::model::key::{Limits, Scheme, Schemes, Scope, Scopes};
use crate::model::record::{AdminAction, Event};
use crate::model::secret::Secret;
use crate::store::Store;
use crate::store::audit::{self, Order};
use crate::store::fixture::{self, File};

/// A relay's keys: a store with all that stands on it here.
struct Relay {
    file: File,
    clock: Arc<Wall>,
    store: Store,
    directory: Arc<Directory>,
    issuer: Issuer,
    authenticator: Authenticator,
}

const ADMIN_TOKEN: &str = "canary-admin-token-of-32-characters";

impl Relay {
    fn new() -> Self {
        Self::at("2026-02-24T10:00:00Z")
    }

    fn at(now: &str) -> Self {
        Self::over(File::default(), Wall::at(now.parse().unwrap()), Signatures::Superset)
    }

    fn over(file: File, clock: Arc<Wall>, signatures: Signatures) -> Self {
        let store = fixture::open(&file, Arc::clone(&clock) as Arc<dyn Clock>);
        let directory = Arc::new(Directory::load(&store).unwrap());
        Self {
            issuer: Issuer::new(
                store.clone(),
                Arc::clone(&directory),
                Arc::new(OsEntropy),
                Arc::clone(&clock) as Arc<dyn Clock>,
                TaskTracker::new(),
            ),
            authenticator: Authenticator::new(
                Arc::clone(&directory),
                Arc::clone(store.keyring()),
                rules(signatures, "cn-north-1"),
                Some(&Secret::new(ADMIN_TOKEN.to_owned())),
                Arc::clone(&clock) as Arc<dyn Clock>,
            ),
            file,
            clock,
            store,
            directory,
        }
    }

    /// The same file and clock, opened anew.
    fn restarted(self) -> Self {
        self.store.close();
        Self::over(self.file, self.clock, Signatures::Superset)
    }

    async fn key(&self, scopes: impl IntoIterator<Item = Scope>) -> Issued {
        self.issuer.create(spec(scopes), &operator()).await.unwrap()
    }

    /// Both steps of letting a request in.
    fn enter(&self, request: &Request, plane: Plane, needs: Scope) -> Result<Caller, AuthError> {
        let presented = self.authenticator.inspect(&request.parts(), plane)?;
        let body_sha256 = if presented.needs_body_hash() {
            sha256(request.body)
        } else {
            [0; 32]
        };
        self.authenticator
            .verify(&presented, &request.parts(), &body_sha256, needs)
    }

    fn relay(&self, request: &Request) -> Result<Caller, AuthError> {
        self.enter(request, Plane::Data, Scope::Relay)
    }

    /// The log book's entries of administration.
    fn actions(&self) -> Vec<AdminAction> {
        let entries = self
            .store
            .read(|reader| audit::page(reader, 0, Order::Rising, 1000))
            .unwrap();
        let actions = entries.into_iter().filter_map(|logged| match logged.entry.event {
            Event::Admin(action) => Some(action),
            _ => None,
        });
        actions.collect()
    }
}

fn spec(scopes: impl IntoIterator<Item = Scope>) -> KeySpec {
    KeySpec {
        description: "studio".to_owned(),
        expires_at: None,
        scopes: Scopes::of(scopes),
        schemes: Schemes::all(),
        models: None,
        limits: Limits::default(),
    }
}

fn operator() -> Actor {
    Actor {
        name: "control_socket".to_owned(),
        request: None,
        authority: Authority::Full,
    }
}

/// A request as the server receives it.
#[derive(Clone)]
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: &'static [u8],
}

impl Request {
    fn new() -> Self {
        Self {
            method: Method::POST,
            uri: Uri::from_static("/v1/submit"),
            headers: HeaderMap::new(),
            body: br#"{"req_key":"jimeng_t2i_v40"}"#,
        }
        .with("host", "relay.local:8080")
    }

    fn bearer(secret: &Secret) -> Self {
        Self::new().with("authorization", &format!("Bearer {}", secret.expose()))
    }

    fn signed(issued: &Issued, now: Timestamp) -> Self {
        let request = Self::new().with("content-type", "application/json");
        let signer = Signer::new(
            issued.key.access_key.clone(),
            issued.secret.clone(),
            "cn-north-1".to_owned(),
            "cv",
        );
        let unsigned = Unsigned {
            method: "POST",
            host: "relay.local:8080",
            path: request.uri.path(),
            query: "",
            content_type: "application/json",
            body_sha256: &sha256(request.body),
        };
        let signature = signer.sign(&unsigned, now);
        request
            .with("authorization", &signature.authorization)
            .with("x-date", &signature.x_date)
            .with("x-content-sha256", &signature.x_content_sha256)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn adding(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}

/// What was administered, in short.
fn short(actions: &[AdminAction]) -> Vec<(&str, &str)> {
    actions
        .iter()
        .map(|action| (action.action.as_str(), action.target.as_str()))
        .collect()
}

/// A source that gives the bytes it was told, then zeros.
struct Scripted(Mutex<Vec<u8>>);

impl Entropy for Scripted {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let mut script = self.0.lock().unwrap();
        for byte in buffer {
            *byte = if script.is_empty() { 0 } else { script.remove(0) };
        }
        Ok(())
    }
}
