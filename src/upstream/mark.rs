//! Whether a byte of a request has left.
//!
//! hyper takes the first frame of a body just before it writes the head, in the same poll of the connection. So the
//! body itself sets the mark: unmarked means that nothing was sent, marked that something may have been. One atomic
//! decides between sending and withdrawing, so a caller that hangs up can never take back what is on its way.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The mark of one attempt. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SentMark(Arc<AtomicU8>);

/// It is too late to withdraw: bytes may be on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("already sent")]
pub struct AlreadySent;

impl SentMark {
    /// Whether a byte may have left.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire) == SENT
    }

    /// Makes sure that nothing will be sent.
    ///
    /// # Errors
    /// [`AlreadySent`] when that cannot be said any more.
    pub fn withdraw(&self) -> Result<(), AlreadySent> {
        match self
            .0
            .compare_exchange(UNSENT, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire)
        {
            Err(SENT) => Err(AlreadySent),
            _ => Ok(()),
        }
    }

    fn send(&self) -> Result<(), Withdrawn> {
        match self
            .0
            .compare_exchange(UNSENT, SENT, Ordering::AcqRel, Ordering::Acquire)
        {
            Err(WITHDRAWN) => Err(Withdrawn),
            _ => Ok(()),
        }
    }
}

/// The request was withdrawn before its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("withdrawn before it was sent")]
pub struct Withdrawn;

impl From<Infallible> for Withdrawn {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A body of known bytes that sets the mark when it is taken.
#[derive(Debug)]
pub struct MarkingBody {
    bytes: Option<Bytes>,
    mark: SentMark,
}

impl MarkingBody {
    /// A body of `bytes`, of which the first poll sets `mark`.
    #[must_use]
    pub fn new(bytes: Bytes, mark: SentMark) -> Self {
        Self {
            bytes: Some(bytes),
            mark,
        }
    }
}

impl Body for MarkingBody {
    type Data = Bytes;
    type Error = Withdrawn;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Withdrawn>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(self.mark.send().map(|()| Frame::data(bytes))))
    }

    /// Never before the first poll, even for an empty body: the poll is what sets the mark.
    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

const UNSENT: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: &mut MarkingBody) -> Poll<Option<Result<Frame<Bytes>, Withdrawn>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn taking_the_body_marks_it_as_sent() {
        let mark = SentMark::default();
        let mut body = MarkingBody::new(Bytes::new(), mark.clone());
        assert!(!body.is_end_stream());
        assert!(!mark.is_sent());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        assert!(mark.is_sent());
        assert_eq!(mark.withdraw(), Err(AlreadySent));
    }

    #[test]
    fn a_withdrawn_body_cannot_be_taken() {
        let mark = SentMark::default();
        let mut body = MarkingBody::new(Bytes::from_static(b"paid"), mark.clone());
        assert_eq!(mark.withdraw(), Ok(()));
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(Withdrawn)))));
        assert!(!mark.is_sent());
    }
}
