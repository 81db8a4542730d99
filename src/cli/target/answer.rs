//! The answer of the admin interface, whichever way it came.

use std::error::Error;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::error::{CliError, innermost};

/// An answer whose body is still to be read. Dropping it hangs up.
pub(in crate::cli) struct Answer {
    status: StatusCode,
    server: String,
    body: UnsyncBoxBody<Bytes, Cause>,
}

type Cause = Box<dyn Error + Send + Sync>;

impl Answer {
    /// The answer of `server`, which is named in errors.
    pub(super) fn new<B>(response: Response<B>, server: impl Into<String>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            server: server.into(),
            body: body.map_err(Into::into).boxed_unsync(),
        }
    }

    /// This answer, if it is a good one.
    ///
    /// # Errors
    /// [`CliError::Refused`] with what the envelope says, or [`CliError::Foreign`] where there is no envelope.
    pub(super) async fn accepted(self) -> Result<Self, CliError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let status = self.status;
        match self.json::<Envelope>().await? {
            Envelope { error: Some(refusal) } => Err(CliError::Refused {
                code: refusal.code,
                message: refusal.message,
            }),
            Envelope { error: None } => Err(CliError::Foreign {
                status,
                what: "it has no error".to_owned(),
            }),
        }
    }

    /// The whole body, read as JSON.
    ///
    /// # Errors
    /// [`CliError::Unreachable`] where it breaks off or is too long, [`CliError::Foreign`] where it has another shape.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, CliError> {
        let Self { status, server, body } = self;
        let bytes = Limited::new(body, MAX_JSON)
            .collect()
            .await
            .map_err(|cause| broken(server, cause.as_ref()))?
            .to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| CliError::Foreign {
            status,
            what: error.to_string(),
        })
    }

    /// The next piece of the body, or `None` at its end.
    ///
    /// # Errors
    /// [`CliError::Unreachable`] where it breaks off.
    ///
    /// # Cancel safety
    /// No piece is lost.
    pub(in crate::cli) async fn piece(&mut self) -> Result<Option<Bytes>, CliError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|cause| broken(self.server.clone(), cause.as_ref()))?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

fn broken(server: String, cause: &(dyn Error + Send + Sync + 'static)) -> CliError {
    CliError::Unreachable {
        server,
        reason: innermost(cause),
    }
}

/// What of the error envelope a command reads.
#[derive(Deserialize)]
struct Envelope {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

/// Most bytes of an answer that is read whole; lists come in pages, far below it.
const MAX_JSON: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let response = Response::builder().status(status).body(Full::from(body)).unwrap();
        Answer::new(response, "the server")
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_servers_own_words() {
        let body = r#"{"error":{"code":"VALIDATION_FAILED","type":"x","message":"no such key"},"code":50499}"#;
        let error = answer(400, body).accepted().await.err().unwrap();
        assert_eq!(error.to_string(), "VALIDATION_FAILED: no such key");
    }

    #[tokio::test]
    async fn an_answer_of_something_else_is_said_to_be_foreign() {
        for (status, body) in [(502, "<html>"), (301, ""), (404, "{}")] {
            let error = answer(status, body).accepted().await.err().unwrap();
            assert!(matches!(error, CliError::Foreign { .. }), "{error}");
        }
        let error = answer(200, "<html>").json::<Envelope>().await.err().unwrap();
        assert!(matches!(error, CliError::Foreign { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_body_comes_piece_by_piece() {
        let mut answer = answer(200, "line\n");
        assert_eq!(answer.piece().await.unwrap().as_deref(), Some(b"line\n".as_slice()));
        assert_eq!(answer.piece().await.unwrap(), None);
    }
}
