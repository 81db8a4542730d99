//! The admin interface of a server elsewhere.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response};
use reqwest::redirect::Policy;

use super::answer::Answer;
use crate::cli::error::{CliError, innermost};
use crate::cli::reach::Remote;

/// A server elsewhere, and what opens it.
pub(in crate::cli) struct RemoteServer {
    client: reqwest::Client,
    remote: Remote,
}

impl RemoteServer {
    pub(super) fn new(remote: Remote) -> Result<Self, CliError> {
        Ok(Self {
            client: client()?,
            remote,
        })
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, CliError> {
        let server = self.remote.url.as_str().trim_end_matches('/');
        let mut request = self
            .client
            .request(method, format!("{server}{path}"))
            .bearer_auth(self.remote.token.expose());
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| CliError::Unreachable {
            server: server.to_owned(),
            reason: innermost(&error),
        })?;
        Ok(Answer::new(Response::<reqwest::Body>::from(response), server))
    }
}

/// A client that goes where it is sent: no proxy from the environment and no redirect ever sees a token. Connecting may
/// take 10 s; an answer takes as long as it takes.
///
/// # Errors
/// [`CliError::System`] where the machine's certificates cannot be read.
pub(in crate::cli) fn client() -> Result<reqwest::Client, CliError> {
    // An error says that a provider is there already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(|error| CliError::System(std::io::Error::other(innermost(&error))))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
