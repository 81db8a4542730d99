//! Signed requests: what a signature must say to be for us.

use super::authenticator::Parts;
use crate::config::Signatures;
use crate::crypto::sigv4::Head;
use crate::crypto::sigv4::verify::{Rules, Strictness};

/// The rules of `SIGNATURE_STRICT` and `VOLC_REGION`. The service is Volcengine's visual API, `cv`.
#[must_use]
pub fn rules(signatures: Signatures, region: &str) -> Rules {
    Rules {
        region: region.to_owned(),
        service: "cv",
        strictness: match signatures {
            Signatures::Superset => Strictness::Tolerant,
            Signatures::Strict => Strictness::Strict,
        },
    }
}

/// The head of a request, as the signature sees it.
pub(super) fn head<'a>(parts: &Parts<'a>) -> Head<'a> {
    let host = match parts.headers.get(http::header::HOST) {
        Some(host) => host.to_str().ok(),
        None => parts.uri.authority().map(http::uri::Authority::as_str),
    };
    Head {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: parts.headers,
        host,
    }
}
