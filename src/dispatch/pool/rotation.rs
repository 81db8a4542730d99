//! What follows an attempt, as far as the attempt itself tells: whether the call may go on, and why it would.

use std::time::Duration;

use super::member;
use super::trial::Keyed;
use crate::telemetry::metrics::RetryReason;
use crate::upstream::Symptom;
use crate::upstream::error::{Fault, Phase, UpstreamError};

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It was the last: what it brought is the call's answer.
    Stop,
    /// Another account is asked, at once.
    Elsewhere(RetryReason),
    /// The same account is asked again after this long, which it asked for with `Retry-After`: there is no other.
    Again(Duration, RetryReason),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a whole reply.
    Replied {
        /// What it says of the account.
        symptom: Symptom,
        /// Its `Retry-After`, as it came.
        retry_after: Option<Duration>,
    },
    /// Without one.
    Broke(UpstreamError),
}

/// Whether another attempt follows from this ending, and why.
///
/// Only what was certainly not done is sent again: no connection took it, or a whole reply refused it. A whole reply that
/// failed may have cost something, so a call with an idempotency key does not go on after it. Whatever broke after the
/// first byte left may have been done.
pub(in crate::dispatch) fn reason(ending: Ending, keyed: Keyed) -> Option<RetryReason> {
    match ending {
        Ending::Broke(error) if error.fault == Fault::Withdrawn => None,
        Ending::Broke(error) => (error.phase == Phase::Connect).then_some(RetryReason::Connect),
        Ending::Replied { symptom, .. } => match symptom {
            Symptom::Healthy | Symptom::Neutral => None,
            Symptom::Unauthorized | Symptom::Forbidden | Symptom::Exhausted => Some(RetryReason::Refused),
            Symptom::Limited => Some(RetryReason::Limited),
            Symptom::Failing => (keyed == Keyed::No).then_some(RetryReason::Failed),
        },
    }
}

/// Whether it counts as an attempt, and what follows it as a retry. That an account is of no use here does not.
pub(super) const fn counts(reason: RetryReason) -> bool {
    !matches!(reason, RetryReason::Refused)
}

/// How long a call may wait to ask the same account again, if that asked for it and the wait is short.
pub(super) fn wait(ending: Ending) -> Option<Duration> {
    let Ending::Replied {
        symptom: Symptom::Limited | Symptom::Failing,
        retry_after: Some(asked),
    } = ending
    else {
        return None;
    };
    Some(member::patience(asked)).filter(|wait| *wait <= LONGEST_WAIT)
}

/// Whether it tells of a failing upstream, for the breaker; `None` if it tells nothing.
pub(super) const fn health(ending: Ending) -> Option<Health> {
    match ending {
        Ending::Replied {
            symptom: Symptom::Failing,
            ..
        } => Some(Health::Failed),
        Ending::Replied { .. } => Some(Health::Answered),
        Ending::Broke(error) => match error.fault {
            Fault::Timeout | Fault::Broken => Some(Health::Failed),
            Fault::TooLarge | Fault::Withdrawn => None,
        },
    }
}

/// Whether an upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Answered,
    Failed,
}

/// The longest wait that a client is kept for; beyond it the 429 is the better answer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn replied(symptom: Symptom, seconds: Option<u64>) -> Ending {
        Ending::Replied {
            symptom,
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    fn broke(phase: Phase, fault: Fault) -> Ending {
        Ending::Broke(UpstreamError { phase, fault })
    }

    #[test]
    fn only_what_was_certainly_not_done_goes_on() {
        for keyed in [Keyed::Yes, Keyed::No] {
            for (ending, expected) in [
                (broke(Phase::Connect, Fault::Timeout), Some(RetryReason::Connect)),
                (broke(Phase::Connect, Fault::Withdrawn), None),
                (broke(Phase::Head, Fault::Timeout), None),
                (broke(Phase::Head, Fault::Broken), None),
                (broke(Phase::Body, Fault::Broken), None),
                (broke(Phase::Body, Fault::TooLarge), None),
                (replied(Symptom::Healthy, None), None),
                (replied(Symptom::Neutral, None), None),
                (replied(Symptom::Unauthorized, None), Some(RetryReason::Refused)),
                (replied(Symptom::Forbidden, None), Some(RetryReason::Refused)),
                (replied(Symptom::Exhausted, None), Some(RetryReason::Refused)),
                (replied(Symptom::Limited, None), Some(RetryReason::Limited)),
            ] {
                assert_eq!(reason(ending, keyed), expected, "{ending:?} {keyed:?}");
            }
        }
    }

    #[test]
    fn a_whole_failure_goes_on_only_without_an_idempotency_key() {
        let failure = replied(Symptom::Failing, None);
        assert_eq!(reason(failure, Keyed::No), Some(RetryReason::Failed));
        assert_eq!(reason(failure, Keyed::Yes), None);
    }

    #[test]
    fn nobody_is_kept_waiting_for_long_or_without_being_asked_to() {
        for (ending, expected) in [
            (replied(Symptom::Limited, Some(3)), Some(3)),
            (replied(Symptom::Failing, Some(10)), Some(10)),
            (replied(Symptom::Limited, Some(11)), None),
            (replied(Symptom::Limited, Some(1_000_000_000)), None),
            (replied(Symptom::Limited, None), None),
            (replied(Symptom::Unauthorized, Some(3)), None),
            (broke(Phase::Connect, Fault::Broken), None),
        ] {
            assert_eq!(wait(ending), expected.map(Duration::from_secs), "{ending:?}");
        }
    }

    #[test]
    fn the_breaker_hears_of_failures_and_answers_but_not_of_hang_ups() {
        for (ending, expected) in [
            (broke(Phase::Connect, Fault::Broken), Some(Health::Failed)),
            (broke(Phase::Head, Fault::Timeout), Some(Health::Failed)),
            (broke(Phase::Body, Fault::Broken), Some(Health::Failed)),
            (broke(Phase::Body, Fault::TooLarge), None),
            (broke(Phase::Connect, Fault::Withdrawn), None),
            (replied(Symptom::Failing, None), Some(Health::Failed)),
            (replied(Symptom::Limited, None), Some(Health::Answered)),
            (replied(Symptom::Neutral, None), Some(Health::Answered)),
        ] {
            assert_eq!(health(ending), expected, "{ending:?}");
        }
    }
}
