//! From the head of a request to its caller.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::directory::Directory;
use super::entry::Entry;
use super::error::AuthError;
use super::replay::Replays;
use super::{bearer, signature};
use crate::crypto::digest::Digest;
use crate::crypto::keyring::Keyring;
use crate::crypto::sigv4::verify::{self, Rules};
use crate::model::caller::{Caller, Identity};
use crate::model::clock::{Clock, Timestamp};
use crate::model::id::KeyId;
use crate::model::key::{KeyStatus, Scheme, Scope};
use crate::model::secret::Secret;

/// Lets callers in, in two steps: [`Authenticator::inspect`] before the body is read, [`Authenticator::verify`] after.
///
/// A caller learns of a key's state only after it proved that it holds the key.
pub struct Authenticator {
    directory: Arc<Directory>,
    keyring: Arc<Keyring>,
    rules: Rules,
    admin_token: Option<Digest>,
    clock: Arc<dyn Clock>,
    replays: Replays,
}

/// The head of a request, as it came over the wire.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target as the client sent it, before any router took a part of it away.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// Which half of the interface a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Relaying. A signed request may come again within its five minutes, as it could with jimeng-relay.
    Data,
    /// Administering. A signed request is accepted once.
    Admin,
}

/// A credential that looks right; nothing is proven yet.
#[derive(Debug)]
pub struct Presented {
    credential: Credential,
    plane: Plane,
}

#[derive(Debug)]
enum Credential {
    Signed(Box<verify::Presented>),
    /// Its holder has shown the secret of this key.
    Bearer(KeyId),
    AdminToken,
}

impl Presented {
    /// Whether [`Authenticator::verify`] looks at the digest of the body; if not, it may be given zeros.
    #[must_use]
    pub const fn needs_body_hash(&self) -> bool {
        matches!(self.credential, Credential::Signed(_))
    }
}

impl Authenticator {
    /// Lets in the holders of the directory's keys and, where there is one, of the `ADMIN_TOKEN`.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        keyring: Arc<Keyring>,
        rules: Rules,
        admin_token: Option<&Secret>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            admin_token: admin_token.map(|token| admin_digest(&keyring, token.expose().as_bytes())),
            replays: Replays::new(clock.wall()),
            directory,
            keyring,
            rules,
            clock,
        }
    }

    /// Checks all that needs neither the body nor a secret: repeated headers, one credential of the right form, the
    /// signature's time and scope, and whether its key exists.
    ///
    /// # Errors
    /// The first [`AuthError`] found; never one that tells a key's state.
    pub fn inspect(&self, parts: &Parts<'_>, plane: Plane) -> Result<Presented, AuthError> {
        refuse_repeated(parts.headers)?;
        let credential = match (value(parts.headers, &AUTHORIZATION), value(parts.headers, &X_API_KEY)) {
            (None, None) => return Err(AuthError::Missing),
            (Some(_), Some(_)) => return Err(AuthError::TwoCredentials),
            (None, Some(token)) => self.inspect_token(token)?,
            (Some(authorization), None) => match bearer::of_authorization(authorization) {
                Some(token) => self.inspect_token(token)?,
                None => self.inspect_signature(parts)?,
            },
        };
        Ok(Presented { credential, plane })
    }

    fn inspect_token(&self, token: &[u8]) -> Result<Credential, AuthError> {
        if !bearer::is_token(token) {
            return Err(AuthError::MalformedToken);
        }
        let is_admin_token = |admin: &Digest| admin.ct_eq(&admin_digest(&self.keyring, token));
        if self.admin_token.as_ref().is_some_and(is_admin_token) {
            return Ok(Credential::AdminToken);
        }
        match self.directory.by_bearer(token, &self.keyring.digest) {
            Some(entry) => Ok(Credential::Bearer(entry.key.id)),
            None => Err(AuthError::UnknownKey),
        }
    }

    fn inspect_signature(&self, parts: &Parts<'_>) -> Result<Credential, AuthError> {
        let signed = verify::inspect(&signature::head(parts), &self.rules, self.clock.wall())?;
        match self.directory.by_access_key(signed.access_key()) {
            Some(_) => Ok(Credential::Signed(Box::new(signed))),
            None => Err(AuthError::UnknownKey),
        }
    }

    /// Verifies the credential, then asks whether its key may be presented this way, is in use, and is good for `needs`.
    ///
    /// The key is looked up anew, so a revocation that came while the body was read holds. `parts` must be those that
    /// were inspected; `body_sha256` is looked at only if [`Presented::needs_body_hash`].
    ///
    /// # Errors
    /// The first [`AuthError`] in that order.
    pub fn verify(
        &self,
        presented: &Presented,
        parts: &Parts<'_>,
        body_sha256: &[u8; 32],
        needs: Scope,
    ) -> Result<Caller, AuthError> {
        let now = self.clock.wall();
        let caller = match &presented.credential {
            Credential::AdminToken => Caller::administrator(Identity::AdminToken),
            Credential::Bearer(id) => {
                let entry = self.directory.entry(*id).ok_or(AuthError::UnknownKey)?;
                admit(&entry, Scheme::Bearer, now)?
            }
            Credential::Signed(signed) => {
                let entry = self.directory.by_access_key(signed.access_key());
                let entry = entry.ok_or(AuthError::UnknownKey)?;
                signed.verify(&signature::head(parts), &entry.secret, body_sha256)?;
                admit(&entry, Scheme::Signed, now)?
            }
        };
        if !caller.scopes.has(needs) {
            return Err(AuthError::ScopeDenied { scope: needs });
        }
        if let (Credential::Signed(signed), Plane::Admin) = (&presented.credential, presented.plane) {
            self.replays.spend(*signed.signature_bytes(), signed.x_date(), now)?;
        }
        Ok(caller)
    }
}

/// What the `ADMIN_TOKEN` is compared by. It is never written, so the key that names things serves: it stays.
fn admin_digest(keyring: &Keyring, token: &[u8]) -> Digest {
    keyring.id.of("admin token", &[token])
}

/// The caller that the proven holder of a key is, if the key is in use and may be presented this way.
fn admit(entry: &Entry, scheme: Scheme, now: Timestamp) -> Result<Caller, AuthError> {
    let key = &entry.key;
    if !key.schemes.has(scheme) {
        return Err(AuthError::SchemeNotAllowed { scheme });
    }
    match key.status(now) {
        KeyStatus::Revoked => Err(AuthError::Revoked),
        KeyStatus::Expired => Err(AuthError::Expired),
        KeyStatus::Active => Ok(entry.caller()),
    }
}

/// Refuses a request in which a proxy before us could read another header than we do.
fn refuse_repeated(headers: &HeaderMap) -> Result<(), AuthError> {
    match READ_ONCE
        .iter()
        .find(|name| headers.get_all(*name).iter().nth(1).is_some())
    {
        Some(name) => Err(AuthError::RepeatedHeader { name: name.clone() }),
        None => Ok(()),
    }
}

/// The value of a header, trimmed; `None` if it was not sent or is blank.
fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers
        .get(name)
        .map(HeaderValue::as_bytes)
        .map(<[u8]>::trim_ascii)
        .filter(|value| !value.is_empty())
}

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Headers of which only one may come.
const READ_ONCE: [HeaderName; 6] = [
    HOST,
    AUTHORIZATION,
    HeaderName::from_static("x-date"),
    HeaderName::from_static("x-content-sha256"),
    X_API_KEY,
    HeaderName::from_static("idempotency-key"),
];
