//! The pool over scripted accounts and a clock that only the test moves.

mod choice;
mod property;
mod refusals;
mod rotation;
mod standing;

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::rotation::{Ending, Next};
use super::trial::{Bounds, Keyed, Trial};
use super::turn::Turn;
use super::unusable::Unusable;
use super::{Changes, Listed, Moment, Pool};
use crate::model::account::{AccountState, Standing};
use crate::model::id::AccountId;
use crate::upstream::Symptom;
use crate::upstream::error::{Fault, Phase, UpstreamError};

/// A pool and the moment at which it is.
struct Scene {
    pool: Pool,
    at: Moment,
}

/// How a call went.
#[derive(Debug)]
struct Called {
    /// The accounts it was sent to, in this order.
    asked: Vec<AccountId>,
    /// What the last attempt brought, or why there was none.
    answer: Result<Ending, Unusable>,
    changed: Changes,
}

impl Scene {
    /// A pool of accounts 1 to `size`, all of weight one.
    fn of(size: u64) -> Self {
        Self::weighing(&vec![1; usize::try_from(size).unwrap()])
    }

    fn weighing(weights: &[u32]) -> Self {
        let at = Moment {
            now: Instant::now(),
            wall: "2026-02-24T10:00:00Z".parse().unwrap(),
        };
        let mut pool = Pool::new(at);
        pool.define((1..).zip(weights).map(|(id, weight)| listed(id, *weight, None)), at);
        Self { pool, at }
    }

    fn pass(&mut self, length: Duration) {
        self.at.now += length;
        self.at.wall = self.at.wall.plus(length);
    }

    /// A call without idempotency key, for which accounts play what `script` says.
    fn call(&mut self, model: &str, script: impl FnMut(AccountId) -> Ending) -> Called {
        let trial = self.trial(model, Keyed::No, 3);
        self.run(trial, script)
    }

    fn trial(&self, model: &str, keyed: Keyed, max_attempts: u32) -> Trial {
        let latest = self.at.now + Duration::from_hours(1);
        let bounds = Bounds {
            max_attempts,
            latest,
            keyed,
        };
        Trial::new(model, bounds)
    }

    fn run(&mut self, mut trial: Trial, mut script: impl FnMut(AccountId) -> Ending) -> Called {
        let mut called = Called {
            asked: Vec::new(),
            answer: Ok(OK),
            changed: Changes::new(),
        };
        loop {
            let turn = match self.choose(&mut trial) {
                Ok(turn) => turn,
                Err(unusable) => {
                    called.changed.extend(self.pool.conclude(&mut trial, self.at));
                    called.answer = Err(unusable);
                    return called;
                }
            };
            let ending = script(turn.account());
            called.asked.push(turn.account());
            called.answer = Ok(ending);
            let ended = self.pool.ended(&mut trial, turn, ending, self.at);
            called.changed.extend(ended.changed);
            match ended.next {
                Next::Stop => return called,
                Next::Elsewhere(_) => {}
                Next::Again(wait, _) => self.pass(wait),
            }
        }
    }

    fn choose(&mut self, trial: &mut Trial) -> Result<Turn, Unusable> {
        self.pool.choose(trial, self.at)
    }

    /// A turn at this very account, which must be usable.
    fn turn_at(&mut self, account: AccountId, trial: &mut Trial) -> Turn {
        loop {
            let turn = self.choose(trial).unwrap();
            if turn.account() == account {
                return turn;
            }
        }
    }

    fn usable(&self, model: &str) -> usize {
        self.pool.usable(model, self.at.now).map_or(0, usize::from)
    }

    fn standing(&self, account: AccountId) -> Standing {
        let mut all = self.pool.view(self.at.now);
        all.find(|view| view.account == account).unwrap().standing
    }

    fn state(&self, account: AccountId) -> &'static str {
        self.standing(account).state.label()
    }
}

fn account(number: u64) -> AccountId {
    AccountId::from_bits(number)
}

fn listed(number: u64, weight: u32, standing: Option<Standing>) -> Listed {
    Listed {
        account: account(number),
        weight: NonZeroU32::new(weight).unwrap(),
        standing,
    }
}

const fn replied(symptom: Symptom) -> Ending {
    Ending::Replied {
        symptom,
        retry_after: None,
    }
}

const fn limited(seconds: u64) -> Ending {
    Ending::Replied {
        symptom: Symptom::Limited,
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

const fn broke(phase: Phase) -> Ending {
    Ending::Broke(UpstreamError {
        phase,
        fault: Fault::Timeout,
    })
}

const OK: Ending = replied(Symptom::Healthy);
const UNAUTHORIZED: Ending = replied(Symptom::Unauthorized);
const FORBIDDEN: Ending = replied(Symptom::Forbidden);
const EXHAUSTED: Ending = replied(Symptom::Exhausted);
const FAILING: Ending = replied(Symptom::Failing);
const NEUTRAL: Ending = replied(Symptom::Neutral);
const HOUR: Duration = Duration::from_hours(1);
const TICK: Duration = Duration::from_millis(1);
