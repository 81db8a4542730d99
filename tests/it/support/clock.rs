//! A wall clock that tests move; the monotonic one is tokio's.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tollgate::model::clock::{Clock, SystemClock, Timestamp};

/// The real wall clock plus what a test adds.
#[derive(Debug, Default)]
pub(crate) struct ManualClock {
    added_micros: AtomicI64,
}

impl ManualClock {
    pub(crate) fn forward(&self, length: Duration) {
        self.added_micros
            .fetch_add(i64::try_from(length.as_micros()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn back(&self, length: Duration) {
        self.added_micros
            .fetch_sub(i64::try_from(length.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.wall().as_micros() + self.added_micros.load(Ordering::Relaxed))
    }
}
