//! Verifying what clients sign: first everything that needs neither secret nor body, then the signature.

use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName};
use subtle::{Choice, ConstantTimeEq};

use crate::crypto::sigv4::authorization::Authorization;
use crate::crypto::sigv4::canonical::{CanonicalRequest, is_blank};
use crate::crypto::sigv4::{Head, Scheme, Scope, date, strip_default_port};
use crate::model::clock::Timestamp;
use crate::model::secret::Secret;

/// How much of what official signers emit is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Every official SDK: only `x-date` must be signed, `X-Content-Sha256` may be missing (PHP), so may the host
    /// (Node), and the host may be signed in its own case or without its default port (Python, Go, Java). The body is
    /// always under the signature.
    Tolerant,
    /// jimeng-relay's rule: `host`, `x-date` and `x-content-sha256` are signed, the host as received in lower case.
    Strict,
}

/// What a signature must say to be for us.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The region of the credential's scope, compared without case.
    pub region: String,
    /// The service of the credential's scope, compared without case.
    pub service: &'static str,
    /// How much is accepted.
    pub strictness: Strictness,
}

/// Checks everything about a signed head that needs no secret and no body, in jimeng-relay's order.
///
/// # Errors
/// The first [`SignatureError`] found.
pub fn inspect(head: &Head<'_>, rules: &Rules, now: Timestamp) -> Result<Presented, SignatureError> {
    let authorization = single(head.headers, &AUTHORIZATION)?.ok_or(SignatureError::MissingAuthorization)?;
    let authorization = std::str::from_utf8(authorization).ok().and_then(Authorization::parse);
    let authorization = authorization.ok_or(SignatureError::InvalidAuthorization)?;

    let x_date_text = single(head.headers, &X_DATE)?.ok_or(SignatureError::MissingDate)?;
    let x_date_text = std::str::from_utf8(x_date_text).map_err(|_| SignatureError::InvalidDate)?;
    let x_date = date::parse(x_date_text).ok_or(SignatureError::InvalidDate)?;
    if now.distance(x_date) > MAX_SKEW {
        return Err(SignatureError::OutsideWindow);
    }
    if authorization.date != date::day(x_date_text) {
        return Err(SignatureError::ScopeDate);
    }
    let matches = |given: &str, wanted: &str| given.trim().eq_ignore_ascii_case(wanted.trim());
    if !matches(authorization.region, &rules.region) || !matches(authorization.service, rules.service) {
        return Err(SignatureError::ScopeNotAllowed);
    }

    check_signed_headers(head, &authorization.signed_headers, rules.strictness)?;
    if head.query.len() > MAX_QUERY {
        return Err(SignatureError::LongQuery);
    }
    Ok(Presented {
        access_key: authorization.access_key.to_owned(),
        scheme: authorization.scheme,
        day: authorization.date.to_owned(),
        region: authorization.region.to_owned(),
        service: authorization.service.to_owned(),
        signature: decode_sha256(authorization.signature.as_bytes()).ok_or(SignatureError::Signature)?,
        signed_headers: authorization.signed_headers,
        x_date,
        strictness: rules.strictness,
    })
}

/// Whether all headers that must be signed are, and all that are signed were sent, once where only one is read.
fn check_signed_headers(head: &Head<'_>, signed: &[HeaderName], strictness: Strictness) -> Result<(), SignatureError> {
    single(head.headers, &HOST)?;
    let payload_hash = single(head.headers, &X_CONTENT_SHA256)?;
    match strictness {
        Strictness::Tolerant if !signed.contains(&X_DATE) => return Err(SignatureError::DateNotSigned),
        Strictness::Strict
            if ![HOST, X_DATE, X_CONTENT_SHA256]
                .iter()
                .all(|name| signed.contains(name)) =>
        {
            return Err(SignatureError::HeadersNotSigned);
        }
        _ => {}
    }
    let host_is_usable = head
        .host
        .is_some_and(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic()));
    if signed.contains(&HOST) && !host_is_usable {
        return Err(SignatureError::MissingHost);
    }
    if signed.contains(&X_CONTENT_SHA256) && payload_hash.is_none() {
        return Err(SignatureError::MissingPayloadHash);
    }
    let sent = |name: &HeaderName| *name == HOST || head.headers.get_all(name).iter().any(|v| !is_blank(v.as_bytes()));
    match signed.iter().find(|name| !sent(name)) {
        Some(name) => Err(SignatureError::MissingSignedHeader { name: name.clone() }),
        None => Ok(()),
    }
}

/// A signed head that passed [`inspect`]: whose it claims to be, and what remains to be verified.
///
/// Its signature can be sent again for some minutes, so it is not printed.
#[derive(Clone)]
pub struct Presented {
    access_key: String,
    scheme: Scheme,
    day: String,
    region: String,
    service: String,
    signed_headers: Vec<HeaderName>,
    signature: [u8; 32],
    x_date: Timestamp,
    strictness: Strictness,
}

impl Presented {
    /// The access key that the credential names. Nothing is proven yet.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// When the request was signed, by the client's clock.
    #[must_use]
    pub const fn x_date(&self) -> Timestamp {
        self.x_date
    }

    /// The signature, which names the request where it may be used only once.
    #[must_use]
    pub const fn signature_bytes(&self) -> &[u8; 32] {
        &self.signature
    }

