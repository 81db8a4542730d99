//! One delivery: what it is, and what an attempt changes of it.

use std::ops::RangeInclusive;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::schedule;
use crate::model::clock::Timestamp;
use crate::model::id::{DeliveryId, JobId, OwnerId};

/// One delivery, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whose secret signs it.
    pub owner: OwnerId,
    /// What it tells of.
    pub job: JobId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried, at most [`ATTEMPTS`](super::ATTEMPTS) times.
    pub attempts: u32,
    /// What came of the last attempt.
    pub last: Option<Attempt>,
    /// Where it goes and what it says, sealed; empty once it has ended.
    pub sealed: Vec<u8>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// It is to be tried.
    Pending {
        /// From when on.
        due: Timestamp,
    },
    /// A receiver took it.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// It will not be tried again.
    GivenUp {
        /// Since when.
        at: Timestamp,
    },
}

/// What came of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// The receiver's status, from 100 to 999, or why there was none.
    pub result: Result<u16, Failure>,
}

/// Why a receiver answered nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// Its name led to no address.
    #[error("the host's name could not be resolved")]
    Unresolved,
    /// It may not be reached, so no connection was opened.
    #[error("the host is not on the public internet, or the port is neither 80 nor 443")]
    Refused,
    /// No connection came about.
    #[error("the host could not be connected to")]
    Connect,
    /// It answered too late.
    #[error("the host did not answer in time")]
    Timeout,
    /// The connection broke before an answer.
    #[error("the connection broke before an answer")]
    Broken,
    /// What is stored of it cannot be read, or the machine cannot send it.
    #[error("Tollgate could not make the request")]
    Unsendable,
}

/// What an attempt means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Delivered,
    /// It will be tried again.
    Retried,
    /// That was the last attempt, or the receiver wants no more.
    GivenUp,
    /// It may not be sent at all.
    Refused,
}

impl Delivery {
    /// Notes what came of an attempt, and when the next one is due. `jitter` is as for [`wait`](super::wait).
    ///
    /// A status of 2xx is a delivery; `410 Gone` ends it at once, as Standard Webhooks asks; every other is tried again.
    pub fn note(&mut self, attempt: Attempt, jitter: u32) -> Fate {
        self.attempts += 1;
        self.last = Some(attempt);
        let at = attempt.at;
        let fate = match attempt.result {
            Ok(200..=299) => Fate::Delivered,
            Ok(GONE) => Fate::GivenUp,
            Err(Failure::Refused) => Fate::Refused,
            _ => match schedule::wait(self.attempts, jitter) {
                Some(wait) => {
                    self.state = DeliveryState::Pending { due: at.plus(wait) };
                    return Fate::Retried;
                }
                None => Fate::GivenUp,
            },
        };
        self.sealed = Vec::new();
        self.state = match fate {
            Fate::Delivered => DeliveryState::Delivered { at },
            _ => DeliveryState::GivenUp { at },
        };
        fate
    }
}

impl Fate {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Retried, Self::GivenUp, Self::Refused];

    /// Its name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
            Self::Refused => "refused",
        }
    }
}

impl DeliveryState {
    /// Its name in answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Delivered { .. } => "delivered",
            Self::GivenUp { .. } => "given_up",
        }
    }
}

/// A new id for a delivery of a job. It begins as the job's does, so a job's deliveries are found without an index;
/// `random` tells them apart.
#[must_use]
pub const fn new_id(job: JobId, random: u32) -> DeliveryId {
    DeliveryId::from_bits((job.bits() & !OWN_BITS) | random as u128)
}

/// Every id that a delivery of this job may have, and perhaps one of another job.
#[must_use]
pub const fn ids_of(job: JobId) -> RangeInclusive<DeliveryId> {
    new_id(job, 0)..=new_id(job, u32::MAX)
}

const GONE: u16 = StatusCode::GONE.as_u16();

/// The bits of a delivery's id that are not its job's.
const OWN_BITS: u128 = 0xffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::webhook::ATTEMPTS;

    const NOW: Timestamp = Timestamp::from_seconds(1_771_927_200);

    fn pending() -> Delivery {
        Delivery {
            owner: OwnerId::from_bits(1),
            job: JobId::from_bits(2),
            created_at: NOW,
            state: DeliveryState::Pending { due: NOW },
            attempts: 0,
            last: None,
            sealed: vec![1],
        }
    }

    fn after(result: Result<u16, Failure>) -> (Fate, Delivery) {
        let mut delivery = pending();
        let fate = delivery.note(Attempt { at: NOW, result }, 0);
        (fate, delivery)
    }

    #[test]
    fn a_status_of_2xx_is_a_delivery() {
        for status in [200, 202, 204, 299] {
            let (fate, delivery) = after(Ok(status));
            assert_eq!(fate, Fate::Delivered);
            assert_eq!(delivery.state, DeliveryState::Delivered { at: NOW });
            assert!(delivery.sealed.is_empty());
        }
    }

    #[test]
    fn gone_and_a_refusal_of_ours_end_it_at_once() {
        for (result, fate) in [(Ok(410), Fate::GivenUp), (Err(Failure::Refused), Fate::Refused)] {
            let (noted, delivery) = after(result);
            assert_eq!(noted, fate);
            assert_eq!(delivery.state, DeliveryState::GivenUp { at: NOW });
            assert!(delivery.sealed.is_empty());
        }
    }

    #[test]
    fn everything_else_is_tried_again_with_what_it_says() {
        for result in [
            Ok(100),
            Ok(301),
            Ok(400),
            Ok(404),
            Ok(500),
            Err(Failure::Unresolved),
            Err(Failure::Timeout),
        ] {
            let (fate, delivery) = after(result);
            assert_eq!(fate, Fate::Retried, "{result:?}");
            let due = NOW.plus(std::time::Duration::from_secs(30));
            assert_eq!(delivery.state, DeliveryState::Pending { due });
            assert_eq!(delivery.sealed, [1]);
        }
    }

    #[test]
    fn it_is_given_up_after_the_last_attempt() {
        let mut delivery = pending();
        let attempt = Attempt {
            at: NOW,
            result: Ok(500),
        };
        let fates: Vec<_> = (0..ATTEMPTS).map(|_| delivery.note(attempt, 0)).collect();
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Retried).count(), 7);
        assert_eq!(fates.last(), Some(&Fate::GivenUp));
        assert_eq!(delivery.attempts, ATTEMPTS);
        assert_eq!(delivery.last, Some(attempt));
    }

    #[test]
    fn the_ids_of_a_jobs_deliveries_begin_as_the_job_does() {
        let job = JobId::from_bits(0x1234_5678_9abc_def0_1122_3344_5566_7788);
        let id = new_id(job, 7);
        assert_eq!(id.to_string(), "msg_123456789abcdef01122334400000007");
        assert!(ids_of(job).contains(&id));
        assert!(!ids_of(JobId::from_bits(1)).contains(&id));
    }
}
