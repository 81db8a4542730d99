//! One call's way: the targets it may go to, the account it is at, and what it has tried.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::line::Target;
use super::pool::trial::{Bounds, Keyed, Trial};
use super::pool::turn::Turn;
use crate::model::call::Call;
use crate::model::catalogue::{self, Route};
use crate::model::id::AccountId;
use crate::model::upstream::UpstreamName;

/// One call's way. Dropping it gives back what it holds at the pools.
#[derive(Debug)]
pub struct Journey {
    pub(super) way: Way,
}

/// Which accounts serve it.
#[derive(Debug)]
pub(super) enum Way {
    /// These, whatever their pool says: a query must be answered by the account that took its submit.
    Pinned(Vec<AccountId>),
    /// Whichever the pools choose.
    Pooled(Pooled),
}

/// The way through the pools.
#[derive(Debug)]
pub(super) struct Pooled {
    /// The targets, in the order of preference.
    pub(super) legs: Vec<Leg>,
    /// The one it is at.
    pub(super) at: usize,
    /// Its turn at an account, between choice and ending.
    pub(super) turn: Option<Turn>,
    /// What `max_tokens` is capped at.
    pub(super) max_tokens: Option<NonZeroU32>,
}

/// One target, and what was tried there.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) upstream: UpstreamName,
    pub(super) model: String,
    pub(super) trial: Trial,
}

impl Journey {
    /// Gives back a turn of which nothing was used: its account may be chosen again.
    pub fn give_back(&mut self) {
        if let Way::Pooled(way) = &mut self.way
            && let (Some(turn), Some(leg)) = (way.turn.take(), way.legs.get_mut(way.at))
        {
            leg.trial.give_back(turn);
        }
    }
}

impl Leg {
    pub(super) fn new(target: &catalogue::Target, bounds: Bounds) -> Self {
        Self {
            upstream: target.upstream.clone(),
            model: target.model.clone(),
            trial: Trial::new(Arc::<str>::from(target.model.as_str()), bounds),
        }
    }
}

impl Pooled {
    /// What its present target changes of the body.
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            model: self.legs.get(self.at).map_or("", |leg| &leg.model),
            max_tokens: self.max_tokens,
        }
    }
}

/// Whether a call carries an idempotency key, in the pool's words.
pub(super) const fn keyed(call: &Call) -> Keyed {
    match call.idempotency {
        Some(_) => Keyed::Yes,
        None => Keyed::No,
    }
}

/// The targets of a route in the order in which they are asked. Neighbours with a weight share the traffic: `round`
/// counts calls, and says which of them is first this time.
pub(super) fn ordered(route: &Route, round: u64) -> Vec<&catalogue::Target> {
    let mut targets: Vec<&catalogue::Target> = route.targets.iter().collect();
    let weight = |target: &catalogue::Target| target.weight.map_or(0, |weight| u64::from(weight.get()));
    for group in targets.chunk_by_mut(|one, next| one.weight.is_some() && next.weight.is_some()) {
        let total: u64 = group.iter().map(|target| weight(target)).sum();
        let mut left = round.checked_rem(total).unwrap_or(0);
        let first = group.iter().position(|target| {
            let here = left < weight(target);
            left = left.saturating_sub(weight(target));
            here
        });
        group.rotate_left(first.unwrap_or(0));
    }
    targets
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn route(targets: &[(&str, Option<u32>)]) -> Route {
        let target = |(model, weight): &(&str, Option<u32>)| catalogue::Target {
            upstream: "one".parse().unwrap(),
            model: (*model).to_owned(),
            weight: weight.and_then(NonZeroU32::new),
        };
        Route {
            model: "alias".to_owned(),
            targets: targets.iter().map(target).collect(),
            context_length: None,
            max_tokens: None,
            price: None,
        }
    }

    fn first_of(route: &Route, round: u64) -> String {
        ordered(route, round)[0].model.clone()
    }

    #[test]
    fn neighbours_with_a_weight_share_the_traffic_by_it() {
        let route = route(&[("a", Some(3)), ("b", Some(1)), ("c", None)]);

        let firsts: Vec<_> = (0..8).map(|round| first_of(&route, round)).collect();

        assert_eq!(firsts, ["a", "a", "a", "b", "a", "a", "a", "b"]);
        assert!((0..8).all(|round| ordered(&route, round)[2].model == "c"));
    }

    #[test]
    fn targets_without_a_weight_keep_their_order() {
        let route = route(&[("a", None), ("b", None)]);
        assert!((0..4).all(|round| first_of(&route, round) == "a"));
    }
}
