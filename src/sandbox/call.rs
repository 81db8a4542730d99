//! A request whose body has arrived.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use serde::Deserialize;
use tokio::time::Instant;

use super::link;

/// A request, and what the imitation makes of it before it answers.
#[derive(Debug)]
pub(super) struct Call {
    /// Method, target and headers.
    pub(super) head: Parts,
    /// The whole body.
    pub(super) body: Bytes,
    /// When the head had arrived.
    pub(super) arrived: Instant,
    /// The account whose credential it names, proved or not.
    pub(super) account: Option<Arc<str>>,
    /// The value of `model`, where the body is a JSON object that has one.
    pub(super) model: Option<String>,
}

impl Call {
    /// Reads the control fields of a request.
    pub(super) fn new(head: Parts, body: Bytes, arrived: Instant, account: Option<Arc<str>>) -> Self {
        // Volcengine's bodies have no `model`: no reason to read them twice.
        let named = if head.uri.path() == "/" {
            None
        } else {
            serde_json::from_slice::<Named<'_>>(&body).ok()
        };
        let model = named.and_then(|named| named.model).map(Cow::into_owned);
        Self {
            head,
            body,
            arrived,
            account,
            model,
        }
    }

    /// What it is counted and matched by: a Volcengine action, or a path, for OpenAI's routes with base `/v1`. Every
    /// picture and film is `/media`.
    pub(super) fn action(&self) -> &str {
        match self.head.uri.path() {
            "/" => self.query("Action").unwrap_or("/"),
            path if path.starts_with(link::FOLDER) => "/media",
            path => below_dashscope(path).unwrap_or(path),
        }
    }

    /// The base path of one of OpenAI's routes, else nothing.
    pub(super) fn base(&self) -> &'static str {
        let path = self.head.uri.path();
        match below_dashscope(path) {
            Some(_) => "/compatible-mode/v1",
            None if path.starts_with("/v1/") => "/v1",
            None => "",
        }
    }

    /// The first value of a query parameter, as it stands in the URL.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.head
            .uri
            .query()?
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The rest of a path below DashScope's base path, `https://dashscope.aliyuncs.com/compatible-mode/v1`.
fn below_dashscope(path: &str) -> Option<&str> {
    path.strip_prefix("/compatible-mode")
        .filter(|rest| rest.starts_with("/v1/"))
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
}
