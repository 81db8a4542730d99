//! The end of an attempt, or of a call: what the pool hears of it, and what follows.

use std::collections::BTreeMap;

use super::attempt::{Arrived, Attempt};
use super::journey::{Journey, Pooled, Way};
use super::pool::rotation::{self, Ending, Next};
use super::pool::unusable::Unusable;
use super::pool::{Changes, Ended, Moment, Pool};
use super::{Dispatcher, NO_POOL, retry};
use crate::model::call::Call;
use crate::model::operation::Protocol;
use crate::model::upstream::UpstreamName;
use crate::upstream::Symptom;

impl Dispatcher {
    /// Tells the pool how an attempt ended, and says what follows. `made` counts the call's attempts; `moment` is asked
    /// only where another attempt at Volcengine is worth making.
    pub fn after(
        &self,
        call: &Call,
        journey: &mut Journey,
        attempt: &Attempt,
        made: u32,
        moment: impl FnOnce() -> retry::Moment,
    ) -> Next {
        let at = Moment::of(self.clock.as_ref());
        if call.operation.protocol() == Protocol::Volcengine {
            return match retry::next(attempt, call.operation.class(), made, moment) {
                retry::Next::After(wait, reason) => Next::Again(wait, reason),
                retry::Next::Stop => {
                    self.finish(journey, of_volcengine(attempt), at);
                    self.conclude(journey);
                    Next::Stop
                }
            };
        }
        let ending = match &attempt.result {
            Ok(Arrived::Stream(_)) => return self.began(journey, at),
            Ok(Arrived::Whole(_, verdict)) => Ending::Replied {
                symptom: verdict.symptom,
                retry_after: attempt.retry_after(at.wall),
            },
            Err(error) => Ending::Broke(*error),
        };
        self.finish(journey, ending, at)
    }

    /// Tells the pool how a stream ended that was begun.
    pub fn stream_ended(&self, journey: &mut Journey, ending: Ending) {
        self.finish(journey, ending, Moment::of(self.clock.as_ref()));
    }

    fn began(&self, journey: &mut Journey, at: Moment) -> Next {
        if let Way::Pooled(Pooled {
            legs,
            at: place,
            turn: Some(turn),
            ..
        }) = &mut journey.way
            && let Some(leg) = legs.get_mut(*place)
        {
            let changed = self
                .pools()
                .get_mut(&leg.upstream)
                .map(|pool| pool.began(&mut leg.trial, turn, at));
            self.note(changed.unwrap_or_default());
        }
        Next::Stop
    }

    fn finish(&self, journey: &mut Journey, ending: Ending, at: Moment) -> Next {
        let Way::Pooled(way) = &mut journey.way else {
            return Next::Stop;
        };
        let (Some(turn), Some(leg)) = (way.turn.take(), way.legs.get_mut(way.at)) else {
            return Next::Stop;
        };
        let mut pools = self.pools();
        let Some(pool) = pools.get_mut(&leg.upstream) else {
            return Next::Stop;
        };
        let Ended { mut next, mut changed } = pool.ended(&mut leg.trial, turn, ending, at);
        let reason = rotation::reason(ending, leg.trial.keyed());
        if let (Next::Stop | Next::Again(..), Some(reason)) = (next, reason)
            && leg.trial.has_time(at.now)
        {
            // The next target may serve what this one refused, without a wait.
            let later = way.legs.iter().enumerate().skip(way.at + 1).find(|(_, leg)| {
                let pool = pools.get(&leg.upstream);
                pool.is_some_and(|pool| pool.usable(&leg.model, at.now).is_ok())
            });
            if let Some((place, _)) = later {
                changed.extend(conclude(&mut pools, way, at));
                way.at = place;
                next = Next::Elsewhere(reason);
            }
        }
        drop(pools);
        self.note(changed);
        next
    }

    /// A call ends, perhaps in the middle of its way: what its accounts said takes effect. Doing it twice changes nothing.
    ///
    /// Given back is why its next attempt, or another call for its model, would find no account; `None` where it would.
    pub fn conclude(&self, journey: &mut Journey) -> Option<Unusable> {
        let Way::Pooled(way) = &mut journey.way else {
            return None;
        };
        let at = Moment::of(self.clock.as_ref());
        let mut pools = self.pools();
        let changed = conclude(&mut pools, way, at);
        let mut unusable = Some(NO_POOL);
        for leg in &way.legs {
            let pool = pools.get(&leg.upstream);
            let usable = pool.map_or(Err(NO_POOL), |pool| pool.usable(&leg.model, at.now));
            unusable = unusable.and_then(|why| Some(why.or_sooner(usable.err()?)));
        }
        drop(pools);
        self.note(changed);
        unusable
    }
}

/// What a reply of Volcengine's says of its account: only a credential or signature that is refused counts. Its limits
/// are kept by the gates, and its submits wait at one account and go to no other.
fn of_volcengine(attempt: &Attempt) -> Ending {
    let symptom = match &attempt.result {
        Ok(Arrived::Whole(_, verdict)) if verdict.symptom == Symptom::Unauthorized => Symptom::Unauthorized,
        _ => Symptom::Neutral,
    };
    Ending::Replied {
        symptom,
        retry_after: None,
    }
}

/// What the accounts of the target that a call is at said to it takes effect.
fn conclude(pools: &mut BTreeMap<UpstreamName, Pool>, way: &mut Pooled, at: Moment) -> Changes {
    let leg = way.legs.get_mut(way.at);
    let concluded = leg.and_then(|leg| Some(pools.get_mut(&leg.upstream)?.conclude(&mut leg.trial, at)));
    concluded.unwrap_or_default()
}
