//! What answers before the store is open: alive, but not ready.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use poem::{Endpoint, Request, Response};
use serde_json::json;

use super::edge::{REQUEST_ID, new_request_id};
use super::error::{ApiError, Code};
use super::peer::Scheme;
use super::security;
use crate::crypto::entropy::Entropy;
use crate::model::clock::Clock;

/// The endpoint of a process that opens its store.
pub struct Starting {
    /// For request ids.
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub entropy: Arc<dyn Entropy>,
}

impl Endpoint for Starting {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let id = new_request_id(self.entropy.as_ref(), self.clock.as_ref());
        let json = |status, body: serde_json::Value| {
            Response::builder()
                .status(status)
                .content_type("application/json")
                .body(body.to_string())
        };
        let mut response = match request.uri().path() {
            "/health" => json(StatusCode::OK, json!({ "status": "ok" })),
            "/ready" => {
                let message = "the store is being opened";
                let body = json!({ "status": "error", "message": message, "checks": { "store": message } });
                json(StatusCode::SERVICE_UNAVAILABLE, body)
            }
            _ => {
                let error = ApiError::new(Code::Starting, "Tollgate starts: its store is being opened");
                error.after(std::time::Duration::from_secs(1)).render(id)
            }
        };
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        // The proxies that are trusted are not known here: what they say counts from the first real answer on.
        security::harden(headers, Scheme::Http);
        Ok(response)
    }
}
