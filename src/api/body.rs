//! Reading a request's body: bounded in size, in patience, and in what all bodies together hold of the memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use poem::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::{ApiError, Code};

/// The bounds of bodies.
#[derive(Debug)]
pub struct Bodies {
    most: usize,
    memory: Arc<Semaphore>,
}

/// Bytes that hold their share of the memory until the last clone of them is gone.
struct Held {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// Bodies of at most `most` bytes each and `together` in all.
    #[must_use]
    pub fn new(most: usize, together: usize) -> Self {
        Self {
            most,
            memory: Arc::new(Semaphore::new(together.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when nothing more comes, 429 when all bodies together are too large, 400 when it
    /// breaks off.
    ///
    /// # Cancel safety
    /// Dropping the future gives its share of the memory back.
    pub async fn read(&self, request: &Request, body: poem::Body) -> Result<Bytes, ApiError> {
        let announced = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced == Some(0) {
            return Ok(Bytes::new());
        }
        if announced.is_some_and(|length| length > self.most) {
            return Err(self.too_large());
        }
        let mut share = self.take(announced.unwrap_or(0))?;
        let mut stream = body.into_bytes_stream();
        let mut whole = Bytes::new();
        let mut joined = BytesMut::new();
        loop {
            let chunk = match timeout(IDLE, stream.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(_))) => return Err(ApiError::validation("the body broke off")),
                Ok(None) => break,
                Err(_) => return Err(ApiError::new(Code::BodyTimeout, "the body did not come in time")),
            };
            let size = whole.len() + joined.len() + chunk.len();
            if size > self.most {
                return Err(self.too_large());
            }
            if size > share.num_permits() {
                share.merge(self.take(size - share.num_permits())?);
            }
            if whole.is_empty() && joined.is_empty() {
                whole = chunk;
            } else {
                if joined.is_empty() {
                    joined.reserve(announced.unwrap_or(size));
                }
                joined.extend_from_slice(&std::mem::take(&mut whole));
                joined.extend_from_slice(&chunk);
            }
        }
        let bytes = match (joined.is_empty(), whole.len()) {
            // A slice would keep hyper's whole buffer, which it then cannot use for the next request.
            (true, ..=SMALL) => Bytes::copy_from_slice(&whole),
            (true, _) => whole,
            (false, _) => joined.freeze(),
        };
        Ok(Bytes::from_owner(Held { bytes, _share: share }))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let many = u32::try_from(bytes).map_err(|_| self.too_large())?;
        let taken = Arc::clone(&self.memory).try_acquire_many_owned(many);
        taken.map_err(|_| ApiError::new(Code::QueueFull, "too many large bodies at once").after(Duration::from_secs(1)))
    }

    fn too_large(&self) -> ApiError {
        ApiError::new(
            Code::BodyTooLarge,
            format!("the body is larger than {} bytes", self.most),
        )
    }
}

/// Copying this much costs less than a new buffer.
const SMALL: usize = 4096;

/// The longest pause within a body.
const IDLE: Duration = Duration::from_secs(10);
