//! One thing asked of us, authenticated and parsed, on its way to an upstream.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::caller::Caller;
use super::id::RequestId;
use super::job::ItemRef;
use super::operation::{Class, Operation};

/// A call: who asks for what, with the bytes that will be sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request that carries it.
    pub request: RequestId,
    /// The id that the client gave the request itself.
    pub client_request: Option<String>,
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub operation: Operation,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The model or `req_key` it names.
    pub model: Option<String>,
    /// How it asks to be answered.
    pub delivery: Delivery,
    /// The task it names.
    pub task_id: Option<String>,
    /// Under which key it must not be sent twice.
    pub idempotency: Option<IdempotencyKey>,
    /// What kind of answer the client accepts.
    pub accept: Option<HeaderValue>,
    /// Headers of the client that an upstream may want to see; its own list decides.
    pub passing: HeaderMap,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// Headers worth recording, none of them secret.
    pub headers: Vec<(String, String)>,
    /// When its head was read: deadlines count from here.
    pub arrived: Instant,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// In one piece.
    Whole,
    /// As server-sent events, while it is made.
    Stream,
}

/// What happens to a call whose caller hangs up after it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// It finishes in the background, is recorded, and a retry replays it.
    Finishes,
    /// It is cancelled upstream.
    Cancels,
}

impl Call {
    /// One that Tollgate makes by itself, whoever's it is: no request of a client's carries it, so nothing is known of how
    /// it came. It names no model and no task, and has no idempotency key, until it is given them.
    #[must_use]
    pub fn of_ours(request: RequestId, caller: Caller, operation: Operation, body: Bytes, arrived: Instant) -> Self {
        Self {
            request,
            client_request: None,
            caller,
            operation,
            body,
            model: None,
            delivery: Delivery::Whole,
            task_id: None,
            idempotency: None,
            accept: None,
            passing: HeaderMap::new(),
            peer: None,
            headers: Vec::new(),
            arrived,
        }
    }

    /// What a hang-up does to it: submits and keyed calls finish, streams and others do not.
    #[must_use]
    pub const fn on_hang_up(&self) -> HangUp {
        match (self.operation.class(), self.delivery, &self.idempotency) {
            (Class::Submit, _, _) | (Class::Call, Delivery::Whole, Some(_)) => HangUp::Finishes,
            (Class::Call | Class::Query, _, _) => HangUp::Cancels,
        }
    }
}

/// An `Idempotency-Key`: 1 to 255 visible ASCII characters, chosen by the client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// A text that cannot be an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key has 1 to 255 visible ASCII characters")]
pub struct ParseIdempotencyKeyError;

impl IdempotencyKey {
    /// That of an item of a job. It holds spaces, so no client can present it.
    #[must_use]
    pub fn of_item(at: ItemRef, epoch: u32) -> Self {
        Self(format!("{} {} {epoch}", at.job, at.index))
    }

    /// Its bytes, for a keyed digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for IdempotencyKey {
    type Err = ParseIdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or(ParseIdempotencyKeyError)
    }
}

/// Only its digest is ever shown or stored.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_visible_ascii_of_bounded_length() {
        assert!("order-42".parse::<IdempotencyKey>().is_ok());
        assert!("x".repeat(255).parse::<IdempotencyKey>().is_ok());
        for text in ["", " ", "two words", "ключ", "line\n", &"x".repeat(256)] {
            assert!(text.parse::<IdempotencyKey>().is_err(), "{text:?}");
        }
    }
}
