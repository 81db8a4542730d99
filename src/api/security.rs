//! What browsers are told to beware of, on every answer: what helmet sets, as far as it means something for an API.

use http::header::{
    CONTENT_SECURITY_POLICY, Entry, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::peer::Scheme;

/// Adds the headers. A page with a policy of its own keeps it.
///
/// `scheme` is how the client came. Only over https may it be told to come over nothing else from now on.
pub(super) fn harden(headers: &mut HeaderMap, scheme: Scheme) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Entry::Vacant(policy) = headers.entry(CONTENT_SECURITY_POLICY) {
        policy.insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    }
    if let Entry::Vacant(policy) = headers.entry(RESOURCE_POLICY) {
        policy.insert(HeaderValue::from_static("same-origin"));
    }
    if scheme == Scheme::Https {
        // Half a year, as helmet; for this host only, since others of its domain are not ours.
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=15552000"));
    }
}

/// Who may load an answer as part of a page (the Fetch standard's `Cross-Origin-Resource-Policy`).
pub(super) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
