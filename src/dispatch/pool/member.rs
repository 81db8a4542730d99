//! One account of a pool: how it stands, and what a reply changes of that.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::Moment;
use super::breaker::{Breaker, BreakerState, Effect};
use super::turn::{ProbePlace, Turn, Turns};
use crate::model::account::{AccountState, Standing, StateReason};
use crate::model::clock::Timestamp;
use crate::model::id::AccountId;
use crate::upstream::Symptom;

/// An account in its pool.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) weight: NonZeroU32,
    /// How far it has come in the round robin among accounts with as little to do as it.
    pub(super) pass: u64,
    /// Goes up whenever the account is taken out of use or a person changes it. A call that began before learned what is
    /// no news any more.
    generation: u64,
    standing: Standing,
    /// The end of cooling, or the moment of the next probe, by the monotonic clock.
    wake: Instant,
    /// How often it was limited since it last served.
    limited: u32,
    breaker: Breaker,
    turns: Turns,
    probe: ProbePlace,
}

/// Whether a call may go to an account now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It may.
    Free,
    /// It may, as the only one.
    Probe,
    /// It may not.
    Shut {
        why: Obstacle,
        /// When it may, if that will ever be by itself.
        until: Option<Instant>,
    },
}

/// What keeps calls from an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It is asked too often.
    Limited,
    /// It fails.
    Failing,
    /// It was taken out: by a person, by its upstream, or for this model.
    TakenOut,
}

impl Passage {
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Free | Self::Probe)
    }

    /// The same, if the account may not use the model until `ban`.
    pub(super) fn with_ban(self, ban: Option<Instant>) -> Self {
        let until = match (self, ban) {
            (_, None) => return self,
            (Self::Free | Self::Probe, ban) => ban,
            (Self::Shut { until, .. }, ban) => until.max(ban).filter(|_| until.is_some()),
        };
        let why = Obstacle::TakenOut;
        Self::Shut { why, until }
    }
}

