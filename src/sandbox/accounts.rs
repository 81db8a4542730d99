//! Who may call, and how they prove it.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};

use super::Settings;
use super::call::Call;
use crate::crypto::digest::sha256;
use crate::crypto::sigv4::Head;
use crate::crypto::sigv4::verify::{Rules, SignatureError, Strictness, inspect};
use crate::model::clock::Timestamp;
use crate::model::secret::Secret;

/// The accounts and bearer keys of one imitation.
#[derive(Debug)]
pub(super) struct Accounts {
    accounts: Vec<Account>,
    /// The names of bearer keys, by the digest of each key: a pool may have a thousand.
    bearers: HashMap<[u8; 32], Arc<str>>,
}

/// A credential for signed calls, and the name under which they are counted: its access key.
#[derive(Debug)]
struct Account {
    name: Arc<str>,
    secret: Secret,
}

/// Why a signed call is refused, as far as Volcengine's gateway tells such cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no signature, or it lacks a part.
    Missing,
    /// It is too old, or from the future.
    Expired,
    /// Its access key is nobody's.
    UnknownKey,
    /// It is wrong, or for something else.
    Mismatch,
}

impl Accounts {
    /// Those that `settings` list. Where two have the same secret, the first bearer key with it counts.
    pub(super) fn new(settings: &Settings) -> Self {
        let account = |(name, secret): &(String, Secret)| Account {
            name: Arc::from(name.as_str()),
            secret: secret.clone(),
        };
        let mut bearers = HashMap::new();
        for (name, secret) in settings.bearer_keys.iter().chain(&settings.accounts) {
            let digest = sha256(secret.expose().as_bytes());
            bearers.entry(digest).or_insert_with(|| Arc::from(name.as_str()));
        }
        Self {
            accounts: settings.accounts.iter().map(account).collect(),
            bearers,
        }
    }

    /// The account that a call claims by the access key it names, or proves by its bearer token.
    pub(super) fn named_by(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let credential = headers.get(AUTHORIZATION)?.to_str().ok()?;
        if let Some(token) = credential.strip_prefix("Bearer ") {
            return self.bearers.get(&sha256(token.as_bytes())).map(Arc::clone);
        }
        let (_, scope) = credential.split_once("Credential=")?;
        let (access_key, _) = scope.split_once('/')?;
        self.accounts
            .iter()
            .find(|account| *account.name == *access_key)
            .map(|account| Arc::clone(&account.name))
    }

    /// Checks the signature of `call` for `region` as Volcengine's gateway does.
    ///
    /// # Errors
    /// The [`Refusal`] that it answers.
    pub(super) fn check_signature(&self, call: &Call, region: &str, now: Timestamp) -> Result<(), Refusal> {
        let headers = &call.head.headers;
        let head = Head {
            method: call.head.method.as_str(),
            path: call.head.uri.path(),
            query: call.head.uri.query().unwrap_or_default(),
            headers,
            host: headers.get(HOST).and_then(|host| host.to_str().ok()),
        };
        let rules = Rules {
            region: region.to_owned(),
            service: "cv",
            strictness: Strictness::Tolerant,
        };
        let presented = inspect(&head, &rules, now).map_err(|error| Refusal::from(&error))?;
        let signer = self
            .accounts
            .iter()
            .find(|account| *account.name == *presented.access_key());
        let signer = signer.ok_or(Refusal::UnknownKey)?;
        presented
            .verify(&head, &signer.secret, &sha256(&call.body))
            .map_err(|error| Refusal::from(&error))
    }
}

impl From<&SignatureError> for Refusal {
    fn from(error: &SignatureError) -> Self {
        match error {
            SignatureError::OutsideWindow => Self::Expired,
            SignatureError::ScopeDate
            | SignatureError::ScopeNotAllowed
            | SignatureError::LongQuery
            | SignatureError::PayloadHash
            | SignatureError::Signature => Self::Mismatch,
            SignatureError::MissingAuthorization
            | SignatureError::InvalidAuthorization
            | SignatureError::Repeated { .. }
            | SignatureError::MissingDate
            | SignatureError::InvalidDate
            | SignatureError::HeadersNotSigned
            | SignatureError::DateNotSigned
            | SignatureError::MissingHost
            | SignatureError::MissingPayloadHash
            | SignatureError::MissingSignedHeader { .. } => Self::Missing,
        }
    }
}
