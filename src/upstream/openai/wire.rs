//! How a request looks on the wire.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Uri};

use crate::model::call::Delivery;
use crate::model::operation::Operation;
use crate::model::secret::Secret;

/// One upstream's addresses. Prepared once, so that a call parses nothing.
#[derive(Debug, Clone)]
pub struct Wire {
    uris: [(Operation, Uri); 5],
}

/// One account's credential, as the header that carries it. It cannot be printed.
#[derive(Debug, Clone)]
pub struct Bearer(HeaderValue);

/// An upstream's base URL that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a base URL is http or https, with a host, and without user, query and fragment")]
pub struct InvalidBaseUrl;

/// A credential that cannot stand in a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a bearer key has visible ASCII characters only")]
pub struct InvalidBearer;

impl Wire {
    /// A wire to `base_url`, e.g. `https://api.openai.com/v1`, behind which the paths of the operations stand.
    ///
    /// # Errors
    /// [`InvalidBaseUrl`].
    pub fn new(base_url: &str) -> Result<Self, InvalidBaseUrl> {
        // The parser would drop a fragment, and with it the path behind it.
        if base_url.contains(['?', '#', '@']) {
            return Err(InvalidBaseUrl);
        }
        let base = base_url.trim_end_matches('/');
        let uri = |path: &str| {
            let uri: Uri = format!("{base}{path}").parse().map_err(|_| InvalidBaseUrl)?;
            let usable =
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
            usable.then_some(uri).ok_or(InvalidBaseUrl)
        };
        let [chat, completions, embeddings, responses, images] = PATHS;
        Ok(Self {
            uris: [
                (chat.0, uri(chat.1)?),
                (completions.0, uri(completions.1)?),
                (embeddings.0, uri(embeddings.1)?),
                (responses.0, uri(responses.1)?),
                (images.0, uri(images.1)?),
            ],
        })
    }

    /// Where a call goes and with which headers, but for those that the connection adds. Of `client`, the headers of
    /// the client's request, only those of an allow-list pass.
    ///
    /// `None` where the operation is not OpenAI's.
    #[must_use]
    pub fn request(
        &self,
        operation: Operation,
        bearer: &Bearer,
        delivery: Delivery,
        client: &HeaderMap,
    ) -> Option<(Uri, HeaderMap)> {
        let (_, uri) = self.uris.iter().find(|(ours, _)| *ours == operation)?;
        let mut headers = HeaderMap::with_capacity(5 + PASSING.len());
        headers.insert(AUTHORIZATION, bearer.0.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static(media_type(delivery)));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
        );
        for name in PASSING {
            for value in client.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Some((uri.clone(), headers))
    }
}

impl Bearer {
    /// The header for a credential.
    ///
    /// # Errors
    /// [`InvalidBearer`].
    pub fn new(credential: &Secret) -> Result<Self, InvalidBearer> {
        let text = credential.expose();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidBearer);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| InvalidBearer)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// The media type that is asked for.
const fn media_type(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Whole => "application/json",
        Delivery::Stream => "text/event-stream",
    }
}

const PATHS: [(Operation, &str); 5] = [
    (Operation::ChatCompletions, "/chat/completions"),
    (Operation::Completions, "/completions"),
    (Operation::Embeddings, "/embeddings"),
    (Operation::Responses, "/responses"),
    (Operation::ImagesGenerations, "/images/generations"),
];

/// What of a client's headers reaches the upstream. Its organisation and project are not among them: they belong to a
/// credential, and the credential is ours.
const PASSING: [HeaderName; 1] = [HeaderName::from_static("openai-beta")];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(base: &str, operation: Operation, delivery: Delivery, client: &HeaderMap) -> (String, HeaderMap) {
        let bearer = Bearer::new(&Secret::new("sk-canary".to_owned())).unwrap();
        let wire = Wire::new(base).unwrap();
        let (uri, headers) = wire.request(operation, &bearer, delivery, client).unwrap();
        (uri.to_string(), headers)
    }

    #[test]
    fn every_operation_has_its_path_behind_the_base_url() {
        for (operation, path) in PATHS {
            for base in [
                "https://api.example.com/v1",
                "http://127.0.0.1:8080/compatible-mode/v1/",
            ] {
                let (uri, _) = request(base, operation, Delivery::Whole, &HeaderMap::new());
                assert_eq!(uri, format!("{}{path}", base.trim_end_matches('/')));
            }
        }
        let ours = Operation::ALL
            .into_iter()
            .filter(|operation| !Operation::VOLCENGINE.contains(operation));
        assert!(ours.eq(PATHS.map(|(operation, _)| operation)));
    }

    #[test]
    fn an_operation_of_another_upstream_has_no_request() {
        let bearer = Bearer::new(&Secret::new("sk".to_owned())).unwrap();
        let wire = Wire::new("https://api.example.com/v1").unwrap();
        for operation in Operation::VOLCENGINE {
            assert!(
                wire.request(operation, &bearer, Delivery::Whole, &HeaderMap::new())
                    .is_none()
            );
        }
    }

    #[test]
    fn a_request_carries_the_bearer_key_and_asks_for_plain_bytes() {
        let (_, headers) = request(
            "https://api.example.com/v1",
            Operation::ChatCompletions,
            Delivery::Stream,
            &HeaderMap::new(),
        );
        assert_eq!(headers["authorization"], "Bearer sk-canary");
        assert_eq!(headers["accept"], "text/event-stream");
        assert_eq!(headers["accept-encoding"], "identity");
        assert_eq!(headers["content-type"], "application/json");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("tollgate/"));
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn of_a_clients_headers_only_those_that_name_nobody_pass() {
        let mut client = HeaderMap::new();
        for name in [
            "openai-beta",
            "openai-organization",
            "openai-project",
            "authorization",
            "cookie",
            "x-api-key",
        ] {
            client.insert(name, HeaderValue::from_static("client"));
        }
        let (_, headers) = request(
            "https://api.example.com/v1",
            Operation::Responses,
            Delivery::Whole,
            &client,
        );
        let passed: Vec<_> = headers
            .iter()
            .filter(|(_, value)| *value == "client")
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(passed, ["openai-beta"]);
    }

    #[test]
    fn a_bearer_key_is_never_printed() {
        let bearer = Bearer::new(&Secret::new("sk-canary".to_owned())).unwrap();
        assert!(!format!("{bearer:?}").contains("canary"));
        let (_, headers) = request(
            "https://api.example.com/v1",
            Operation::Embeddings,
            Delivery::Whole,
            &HeaderMap::new(),
        );
        assert!(!format!("{headers:?}").contains("canary"));
        for text in ["", "two words", "line\n", "ключ"] {
            assert!(Bearer::new(&Secret::new(text.to_owned())).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_base_url_is_an_address_and_nothing_else() {
        for base in [
            "",
            "api.example.com",
            "/v1",
            "ftp://api.example.com",
            "https://",
            "https://user@api.example.com",
            "https://api.example.com/v1?a=b",
            "https://api.example.com/v1#a",
            "https://api.example.com/a b",
        ] {
            assert!(Wire::new(base).is_err(), "{base}");
        }
    }
}