impl Member {
    /// One that stands as it did when that was last written down.
    pub(super) fn new(weight: NonZeroU32, standing: Standing, at: Moment) -> Self {
        let (end, longest) = match standing.state {
            AccountState::Active | AccountState::Disabled { probe_at: None } => (at.wall, Duration::ZERO),
            AccountState::Cooling { until } => (until, LONGEST_COOLING),
            AccountState::Exhausted { probe_at }
            | AccountState::Disabled {
                probe_at: Some(probe_at),
            } => (probe_at, PROBE_AFTER),
        };
        Self {
            weight,
            pass: 0,
            generation: 0,
            standing,
            // A wall clock that was set back in between must not keep it out for longer than a reply could.
            wake: at.now + end.since(at.wall).min(longest),
            limited: 0,
            breaker: Breaker::new(),
            turns: Turns::default(),
            probe: ProbePlace::default(),
        }
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// How it stands, as people see it: what has ended by itself has ended.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        match self.standing.state {
            AccountState::Cooling { until } if self.wake <= now => Standing::fresh(until),
            _ => self.standing,
        }
    }

    pub(super) fn breaker(&self, now: Instant) -> BreakerState {
        self.breaker.state(now)
    }

    /// Whether a call may go to it now.
    pub(super) fn passage(&self, now: Instant) -> Passage {
        let shut = |why, until| Passage::Shut { why, until };
        let wake = Some(self.wake);
        // Nearly every account of nearly every choice.
        if matches!(self.standing.state, AccountState::Active) && self.breaker.opens_at().is_none() {
            return Passage::Free;
        }
        let mut passage = match self.standing.state {
            AccountState::Cooling { .. } if now < self.wake => return shut(Obstacle::Limited, wake),
            AccountState::Active | AccountState::Cooling { .. } => Passage::Free,
            AccountState::Disabled { probe_at: None } => return shut(Obstacle::TakenOut, None),
            _ if now < self.wake => return shut(Obstacle::TakenOut, wake),
            AccountState::Exhausted { .. } | AccountState::Disabled { .. } => Passage::Probe,
        };
        match self.breaker.state(now) {
            BreakerState::Closed => {}
            BreakerState::Open => return shut(Obstacle::Failing, self.breaker.opens_at()),
            BreakerState::HalfOpen => passage = Passage::Probe,
        }
        if passage == Passage::Probe && self.probe.is_taken() {
            let why = if self.is_out() {
                Obstacle::TakenOut
            } else {
                Obstacle::Failing
            };
            return shut(why, Some(now + PROBE_LASTS));
        }
        passage
    }

    /// How many calls are at it.
    pub(super) fn in_flight(&self) -> usize {
        self.turns.count()
    }

    /// Begins a turn: the one probe, where only a probe may pass.
    pub(super) fn enter(&mut self, account: AccountId, now: Instant) -> Turn {
        let probing = self.passage(now) == Passage::Probe;
        Turn {
            account,
            generation: self.generation,
            _in_flight: self.turns.begin(),
            _probe: probing.then(|| self.probe.take()),
        }
    }

    /// Whether its credential or its money was refused, so that only a probe can have asked it.
    pub(super) const fn is_out(&self) -> bool {
        matches!(
            self.standing.state,
            AccountState::Exhausted { .. } | AccountState::Disabled { .. }
        )
    }

    /// Changes how it stands after a reply. `None`: it stands as before.
    pub(super) fn hear(&mut self, symptom: Symptom, retry_after: Option<Duration>, at: Moment) -> Option<Standing> {
        match symptom {
            Symptom::Healthy => self.heal(at.wall),
            Symptom::Neutral | Symptom::Forbidden | Symptom::Failing => None,
            Symptom::Unauthorized => {
                let probe_at = Some(at.wall.plus(PROBE_AFTER));
                let state = AccountState::Disabled { probe_at };
                Some(self.take_out(state, StateReason::Unauthorized, PROBE_AFTER, at))
            }
            Symptom::Exhausted => {
                let probe_at = at.wall.plus(PROBE_AFTER);
                let state = AccountState::Exhausted { probe_at };
                Some(self.take_out(state, StateReason::Exhausted, PROBE_AFTER, at))
            }
            Symptom::Limited => {
                let length = retry_after.map_or_else(|| backoff(self.limited), patience);
                self.limited = self.limited.saturating_add(1);
                let until = at.wall.plus(length);
                Some(self.take_out(AccountState::Cooling { until }, StateReason::Limited, length, at))
            }
        }
    }

    /// The upstream answered, whatever it said.
    pub(super) const fn answered(&mut self) {
        self.breaker.succeed();
    }

    /// A good reply has begun.
    pub(super) const fn began(&mut self) {
        self.breaker.begin();
    }

    /// No connection, no whole reply, or a failure of the upstream's own.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.breaker.fail(now) == Effect::Tripped {
            self.generation += 1;
        }
    }

    /// A person takes it out.
    pub(super) fn disable(&mut self, at: Moment) -> Standing {
        let state = AccountState::Disabled { probe_at: None };
        self.take_out(state, StateReason::Operator, Duration::ZERO, at)
    }

    /// A person puts it back, and forgets what its replies said.
    pub(super) fn enable(&mut self, at: Moment) -> Standing {
        self.limited = 0;
        self.breaker = Breaker::new();
        self.probe = ProbePlace::default();
        self.take_out(AccountState::Active, StateReason::Fine, Duration::ZERO, at)
    }

    /// Whether a person took it out.
    pub(super) const fn is_disabled_by_a_person(&self) -> bool {
        matches!(self.standing.state, AccountState::Disabled { probe_at: None })
    }

    fn heal(&mut self, wall: Timestamp) -> Option<Standing> {
        self.limited = 0;
        if self.standing.state == AccountState::Active {
            return None;
        }
        self.standing = Standing::fresh(wall);
        Some(self.standing)
    }

    fn take_out(&mut self, state: AccountState, reason: StateReason, length: Duration, at: Moment) -> Standing {
        let since = if (state.label(), reason) == (self.standing.state.label(), self.standing.reason) {
            self.standing.since
        } else {
            at.wall
        };
        self.generation += 1;
        self.wake = at.now + length;
        self.standing = Standing { state, reason, since };
        self.standing
    }
}

/// What an upstream asks for with `Retry-After`, within reason: one of a billion seconds would lose the account.
pub(super) fn patience(asked: Duration) -> Duration {
    asked.clamp(FIRST_COOLING, LONGEST_COOLING)
}

/// One second, doubling to a minute.
fn backoff(times: u32) -> Duration {
    FIRST_COOLING.saturating_mul(1 << times.min(6)).min(LONGEST_OWN_COOLING)
}

/// After how long an account that was disabled or exhausted by a reply is tried again.
pub(super) const PROBE_AFTER: Duration = Duration::from_hours(1);
/// What is told to a call that finds the place of the probe taken.
const PROBE_LASTS: Duration = Duration::from_secs(1);
const FIRST_COOLING: Duration = Duration::from_secs(1);
const LONGEST_OWN_COOLING: Duration = Duration::from_mins(1);
const LONGEST_COOLING: Duration = Duration::from_hours(1);
