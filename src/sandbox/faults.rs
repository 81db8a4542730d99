//! Misbehaviour on request: which calls suffer which [`Fault`].

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::fault::Fault;

/// The misbehaviour that was ordered and not used up: rules in order, of which the first that fits a call spoils it.
///
/// `POST /__faults` adds one [`Rule`] as JSON, `DELETE /__faults` clears all.
#[derive(Debug, Default)]
pub struct Faults(Mutex<VecDeque<Rule>>);

impl Faults {
    /// Adds `rule` behind the others.
    ///
    /// # Errors
    /// [`FaultsFull`] when 1,000 rules wait.
    pub fn push(&self, rule: Rule) -> Result<(), FaultsFull> {
        let mut rules = self.rules();
        if rules.len() >= MAX_RULES {
            return Err(FaultsFull);
        }
        rules.push_back(rule);
        Ok(())
    }

    /// Forgets every rule; calls that hang go on hanging.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// How many rules are not used up.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.rules().len()
    }

    /// Uses up one turn of the first rule that fits.
    pub(super) fn take(&self, action: &str, account: Option<&str>) -> Option<(Duration, Fault)> {
        let mut rules = self.rules();
        let place = rules.iter().position(|rule| rule.fits(action, account))?;
        let rule = rules.get_mut(place)?;
        let spoiled = (Duration::from_millis(rule.delay_ms), rule.then.clone());
        if let Some(times) = rule.times {
            rule.times = NonZeroU32::new(times.get() - 1);
            if rule.times.is_none() {
                rules.remove(place);
            }
        }
        Some(spoiled)
    }

    fn rules(&self) -> MutexGuard<'_, VecDeque<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Too many rules wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_RULES} faults wait already; DELETE /__faults clears them")]
pub struct FaultsFull;

/// Which calls to spoil, and how. As JSON:
/// `{"on":"CVProcess","account":"AK…","times":2,"delay_ms":50,"then":{"kind":"reset"}}`, every field optional.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    on: Option<String>,
    account: Option<String>,
    /// `None`: every one. Never becomes `None` by counting, because then the rule is removed.
    times: Option<NonZeroU32>,
    delay_ms: u64,
    then: Fault,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            on: None,
            account: None,
            times: Some(NonZeroU32::MIN),
            delay_ms: 0,
            then: Fault::None,
        }
    }
}

impl Rule {
    /// The next call, whatever it is, suffers `fault`.
    #[must_use]
    pub fn any(fault: Fault) -> Self {
        Self {
            then: fault,
            ..Self::default()
        }
    }

    /// The next call of `action` suffers `fault`: a Volcengine action such as `CVProcess`, or a path.
    #[must_use]
    pub fn on(action: &str, fault: Fault) -> Self {
        Self {
            on: Some(action.to_owned()),
            ..Self::any(fault)
        }
    }

    /// Only calls of the account with this access key, or of the bearer key with this name.
    #[must_use]
    pub fn by(self, account: &str) -> Self {
        Self {
            account: Some(account.to_owned()),
            ..self
        }
    }

    /// So many calls, not one.
    #[must_use]
    pub fn times(self, times: NonZeroU32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Every call until the rules are cleared.
    #[must_use]
    pub fn always(self) -> Self {
        Self { times: None, ..self }
    }

    /// The fault strikes after `delay`, in whole milliseconds.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self {
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            ..self
        }
    }

    fn fits(&self, action: &str, account: Option<&str>) -> bool {
        self.on.as_deref().is_none_or(|on| on == action)
            && self.account.as_deref().is_none_or(|name| account == Some(name))
    }
}

/// How many rules may wait.
const MAX_RULES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_used_up_by_the_calls_it_fits() {
        let faults = Faults::default();
        let twice = NonZeroU32::new(2).unwrap();
        faults
            .push(Rule::on("CVProcess", Fault::Hang).by("ak_one").times(twice))
            .unwrap();
        assert_eq!(faults.take("CVProcess", Some("ak_two")), None);
        assert_eq!(faults.take("CVSubmitTask", Some("ak_one")), None);
        assert!(faults.take("CVProcess", Some("ak_one")).is_some());
        assert!(faults.take("CVProcess", Some("ak_one")).is_some());
        assert_eq!(faults.take("CVProcess", Some("ak_one")), None);
        assert_eq!(faults.pending(), 0);
    }

    #[test]
    fn a_rule_without_an_end_lasts_until_it_is_cleared() {
        let faults = Faults::default();
        faults.push(Rule::any(Fault::Reset).always()).unwrap();
        for _ in 0..100 {
            assert_eq!(faults.take("/v1/models", None), Some((Duration::ZERO, Fault::Reset)));
        }
        faults.clear();
        assert_eq!(faults.take("/v1/models", None), None);
    }

    #[test]
    fn a_rule_reads_as_json_and_refuses_what_it_does_not_know() {
        let rule: Rule = serde_json::from_str(
            r#"{"times":3,"delay_ms":5,"then":{"kind":"answer","status":429,"code":50430,"retry_after":"2"}}"#,
        )
        .unwrap();
        assert_eq!((rule.times, rule.delay_ms), (NonZeroU32::new(3), 5));
        for text in [
            r#"{"thne":{"kind":"hang"}}"#,
            r#"{"then":{"kind":"explode"}}"#,
            r#"{"then":{"kind":"answer","status":100}}"#,
            r#"{"times":0}"#,
        ] {
            assert!(serde_json::from_str::<Rule>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_queue_of_rules_is_bounded() {
        let faults = Faults::default();
        for _ in 0..MAX_RULES {
            faults.push(Rule::any(Fault::Hang)).unwrap();
        }
        assert_eq!(faults.push(Rule::any(Fault::Hang)), Err(FaultsFull));
    }
}
