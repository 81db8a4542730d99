//! Volcengine's request signature, which is AWS Signature Version 4 with other names.
//!
//! [`sign`] is what we send upstream, [`verify`] what we ask of clients. All official Volcengine SDKs sign with
//! `HMAC-SHA256` and the raw secret key; AWS signers with `AWS4-HMAC-SHA256` and `AWS4` before the key.

mod authorization;
mod canonical;
mod date;
#[cfg(test)]
pub(crate) mod fixture;
pub mod sign;
#[cfg(test)]
mod tests;
pub mod verify;

use data_encoding::HEXLOWER;
use hmac::Mac;
use http::HeaderMap;
use zeroize::Zeroizing;

use crate::crypto::digest::hmac_sha256;
use crate::model::secret::Secret;

/// The two families of signers. The last part of the credential's scope tells them apart, not the algorithm before it:
/// jimeng-relay verified mixed forms by their suffix, so they stay valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Suffix `request`, algorithm `HMAC-SHA256`, the secret key as it is.
    Volcengine,
    /// Suffix `aws4_request`, algorithm `AWS4-HMAC-SHA256`, the secret key behind `AWS4`.
    Aws,
}

impl Scheme {
    /// The algorithm, the first word of `Authorization` and the first line of the string to sign.
    #[must_use]
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Volcengine => "HMAC-SHA256",
            Self::Aws => "AWS4-HMAC-SHA256",
        }
    }

    /// The last part of the credential's scope.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Volcengine => "request",
            Self::Aws => "aws4_request",
        }
    }
}

/// The head of a received request, as it came over the wire. It has no `Debug`, because its headers hold credentials.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method, e.g. `POST`.
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query without its `?`, still percent-encoded; empty if there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The `Host` header, or `:authority` of HTTP/2, with its port and in its own case.
    pub host: Option<&'a str>,
}

/// What a signing key is good for: one day, one region, one service.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    scheme: Scheme,
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

impl Scope<'_> {
    /// The key that signs within this scope: a chain of HMACs that begins with the secret key.
    fn signing_key(&self, secret: &Secret) -> SigningKey {
        let prefix = match self.scheme {
            Scheme::Volcengine => "",
            Scheme::Aws => "AWS4",
        };
        let first = Zeroizing::new([prefix, secret.expose()].concat());
        let mut key = hmac(first.as_bytes(), &[self.date]);
        for part in [self.region, self.service, self.scheme.suffix()] {
            key = hmac(key.as_slice(), &[part]);
        }
        SigningKey(key)
    }

    /// The signature of a canonical request with this digest.
    fn signature(&self, key: &SigningKey, x_date: &str, canonical: &[u8; 32]) -> [u8; 32] {
        let Self {
            scheme,
            date,
            region,
            service,
        } = self;
        let canonical = HEXLOWER.encode(canonical);
        let lines = [
            scheme.algorithm(),
            "\n",
            x_date,
            "\n",
            date,
            "/",
            region,
            "/",
            service,
            "/",
            scheme.suffix(),
            "\n",
        ];
        *hmac(key.0.as_slice(), &[lines.as_slice(), &[&canonical]].concat())
    }
}

/// The key of one scope. Wiped when dropped.
#[derive(Clone)]
struct SigningKey(Zeroizing<[u8; 32]>);

/// HMAC-SHA256 of the concatenated parts.
fn hmac(key: &[u8], parts: &[&str]) -> Zeroizing<[u8; 32]> {
    let mut mac = hmac_sha256(key);
    for part in parts {
        mac.update(part.as_bytes());
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// `host` without `:80` or `:443`, as the official SDKs sign it while the wire may keep the port.
fn strip_default_port(host: &str) -> &str {
    [":80", ":443"]
        .iter()
        .find_map(|port| host.strip_suffix(port))
        .unwrap_or(host)
}
