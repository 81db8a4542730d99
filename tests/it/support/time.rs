//! Time that passes at once, or not at all.

use std::time::Duration;

use tokio::task::{spawn_blocking, yield_now};
use tollgate::store::error::{StoreError, WriteError};
use tollgate::store::{Rows, Tables, Write};

use super::Relay;

/// Lets `length` pass on the monotonic clock of everything in this test, without waiting for it.
pub(crate) async fn pass(length: Duration) {
    tokio::time::pause();
    tokio::time::advance(length).await;
    tokio::time::resume();
}

/// Waits until `done` holds while the monotonic clock stands: whatever brings it about waits for no timer.
pub(crate) async fn at_once(what: &str, mut done: impl FnMut() -> bool) {
    tokio::time::pause();
    let attempts = 2000;
    for _ in 0..attempts {
        if done() {
            tokio::time::resume();
            return;
        }
        // A thread that sleeps keeps tokio from moving its paused clock when there is nothing to do.
        spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)))
            .await
            .unwrap();
    }
    panic!("never came true without time: {what}");
}

impl Relay {
    /// Lets time pass on both clocks, once nothing happens without it, and what is due then happen.
    pub(crate) async fn later(&self, length: Duration) {
        self.rests().await;
        self.clock.forward(length);
        pass(length).await;
        self.rests().await;
    }

    /// Lets time pass in such steps until `done` holds, at most six hundred of them.
    pub(crate) async fn later_until(&self, step: Duration, what: &str, mut done: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if done().await {
                return;
            }
            self.later(step).await;
        }
        panic!("never came true, however late: {what}");
    }

    /// Waits until nothing happens any more without time: whatever is in flight hangs.
    ///
    /// Round after round every thread that works for this relay has its turn. So however slow the machine is, what can
    /// go on does, and as long as it does the rounds are counted anew.
    pub(crate) async fn rests(&self) {
        let happened = || {
            let seen = self.upstream.seen();
            (self.disk.syncs(), seen.total, seen.in_flight)
        };
        let (mut last, mut calm) = (happened(), 0);
        for _ in 0..MOST_ROUNDS {
            self.round().await;
            let now = happened();
            calm = if now == last { calm + 1 } else { 0 };
            if calm == CALM_ROUNDS {
                return;
            }
            last = now;
        }
        panic!("it never comes to rest: {last:?}");
    }

    /// Lets the writer write what it was given, the blocking threads read, and the tasks go on.
    async fn round(&self) {
        // A store whose disk failed writes nothing any more.
        drop(self.services().store.write(Turn).await);
        spawn_blocking(|| ()).await.unwrap();
        for _ in 0..YIELDS {
            yield_now().await;
        }
    }
}

/// A write that only takes its turn: the store stays as it is.
struct Turn;

impl Write for Turn {
    type Plan = ();
    type Done = ();
    type Refusal = ();

    fn plan(&mut self, _: &mut impl Rows) -> Result<(), WriteError<()>> {
        Err(WriteError::Refused(()))
    }

    fn apply(&mut self, (): (), _: &mut Tables<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// More than a call needs from one of its commits or bytes upstream to the next.
const CALM_ROUNDS: usize = 12;

/// More than all that is ever in flight needs.
const MOST_ROUNDS: usize = 20_000;

/// With nothing else to do, each of them looks for bytes that came.
const YIELDS: usize = 16;
