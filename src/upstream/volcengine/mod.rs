//! Volcengine's visual API: `POST /?Action=…&Version=…`, signed with HMAC-SHA256, JSON both ways.

pub mod verdict;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Uri};

pub use self::verdict::read;

use super::transport::Received;
use crate::crypto::digest::sha256;
use crate::crypto::sigv4::sign::{Signer, Unsigned};
use crate::model::clock::Timestamp;
use crate::model::operation::Operation;
use crate::model::reply::Reply;
use crate::model::upstream::UpstreamName;

/// The upstream's name in labels and in the keys of task rows.
pub const NAME: &str = "volcengine";

/// The same, as an upstream's name.
#[must_use]
pub fn name() -> UpstreamName {
    UpstreamName::of_ours(NAME)
}

/// One account's wire: where it is and how it signs. Prepared once, so that a call parses nothing.
#[derive(Debug)]
pub struct Wire {
    host: String,
    host_value: HeaderValue,
    uris: [Uri; Operation::VOLCENGINE.len()],
    signer: Signer,
}

/// The host or scheme cannot stand in a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{base} is not a usable address")]
pub struct InvalidAddress {
    base: String,
}

impl Wire {
    /// A wire to `scheme://host`.
    ///
    /// # Errors
    /// [`InvalidAddress`] when they cannot stand in a URL.
    pub fn new(scheme: &str, host: &str, signer: Signer) -> Result<Self, InvalidAddress> {
        let base = format!("{scheme}://{host}");
        let invalid = || InvalidAddress { base: base.clone() };
        let uri = |operation: Operation| format!("{base}/?{}", query(operation).unwrap_or_default()).parse::<Uri>();
        let [submit, result, process, old_submit, old_result, cancel] = Operation::VOLCENGINE.map(uri);
        let uris =
            (|| Ok::<_, http::uri::InvalidUri>([submit?, result?, process?, old_submit?, old_result?, cancel?]))();
        Ok(Self {
            host: host.to_owned(),
            host_value: HeaderValue::from_str(host).map_err(|_| invalid())?,
            uris: uris.map_err(|_| invalid())?,
            signer,
        })
    }

    /// The signed request for a call, without its body: of the client's own headers only `Accept` passes.
    ///
    /// `None` where the operation is not Volcengine's, or the credential cannot stand in a header.
    #[must_use]
    pub fn request(
        &self,
        operation: Operation,
        body: &Bytes,
        accept: Option<&HeaderValue>,
        now: Timestamp,
    ) -> Option<(Uri, HeaderMap)> {
        let place = Operation::VOLCENGINE.iter().position(|ours| *ours == operation)?;
        let uri = self.uris.get(place)?.clone();
        let signed = self.signer.sign(
            &Unsigned {
                method: "POST",
                host: &self.host,
                path: "/",
                query: query(operation)?,
                content_type: JSON,
                body_sha256: &sha256(body),
            },
            now,
        );
        let mut headers = HeaderMap::with_capacity(9);
        headers.insert(HOST, self.host_value.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(
            ACCEPT,
            accept.cloned().unwrap_or_else(|| HeaderValue::from_static(JSON)),
        );
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert(X_DATE, HeaderValue::from_str(&signed.x_date).ok()?);
        headers.insert(X_CONTENT_SHA256, HeaderValue::from_str(&signed.x_content_sha256).ok()?);
        let mut authorization = HeaderValue::from_str(&signed.authorization).ok()?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Some((uri, headers))
    }
}

/// A reply with only the headers that may pass downstream.
#[must_use]
pub fn reply(received: &Received) -> Reply {
    let mut headers = HeaderMap::with_capacity(PASSING.len());
    for name in PASSING {
        if let Some(value) = received.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    Reply {
        status: received.status,
        headers,
        body: received.body.clone(),
    }
}

/// Its query string, which is also what is signed: sorted, with nothing to escape.
const fn query(operation: Operation) -> Option<&'static str> {
    Some(match operation {
        Operation::Sync2AsyncSubmitTask => "Action=CVSync2AsyncSubmitTask&Version=2022-08-31",
        Operation::Sync2AsyncGetResult => "Action=CVSync2AsyncGetResult&Version=2022-08-31",
        Operation::Process => "Action=CVProcess&Version=2022-08-31",
        Operation::SubmitTask => "Action=CVSubmitTask&Version=2022-08-31",
        Operation::GetResult => "Action=CVGetResult&Version=2022-08-31",
        Operation::CancelTask => "Action=CVCancelTask&Version=2024-06-06",
        _ => return None,
    })
}

/// What of a reply's head reaches the client. Volcengine's own name of the request is worth keeping for its support.
const PASSING: [HeaderName; 3] = [CONTENT_TYPE, RETRY_AFTER, LOG_ID];

const JSON: &str = "application/json";
const X_DATE: HeaderName = HeaderName::from_static("x-date");
const X_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");
const LOG_ID: HeaderName = HeaderName::from_static("x-tt-logid");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_the_action_and_version_of_every_operation() {
        for operation in Operation::VOLCENGINE {
            let (action, version) = (operation.action().unwrap(), operation.version());
            assert_eq!(query(operation), Some(&*format!("Action={action}&Version={version}")));
        }
    }
}
