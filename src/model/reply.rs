//! A whole reply, as it came from an upstream or out of the record.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// A whole reply, with only the headers that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// The headers of the allow-list.
    pub headers: HeaderMap,
    /// Its bytes, untouched.
    pub body: Bytes,
}

/// A reply as it is kept for a repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReply {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// A kept reply that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kept reply is damaged")]
pub struct DamagedReply;

impl From<&Reply> for KeptReply {
    fn from(reply: &Reply) -> Self {
        let header = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_vec());
        Self {
            status: reply.status.as_u16(),
            headers: reply.headers.iter().map(header).collect(),
            body: reply.body.to_vec(),
        }
    }
}

impl TryFrom<KeptReply> for Reply {
    type Error = DamagedReply;

    fn try_from(kept: KeptReply) -> Result<Self, DamagedReply> {
        let mut headers = HeaderMap::with_capacity(kept.headers.len());
        for (name, value) in kept.headers {
            let name = HeaderName::try_from(name).map_err(|_| DamagedReply)?;
            headers.append(name, HeaderValue::try_from(value).map_err(|_| DamagedReply)?);
        }
        let status = StatusCode::from_u16(kept.status).map_err(|_| DamagedReply)?;
        Ok(Self {
            status,
            headers,
            body: Bytes::from(kept.body),
        })
    }
}
