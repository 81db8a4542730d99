//! Signing what we send to Volcengine.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;

use crate::crypto::sigv4::canonical::CanonicalRequest;
use crate::crypto::sigv4::{Scheme, Scope, SigningKey, date, strip_default_port};
use crate::model::clock::Timestamp;
use crate::model::secret::Secret;

/// Signs requests of one account, as the official Volcengine SDKs do.
///
/// The signing key of a day takes four HMACs, so it is kept until the day (UTC) changes.
pub struct Signer {
    access_key: String,
    secret: Secret,
    region: String,
    service: &'static str,
    day_key: Mutex<Option<DayKey>>,
}

/// The signing key of one day.
struct DayKey {
    day: String,
    key: SigningKey,
}

impl Signer {
    /// For an account's access key and secret key in `region`, e.g. `cn-north-1`, and `service`, e.g. `cv`.
    #[must_use]
    pub const fn new(access_key: String, secret: Secret, region: String, service: &'static str) -> Self {
        Self {
            access_key,
            secret,
            region,
            service,
            day_key: Mutex::new(None),
        }
    }

    /// Signs `request` as of `now`. The signature holds for about five minutes around `now`, so sign each attempt anew.
    pub fn sign(&self, request: &Unsigned<'_>, now: Timestamp) -> Signature {
        let x_date = date::format(now);
        let x_content_sha256 = HEXLOWER.encode(request.body_sha256);
        let mut canonical = CanonicalRequest::new(request.method, request.path, request.query);
        canonical.header("content-type", [request.content_type.as_bytes()]);
        canonical.header("host", [strip_default_port(request.host).as_bytes()]);
        canonical.header("x-content-sha256", [x_content_sha256.as_bytes()]);
        canonical.header("x-date", [x_date.as_bytes()]);
        let (signed_headers, canonical) = canonical.finish(request.body_sha256);

        let scheme = Scheme::Volcengine;
        let day = date::day(&x_date);
        let scope = Scope {
            scheme,
            date: day,
            region: &self.region,
            service: self.service,
        };
        let signature = scope.signature(&self.signing_key(&scope), &x_date, &canonical);
        let authorization = format!(
            "{} Credential={}/{day}/{}/{}/{}, SignedHeaders={signed_headers}, Signature={}",
            scheme.algorithm(),
            self.access_key,
            self.region,
            self.service,
            scheme.suffix(),
            HEXLOWER.encode(&signature)
        );
        Signature {
            authorization,
            x_date,
            x_content_sha256,
        }
    }

    /// The key of the scope's day, from the cache if it is of that day.
    fn signing_key(&self, scope: &Scope<'_>) -> SigningKey {
        let mut cached = self.day_key.lock().unwrap_or_else(PoisonError::into_inner);
        match cached.as_ref() {
            Some(DayKey { day, key }) if day == scope.date => key.clone(),
            _ => {
                let key = scope.signing_key(&self.secret);
                *cached = Some(DayKey {
                    day: scope.date.to_owned(),
                    key: key.clone(),
                });
                key
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// A request before it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a> {
    /// The method, e.g. `POST`.
    pub method: &'a str,
    /// The host as the connection's `Host` header will name it. A port `:80` or `:443` is left out of the signature,
    /// as the official SDKs do.
    pub host: &'a str,
    /// The path as it will stand on the wire.
    pub path: &'a str,
    /// The query as it will stand on the wire, without its `?`.
    pub query: &'a str,
    /// The `Content-Type` that will be sent; not empty.
    pub content_type: &'a str,
    /// The SHA-256 of the body.
    pub body_sha256: &'a [u8; 32],
}

/// The headers that make a request signed. Besides these, `Content-Type` and `Host` must be sent as they were signed.
///
/// Whoever reads them can send the same request again for some minutes, so they are not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// The value of `Authorization`.
    pub authorization: String,
    /// The value of `X-Date`.
    pub x_date: String,
    /// The value of `X-Content-Sha256`.
    pub x_content_sha256: String,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("x_date", &self.x_date)
            .finish_non_exhaustive()
    }
}
