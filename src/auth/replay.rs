//! Signed admin requests are single-use.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::error::AuthError;
use crate::crypto::sigv4::verify::MAX_SKEW;
use crate::model::clock::Timestamp;

/// The signatures of admin requests that were used, for as long as they would verify again.
pub(super) struct Replays {
    used: Mutex<Used>,
}

struct Used {
    /// Requests signed before this moment may have been forgotten.
    remembered_from: Timestamp,
    /// By the moment they were signed, so that the old ones can be cut off.
    signatures: BTreeSet<(Timestamp, [u8; 32])>,
}

impl Replays {
    /// Begins to watch. What was signed before `now` may have been used on a process that is gone, so it is refused; a
    /// client whose clock lags waits that long after a restart.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            used: Mutex::new(Used {
                // An `X-Date` has no fraction of a second.
                remembered_from: Timestamp::from_seconds(now.as_seconds()),
                signatures: BTreeSet::new(),
            }),
        }
    }

    /// Uses a signature up. Call it when nothing else speaks against the request.
    ///
    /// A wall clock that jumps ahead and back again makes it refuse until that time is reached once more, for what it
    /// forgot in between could be replayed. Bearer tokens and the control socket are not touched by that.
    pub(super) fn spend(&self, signature: [u8; 32], signed_at: Timestamp, now: Timestamp) -> Result<(), AuthError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(now);
        if signed_at < used.remembered_from {
            return Err(AuthError::Replayed);
        }
        let full = used.signatures.len() >= MOST;
        if used.signatures.contains(&(signed_at, signature)) {
            return Err(AuthError::Replayed);
        }
        if full {
            return Err(AuthError::TooManySigned);
        }
        used.signatures.insert((signed_at, signature));
        Ok(())
    }
}

impl Used {
    /// Forgets what no longer verifies at `now`.
    fn forget(&mut self, now: Timestamp) {
        let still_verifies = now.minus(MAX_SKEW);
        if still_verifies > self.remembered_from {
            self.remembered_from = still_verifies;
            self.signatures = self.signatures.split_off(&(still_verifies, [0; 32]));
        }
    }
}

/// Most signatures in memory, about 5 MB. Each took an admin's key to make.
const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_signature_is_used_once() {
        let replays = Replays::new(START);
        assert_eq!(replays.spend([1; 32], START, START), Ok(()));
        assert_eq!(replays.spend([1; 32], START, after(1)), Err(AuthError::Replayed));
        assert_eq!(replays.spend([2; 32], START, after(1)), Ok(()));
    }

    #[test]
    fn it_is_remembered_for_as_long_as_it_verifies_and_then_forgotten() {
        let replays = Replays::new(START);
        replays.spend([1; 32], START, START).unwrap();
        assert_eq!(replays.spend([1; 32], START, after(300)), Err(AuthError::Replayed));
        replays.spend([2; 32], after(301), after(301)).unwrap();
        assert_eq!(replays.used.lock().unwrap().signatures.len(), 1);
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_bring_a_used_signature_to_life() {
        let replays = Replays::new(START);
        replays.spend([1; 32], START, START).unwrap();
        replays.spend([2; 32], after(90_000), after(90_000)).unwrap();
        assert_eq!(replays.spend([1; 32], START, START), Err(AuthError::Replayed));
    }

    #[test]
    fn what_was_signed_before_the_start_is_refused() {
        let replays = Replays::new(START.plus(Duration::from_millis(400)));
        assert_eq!(replays.spend([1; 32], START, START), Ok(()));
        let before = START.minus(Duration::from_secs(1));
        assert_eq!(replays.spend([2; 32], before, START), Err(AuthError::Replayed));
    }

    #[test]
    fn it_refuses_rather_than_forgets_when_full() {
        let replays = Replays::new(START);
        let signature = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            bytes
        };
        for number in 0..u32::try_from(MOST).unwrap() {
            replays.spend(signature(number), START, START).unwrap();
        }
        assert_eq!(
            replays.spend(signature(u32::MAX), START, START),
            Err(AuthError::TooManySigned)
        );
        assert_eq!(replays.spend(signature(0), START, START), Err(AuthError::Replayed));
        assert_eq!(replays.spend(signature(0), after(301), after(301)), Ok(()));
    }
}
