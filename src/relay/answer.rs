//! What a call is answered: a reply or a stream, with what the record says of it.

use std::sync::Arc;

use super::error::RelayError;
use super::flight;
use super::stream::Streamed;
use crate::admission::quota::Allowance;
use crate::model::reply::Reply;
use crate::record::Recorded;
use crate::upstream::Form;

/// A reply with what the record says of it.
#[derive(Debug)]
pub struct Answer {
    /// The reply.
    pub content: Content,
    /// Whether it was given before.
    pub origin: Origin,
    /// Whether it is on the disk.
    pub recorded: Recorded,
    /// Its intent in the log book, where a repeat could be paid again.
    pub intent: Option<u64>,
    /// How its key stands against its quotas, if it has any.
    pub allowance: Option<Allowance>,
}

/// What is given to the client.
#[derive(Debug)]
pub enum Content {
    /// A whole reply.
    Whole(Arc<Reply>),
    /// A stream, which settles its call when it ends or is dropped.
    Stream(Box<Streamed>),
}

/// Where a reply comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the upstream, just now.
    Upstream,
    /// From the record, for a repeat of an idempotency key.
    Replay,
}

impl Answer {
    /// What the first use of a key was answered, in the form it was answered in.
    pub(super) fn replay(reply: Arc<Reply>, intent: u64) -> Result<Self, RelayError> {
        let intent = Some(intent);
        flight::passable(&reply, Form::of(&reply.body)).map_err(|cause| RelayError::Upstream { cause, intent })?;
        Ok(Self {
            content: Content::Whole(reply),
            origin: Origin::Replay,
            recorded: Recorded::Yes,
            intent,
            allowance: None,
        })
    }
}
