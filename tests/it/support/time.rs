//! Time that passes at once, or not at all.

use std::time::Duration;

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
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)))
            .await
            .unwrap();
    }
    panic!("never came true without time: {what}");
}
