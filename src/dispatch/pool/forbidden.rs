//! The models that accounts may not use: a 403 says so of one account and one model, not of either alone.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::id::AccountId;

/// Which accounts are not asked for which models. It lives in memory: after a restart it is learned anew.
#[derive(Debug, Default)]
pub(super) struct Forbidden(HashMap<Box<str>, Bans>);

/// The accounts that may not use one model, in the order of their ids.
pub(super) type Bans = Vec<(AccountId, Ban)>;

/// That an account is not asked for a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ban {
    /// Until when.
    pub(super) until: Instant,
    length: Duration,
}

impl Forbidden {
    /// The accounts that may not use `model`, or might not until lately.
    pub(super) fn of(&self, model: &str) -> Option<&Bans> {
        self.0.get(model).filter(|bans| !bans.is_empty())
    }

    /// Whether an account is not to be asked for a model now.
    pub(super) fn has(&self, model: &str, account: AccountId, now: Instant) -> bool {
        let mut bans = self.of(model).into_iter().flatten();
        bans.any(|(banned, ban)| *banned == account && now < ban.until)
    }

    /// The upstream said 403: for a minute, and twice as long each further time, an hour at most. A second word on what
    /// is in force already, from a call that began earlier, changes nothing.
    pub(super) fn forbid(&mut self, model: &str, account: AccountId, now: Instant) {
        if self.has(model, account, now) {
            return;
        }
        if !self.0.contains_key(model) {
            self.make_room(now);
        }
        let bans = self.0.entry(model.into()).or_default();
        match bans.binary_search_by_key(&account, |(banned, _)| *banned) {
            Ok(place) => {
                if let Some((_, ban)) = bans.get_mut(place) {
                    ban.length = ban.length.saturating_mul(2).min(LONGEST);
                    ban.until = now + ban.length;
                }
            }
            Err(place) => {
                let until = now + FIRST;
                bans.insert(place, (account, Ban { until, length: FIRST }));
            }
        }
    }

    /// The account serves this model.
    pub(super) fn forgive(&mut self, model: &str, account: AccountId) {
        if let Some(bans) = self.0.get_mut(model) {
            bans.retain(|(banned, _)| *banned != account);
            if bans.is_empty() {
                self.0.remove(model);
            }
        }
    }

    /// Only what is known of the accounts that `keep` names stays.
    pub(super) fn retain(&mut self, keep: impl Fn(AccountId) -> bool) {
        self.0.retain(|_, bans| {
            bans.retain(|(account, _)| keep(*account));
            !bans.is_empty()
        });
    }

    /// Room for one more model: clients choose the names, so their number must not grow with what they think of. Those
    /// of which nothing is in force go first, then the one that would be free the soonest.
    fn make_room(&mut self, now: Instant) {
        if self.0.len() < MOST_MODELS {
            return;
        }
        let last = |bans: &Bans| bans.iter().map(|(_, ban)| ban.until).max();
        self.0.retain(|_, bans| last(bans).is_some_and(|last| now < last));
        if self.0.len() < MOST_MODELS {
            return;
        }
        let soonest = self.0.iter().min_by_key(|(_, bans)| last(bans));
        if let Some(model) = soonest.map(|(model, _)| model.clone()) {
            self.0.remove(&model);
        }
    }
}

const FIRST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);
/// Models of one upstream that are remembered.
const MOST_MODELS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountId = AccountId::from_bits(1);

    #[test]
    fn each_403_after_the_last_one_ended_lasts_twice_as_long_until_a_success() {
        let mut forbidden = Forbidden::default();
        let mut now = Instant::now();
        for seconds in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            forbidden.forbid("m", ACCOUNT, now);
            forbidden.forbid("m", ACCOUNT, now);
            let length = Duration::from_secs(seconds);
            assert!(forbidden.has("m", ACCOUNT, now + length.mul_f64(0.99)));
            now += length;
            assert!(!forbidden.has("m", ACCOUNT, now), "{seconds}");
        }
        forbidden.forgive("m", ACCOUNT);
        forbidden.forbid("m", ACCOUNT, now);
        assert!(!forbidden.has("m", ACCOUNT, now + FIRST));
    }

    #[test]
    fn clients_cannot_fill_the_memory_with_names_of_models() {
        let mut forbidden = Forbidden::default();
        let now = Instant::now();
        forbidden.forbid("real", ACCOUNT, now);
        forbidden.forbid("real", ACCOUNT, now + FIRST);
        for number in 0..10 * MOST_MODELS {
            forbidden.forbid(&format!("made up {number}"), ACCOUNT, now + FIRST);
        }
        assert_eq!(forbidden.0.len(), MOST_MODELS);
        assert!(forbidden.has("real", ACCOUNT, now + FIRST));
    }
}
