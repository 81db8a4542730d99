//! Whether another attempt is worth making, and when.

use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Arrived, Attempt};
use crate::model::clock::Timestamp;
use crate::model::operation::Class;
use crate::telemetry::metrics::RetryReason;
use crate::upstream::Again;
use crate::upstream::error::Phase;

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It was the last.
    Stop,
    /// Another is made after this long.
    After(Duration, RetryReason),
}

/// The moment at which an attempt ended.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Until when a further one must have begun.
    pub latest: Instant,
    /// The monotonic moment.
    pub now: Instant,
    /// The wall clock, for a `Retry-After` that names a date.
    pub wall: Timestamp,
    /// A random number from 0 to 1, for jitter.
    pub jitter: f64,
}

/// Decides. A paid call is repeated only if no connection took it or the upstream refused it outright; what is free is
/// also repeated after a failure.
///
/// `made` counts the attempts so far. `moment` is asked only where another attempt is worth making.
#[must_use]
pub fn next(attempt: &Attempt, class: Class, made: u32, moment: impl FnOnce() -> Moment) -> Next {
    if made >= MOST_ATTEMPTS {
        return Next::Stop;
    }
    let free = class == Class::Query;
    let reason = match &attempt.result {
        Err(error) if error.phase == Phase::Connect => RetryReason::Connect,
        Err(_) if free => RetryReason::Failed,
        Err(_) | Ok(Arrived::Stream(_)) => return Next::Stop,
        Ok(Arrived::Whole(_, verdict)) => match verdict.again {
            Again::Refused => RetryReason::Limited,
            Again::Failed if free => RetryReason::Failed,
            Again::Failed | Again::No => return Next::Stop,
        },
    };
    let moment = moment();
    let asked = attempt.retry_after(moment.wall).map(|asked| asked.min(LONGEST_ASKED));
    let wait = asked.unwrap_or_else(|| backoff(made, moment.jitter));
    if moment.now + wait >= moment.latest {
        return Next::Stop;
    }
    Next::After(wait, reason)
}

/// Doubles from 200 ms to 2 s, between half and the whole of it.
fn backoff(made: u32, jitter: f64) -> Duration {
    let whole = FIRST_BACKOFF
        .saturating_mul(1 << made.saturating_sub(1).min(8))
        .min(LONGEST_BACKOFF);
    whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

const MOST_ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
const LONGEST_ASKED: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::header::RETRY_AFTER;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;
    use crate::model::operation::Operation;
    use crate::model::reply::Reply;
    use crate::upstream::error::{Fault, UpstreamError};
    use crate::upstream::volcengine;

    fn replied(operation: Operation, status: u16, code: i64, retry_after: Option<&'static str>) -> Attempt {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
        }
        let body = Bytes::from(format!(r#"{{"code":{code}}}"#));
        let status = StatusCode::from_u16(status).unwrap();
        let verdict = volcengine::read(operation, status, &headers, &body);
        Attempt {
            result: Ok(Arrived::Whole(Reply { status, headers, body }, verdict)),
            took: Duration::ZERO,
        }
    }

    fn failed(phase: Phase) -> Attempt {
        Attempt {
            result: Err(UpstreamError {
                phase,
                fault: Fault::Timeout,
            }),
            took: Duration::ZERO,
        }
    }

    fn after(class: Class, attempt: &Attempt) -> Next {
        let now = Instant::now();
        let wall = "2026-02-24T10:00:00Z".parse().unwrap();
        let latest = now + Duration::from_secs(100);
        next(attempt, class, 1, || Moment {
            latest,
            now,
            wall,
            jitter: 1.0,
        })
    }

    const SUBMIT: Operation = Operation::Sync2AsyncSubmitTask;
    const QUERY: Operation = Operation::Sync2AsyncGetResult;

    #[test]
    fn a_submit_is_repeated_only_if_unsent_or_refused_outright() {
        assert!(matches!(
            after(Class::Submit, &failed(Phase::Connect)),
            Next::After(_, RetryReason::Connect)
        ));
        let refused = replied(SUBMIT, 429, 50_430, None);
        assert!(matches!(
            after(Class::Submit, &refused),
            Next::After(_, RetryReason::Limited)
        ));
        for attempt in [
            failed(Phase::Head),
            failed(Phase::Body),
            replied(SUBMIT, 500, 50_500, None),
            replied(SUBMIT, 502, 0, None),
            replied(SUBMIT, 400, 50_411, None),
            replied(SUBMIT, 401, 0, None),
        ] {
            assert_eq!(after(Class::Submit, &attempt), Next::Stop, "{attempt:?}");
        }
    }

    #[test]
    fn a_query_is_repeated_after_a_failure_too() {
        assert!(matches!(
            after(Class::Query, &failed(Phase::Body)),
            Next::After(_, RetryReason::Failed)
        ));
        let failure = replied(QUERY, 500, 50_500, None);
        assert!(matches!(
            after(Class::Query, &failure),
            Next::After(_, RetryReason::Failed)
        ));
        assert_eq!(after(Class::Query, &replied(QUERY, 400, 50_511, None)), Next::Stop);
    }

    #[test]
    fn the_wait_is_what_the_upstream_asks_capped_at_a_minute() {
        for (text, seconds) in [("7", 7), ("1000000000", 60), ("Tue, 24 Feb 2026 10:00:09 GMT", 9)] {
            let refused = replied(SUBMIT, 429, 50_430, Some(text));
            let expected = Next::After(Duration::from_secs(seconds), RetryReason::Limited);
            assert_eq!(after(Class::Submit, &refused), expected, "{text}");
        }
        let nonsense = replied(SUBMIT, 429, 50_430, Some("soon"));
        assert_eq!(
            after(Class::Submit, &nonsense),
            Next::After(FIRST_BACKOFF, RetryReason::Limited)
        );
    }

    #[test]
    fn nothing_is_repeated_after_the_third_attempt_or_past_the_deadline() {
        let now = Instant::now();
        let wall = Timestamp::EPOCH;
        let attempt = failed(Phase::Connect);
        let moment = |latest| {
            move || Moment {
                latest,
                now,
                wall,
                jitter: 0.0,
            }
        };
        assert_eq!(
            next(&attempt, Class::Submit, 3, moment(now + LONGEST_ASKED)),
            Next::Stop
        );
        assert_eq!(next(&attempt, Class::Submit, 1, moment(now)), Next::Stop);
    }
}
