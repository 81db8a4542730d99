//! Callers at a gate, stepped by hand, so that a test decides who runs when.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::gate::{Gate, Refused, Slot};
use crate::model::lane::Lane;

pub(super) type Admitted = Result<Slot<u8>, Refused>;

/// Somebody who calls `admit`. It runs only when stepped.
pub(super) struct Caller {
    future: Pin<Box<dyn Future<Output = Admitted>>>,
    bell: Arc<Bell>,
}

struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Caller {
    /// Comes to the gate with so much patience. What the first step gave: a caller who waits, or an answer.
    pub(super) fn arrive(gate: &Gate<u8>, key: u8, lane: Lane, patience: Duration) -> Result<Self, Admitted> {
        let (gate, deadline) = (gate.clone(), Instant::now() + patience);
        let future = Box::pin(async move { gate.admit(key, lane, deadline).await });
        let mut caller = Self {
            future,
            bell: Arc::new(Bell(AtomicBool::new(false))),
        };
        match caller.step() {
            Poll::Pending => Ok(caller),
            Poll::Ready(admitted) => Err(admitted),
        }
    }

    /// Whether it was woken since it was last asked.
    pub(super) fn was_woken(&self) -> bool {
        self.bell.0.swap(false, Ordering::SeqCst)
    }

    pub(super) fn step(&mut self) -> Poll<Admitted> {
        let waker = Waker::from(Arc::clone(&self.bell));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}