    /// Verifies the body and the signature. `head` must be the one that was inspected.
    ///
    /// Clients and proxies disagree on how a host is written, so several spellings are tried unless the rule is
    /// strict. The time taken does not depend on which bytes of a signature are wrong.
    ///
    /// # Errors
    /// [`SignatureError::PayloadHash`] or [`SignatureError::Signature`].
    pub fn verify(&self, head: &Head<'_>, secret: &Secret, body_sha256: &[u8; 32]) -> Result<(), SignatureError> {
        if let Some(presented) = single(head.headers, &X_CONTENT_SHA256)?
            && decode_sha256(presented) != Some(*body_sha256)
        {
            return Err(SignatureError::PayloadHash);
        }
        let x_date = date::format(self.x_date);
        let scope = Scope {
            scheme: self.scheme,
            date: &self.day,
            region: &self.region,
            service: &self.service,
        };
        let key = scope.signing_key(secret);
        let start = CanonicalRequest::new(head.method, head.path, head.query);
        let mut verified = Choice::from(0);
        for host in self.host_candidates(head) {
            let mut canonical = start.clone();
            for name in &self.signed_headers {
                if *name == HOST {
                    canonical.header(name.as_str(), [host.as_bytes()]);
                } else {
                    canonical.header(
                        name.as_str(),
                        head.headers.get_all(name).iter().map(http::HeaderValue::as_bytes),
                    );
                }
            }
            let (_, canonical) = canonical.finish(body_sha256);
            verified |= scope.signature(&key, &x_date, &canonical).ct_eq(&self.signature);
        }
        if bool::from(verified) {
            Ok(())
        } else {
            Err(SignatureError::Signature)
        }
    }

    /// How the signer may have written the host; one empty text if it did not sign it.
    fn host_candidates(&self, head: &Head<'_>) -> Vec<String> {
        let wire = head
            .host
            .filter(|_| self.signed_headers.contains(&HOST))
            .unwrap_or_default();
        let lower = wire.to_ascii_lowercase();
        let mut candidates = match self.strictness {
            Strictness::Strict => vec![lower],
            Strictness::Tolerant => vec![
                strip_default_port(&lower).to_owned(),
                strip_default_port(wire).to_owned(),
                wire.to_owned(),
                lower,
            ],
        };
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("access_key", &self.access_key)
            .field("x_date", &self.x_date)
            .finish_non_exhaustive()
    }
}

/// Why a signed request is refused. The texts are jimeng-relay's where it had one, in case somebody looks for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Authorization`.
    #[error("missing authorization header")]
    MissingAuthorization,
    /// `Authorization` is not of the signed form, or longer than 4 KiB.
    #[error("invalid authorization header")]
    InvalidAuthorization,
    /// A header that is read once came more than once.
    #[error("repeated {name} header")]
    Repeated {
        /// The header.
        name: HeaderName,
    },
    /// There is no `X-Date`.
    #[error("missing x-date header")]
    MissingDate,
    /// `X-Date` is not `YYYYMMDDTHHMMSSZ`.
    #[error("invalid x-date header")]
    InvalidDate,
    /// `X-Date` is more than five minutes from our clock.
    #[error("request time is outside allowed window")]
    OutsideWindow,
    /// The credential is for another day than `X-Date`.
    #[error("credential scope date does not match x-date")]
    ScopeDate,
    /// The credential is for another region or service.
    #[error("credential scope region/service is not allowed")]
    ScopeNotAllowed,
    /// Strict only: a header that must be signed is not.
    #[error("signed headers must include host, x-date and x-content-sha256")]
    HeadersNotSigned,
    /// `x-date` is not signed, so the request would never grow old.
    #[error("signed headers must include x-date")]
    DateNotSigned,
    /// The host is signed, but the request names none, or one with characters that no host has.
    #[error("missing host header")]
    MissingHost,
    /// `X-Content-Sha256` is signed, but was not sent.
    #[error("missing x-content-sha256 header")]
    MissingPayloadHash,
    /// A signed header was not sent, or is empty.
    #[error("missing signed header: {name}")]
    MissingSignedHeader {
        /// The header.
        name: HeaderName,
    },
    /// The query is longer than 16 KiB.
    #[error("query is too long to be verified")]
    LongQuery,
    /// `X-Content-Sha256` is not the body's.
    #[error("payload hash mismatch")]
    PayloadHash,
    /// The signature is not the one that the secret key gives.
    #[error("signature mismatch")]
    Signature,
}

impl SignatureError {
    /// Which of the two kinds of refusal it is.
    #[must_use]
    pub const fn kind(&self) -> SignatureErrorKind {
        match self {
            Self::PayloadHash | Self::Signature => SignatureErrorKind::Mismatch,
            _ => SignatureErrorKind::Malformed,
        }
    }
}

/// The two kinds of refusal that clients tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureErrorKind {
    /// The request is not signed as it must be: `AUTH_FAILED`.
    Malformed,
    /// It is signed, but not by this secret key over this request: `INVALID_SIGNATURE`.
    Mismatch,
}

/// The one value of a header, trimmed; `None` if it was not sent or is blank.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.as_bytes().trim_ascii());
    if values.next().is_some() {
        return Err(SignatureError::Repeated { name: name.clone() });
    }
    Ok(value.filter(|value| !value.is_empty()))
}

/// 64 hex digits of either case.
fn decode_sha256(text: &[u8]) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text).ok()?.try_into().ok()
}

/// The largest distance between `X-Date` and our clock, inclusive, as in jimeng-relay.
pub const MAX_SKEW: Duration = Duration::from_mins(5);

/// The longest query that is put into canonical form, in bytes.
const MAX_QUERY: usize = 16 * 1024;

const X_DATE: HeaderName = HeaderName::from_static("x-date");
const X_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");
