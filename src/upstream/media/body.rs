//! The bytes of media, on their way.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::MediaError;
use crate::upstream::error::{Fault, Phase, UpstreamError};
use crate::upstream::transport::Arriving;

/// The bytes of media, as they come: no more than were allowed, and none after a stall. Dropping it closes the
/// connection.
pub struct MediaBody {
    arriving: Arriving,
    /// Read already, to see what it is.
    read: VecDeque<Bytes>,
    left: u64,
}

impl MediaBody {
    /// The longest wait for the next bytes.
    pub const MAX_STALL: Duration = Duration::from_secs(30);

    pub(super) fn new(arriving: Arriving, max_bytes: u64) -> Self {
        Self {
            arriving,
            read: VecDeque::new(),
            left: max_bytes,
        }
    }

    /// The next bytes; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`MediaError::TooLarge`] or [`MediaError::Transport`]; the rest does not come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, MediaError> {
        if let Some(bytes) = self.read.pop_front() {
            return Ok(Some(bytes));
        }
        self.receive().await
    }

    /// The first bytes, enough to see what they are if there are that many. They come again.
    pub(super) async fn beginning(&mut self) -> Result<Bytes, MediaError> {
        let mut joined = BytesMut::new();
        while joined.len() < BEGINNING {
            let Some(bytes) = self.receive().await? else { break };
            joined.extend_from_slice(&bytes);
            self.read.push_back(bytes);
        }
        Ok(joined.freeze())
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, MediaError> {
        let broken = |fault| {
            MediaError::Transport(UpstreamError {
                phase: Phase::Body,
                fault,
            })
        };
        let arriving = &mut self.arriving;
        let chunk = timeout(Self::MAX_STALL, poll_fn(|cx| arriving.poll_chunk(cx)))
            .await
            .map_err(|_| broken(Fault::Timeout))?;
        let Some(bytes) = chunk.transpose().map_err(broken)? else {
            return Ok(None);
        };
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(MediaError::TooLarge)?;
        Ok(Some(bytes))
    }
}

impl fmt::Debug for MediaBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// No kind of media needs more to be known by.
const BEGINNING: usize = 32;
