//! Misbehaviour on request: which calls suffer which [`Fault`].

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::call::Call;
use super::fault::Fault;

/// The misbehaviour that was ordered and not used up: rules in order, of which the first that fits a call spoils it.
///
/// `POST /__faults` adds one [`Rule`] as JSON, `DELETE /__faults` clears all, `DELETE /__faults?account=…` those of one
/// account.
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

    /// Forgets the rules for calls of `account` alone: from now on it is well again.
    pub fn heal(&self, account: &str) {
        self.rules().retain(|rule| rule.account.as_deref() != Some(account));
    }

    /// How many rules are not used up.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.rules().len()
    }

    /// Uses up one turn of the first rule that fits.
    pub(super) fn take(&self, call: &Call) -> Option<(Duration, Fault)> {
        let mut rules = self.rules();
        let place = rules.iter().position(|rule| rule.fits(call))?;
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
/// `{"on":"CVProcess","account":"AK…","model":"m","times":2,"delay_ms":50,"then":{"kind":"reset"}}`, every field optional;
/// `"times":null` means for ever.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    on: Option<String>,
    account: Option<String>,
    model: Option<String>,
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
            model: None,
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

    /// The next call of `action` suffers `fault`: a Volcengine action such as `CVProcess`, or a path. One of OpenAI's
    /// routes is named by its path below `/v1`, whatever the base path of the call; pictures and films are all `/media`.
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

    /// Only calls that name this model.
    #[must_use]
    pub fn of_model(self, model: &str) -> Self {
        Self {
            model: Some(model.to_owned()),
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

    fn fits(&self, call: &Call) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        is(&self.on, Some(call.action()))
            && is(&self.account, call.account.as_deref())
            && is(&self.model, call.model.as_deref())
    }
}

/// How many rules may wait.
const MAX_RULES: usize = 1000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::sandbox::{Course, Ends, Pace};

    fn call(target: &str, account: &str, body: &'static str) -> Call {
        let (head, ()) = Request::post(target).body(()).unwrap().into_parts();
        let now = tokio::time::Instant::now();
        Call::new(head, Bytes::from_static(body.as_bytes()), now, Some(Arc::from(account)))
    }

    #[test]
    fn a_rule_is_used_up_by_the_calls_it_fits() {
        let faults = Faults::default();
        let twice = NonZeroU32::new(2).unwrap();
        faults
            .push(Rule::on("CVProcess", Fault::Hang).by("ak_one").times(twice))
            .unwrap();
        let fitting = call("/?Action=CVProcess", "ak_one", "");
        assert_eq!(faults.take(&call("/?Action=CVProcess", "ak_two", "")), None);
        assert_eq!(faults.take(&call("/?Action=CVSubmitTask", "ak_one", "")), None);
        assert!(faults.take(&fitting).is_some());
        assert!(faults.take(&fitting).is_some());
        assert_eq!(faults.take(&fitting), None);
        assert_eq!(faults.pending(), 0);
    }

    #[test]
    fn a_rule_without_an_end_lasts_until_it_is_cleared() {
        let faults = Faults::default();
        faults.push(Rule::any(Fault::Reset).always()).unwrap();
        let call = call("/v1/models", "a", "");
        for _ in 0..100 {
            assert_eq!(faults.take(&call), Some((Duration::ZERO, Fault::Reset)));
        }
        faults.clear();
        assert_eq!(faults.take(&call), None);
    }

    #[test]
    fn a_rule_for_one_model_leaves_the_others_alone_and_healing_ends_it() {
        let faults = Faults::default();
        let chat = "/v1/chat/completions";
        faults
            .push(Rule::on(chat, Fault::Reset).by("a").of_model("m").always())
            .unwrap();
        let same = call(&format!("/compatible-mode{chat}"), "a", r#"{"model":"m"}"#);
        assert_eq!(faults.take(&call(chat, "a", r#"{"model":"n"}"#)), None);
        assert_eq!(faults.take(&call(chat, "b", r#"{"model":"m"}"#)), None);
        assert!(faults.take(&same).is_some());
        faults.heal("b");
        assert!(faults.take(&same).is_some());
        faults.heal("a");
        assert_eq!(faults.take(&same), None);
    }

    #[test]
    fn a_rule_reads_as_json_and_refuses_what_it_does_not_know() {
        let rule: Rule = serde_json::from_str(
            r#"{"times":3,"delay_ms":5,"then":{"kind":"answer","status":429,"code":50430,"retry_after":"2"}}"#,
        )
        .unwrap();
        assert_eq!((rule.times, rule.delay_ms), (NonZeroU32::new(3), 5));
        let rule: Rule =
            serde_json::from_str(r#"{"times":null,"then":{"kind":"pace","words":50,"interval_ms":100}}"#).unwrap();
        assert_eq!(rule.times, None);
        let pace = Pace {
            words: Some(50),
            interval: Duration::from_millis(100),
        };
        assert_eq!(rule.then, Fault::Pace(pace));
        let rule: Rule =
            serde_json::from_str(r#"{"then":{"kind":"task","ends":{"failed":50511},"after_ms":200}}"#).unwrap();
        let course = Course {
            ends: Ends::Failed(50511),
            after: Some(Duration::from_millis(200)),
        };
        assert_eq!(rule.then, Fault::Task(course));
        let rule: Rule = serde_json::from_str(r#"{"then":{"kind":"task","ends":"not_found"}}"#).unwrap();
        assert_eq!(rule.then, Fault::task(Ends::NotFound));
        for text in [
            r#"{"thne":{"kind":"hang"}}"#,
            r#"{"then":{"kind":"explode"}}"#,
            r#"{"then":{"kind":"task","ends":"happily"}}"#,
            r#"{"then":{"kind":"task","end":"expired"}}"#,
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
