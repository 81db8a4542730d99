//! The store and the model, side by side.

use std::num::NonZeroU64;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::known::{Known, State};
use super::step::Step;
use crate::crypto::entropy::OsEntropy;
use crate::model::caller::{Caller, Identity};
use crate::model::clock::Timestamp;
use crate::model::clock::fixture::Wall;
use crate::model::id::{OwnerId, RequestId};
use crate::model::key::Limits;
use crate::model::money::{Budget, Currency, Label, Period, Price, Units};
use crate::model::operation::Operation;
use crate::model::outcome::{Outcome, Reason};
use crate::model::usage::{Source, Totals, Usage};
use crate::record::recovery::settle_before;
use crate::record::*;
use crate::store::fixture::{File, open};
use crate::store::usage::Asked;
use crate::store::{spending, usage};

pub(super) struct Nothing;

impl Seat for Nothing {
    fn opened(&mut self, _: u64) {}
    fn settled(self, _: u64, _: Outcome, _: Option<&str>) {}
}

/// The store, and the calls as the model knows them.
pub(super) struct World {
    clock: Arc<Wall>,
    recorder: Arc<Recorder>,
    caller: Caller,
    calls: Vec<Known>,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Wall::at(NOW);
        let store = open(&File::default(), clock.clone());
        let guarded = Arc::new(GuardedClock::new(clock.clone()));
        let ttl = Duration::from_hours(24 * 365);
        let recorder = Recorder::new(store, clock.clone(), guarded, Arc::new(OsEntropy), ttl, "volcengine");
        let budget = Budget {
            currency: currency(),
            day: NonZeroU64::new(DAY_LIMIT),
            month: NonZeroU64::new(MONTH_LIMIT),
        };
        let limits = Limits {
            budget: Some(budget),
            ..Limits::default()
        };
        Self {
            clock,
            recorder: Arc::new(recorder),
            caller: Caller {
                limits,
                owner: OwnerId::from_bits(7),
                ..Caller::administrator(Identity::Tollgate)
            },
            calls: Vec::new(),
        }
    }

    fn today(&self) -> Day {
        Day::of(self.clock.wall())
    }

    fn sum(&self, of: impl Fn(&Known) -> u64, within: impl Fn(&Known) -> bool) -> u64 {
        self.calls.iter().filter(|call| within(call)).map(of).sum()
    }

    /// What the model says was spent and reserved in the period of a day.
    fn spending(&self, period: Period, day: Day) -> (u64, u64) {
        let within = |call: &Known| period.number(call.day) == period.number(day);
        let spent = self.sum(|call| call.totals().cost, within);
        (spent, self.sum(Known::reserved, within))
    }

    fn open(&self) -> Vec<usize> {
        let open = |(_, call): &(usize, &Known)| matches!(call.state, State::Open(_));
        self.calls.iter().enumerate().filter(open).map(|(at, _)| at).collect()
    }

    fn unknown(&self) -> Vec<usize> {
        let unknown = |(_, call): &(usize, &Known)| matches!(call.state, State::Unknown(..));
        self.calls
            .iter()
            .enumerate()
            .filter(unknown)
            .map(|(at, _)| at)
            .collect()
    }

    pub(super) async fn take(&mut self, step: Step) {
        match step {
            Step::Ask { model, input, output } => self.ask(model, input, output).await,
            Step::Settle { which, outcome, share } => {
                let open = self.open();
                if let Some(at) = open.get(which % open.len().max(1)) {
                    self.settle(*at, outcome, share).await;
                }
            }
            Step::Forsake { which } => {
                let open = self.open();
                if let Some(at) = open.get(which % open.len().max(1)) {
                    // Nothing of it was sent, so that its drop says so.
                    self.calls[*at].state = State::Settled(Totals::default());
                    self.recorder.store().change(Nudge).await.unwrap();
                }
            }
            Step::Crash => self.crash().await,
            Step::Resolve { which } => {
                let unknown = self.unknown();
                if let Some(at) = unknown.get(which % unknown.len().max(1)) {
                    self.resolve(*at).await;
                }
            }
            Step::Tomorrow => self.clock.forward(Duration::from_hours(24)),
        }
    }

    async fn ask(&mut self, model: u8, input: u64, output: u64) {
        let model = format!("model-{model}");
        let quote = Quote {
            label: Label::Known,
            price: Some(price()),
            expected: Units {
                input,
                output,
                ..Units::default()
            },
        };
        let call = Call {
            model: Some(model.clone()),
            idempotency: Some(format!("call-{}", self.calls.len()).parse().unwrap()),
            ..Call::of_ours(
                RequestId::from_bits(1),
                self.caller.clone(),
                Operation::ChatCompletions,
                Bytes::from(self.calls.len().to_string()),
                Instant::now(),
            )
        };
        let day = self.today();
        let estimate = quote.hold(day).money.unwrap().microunits;
        let fits = [(Period::Day, DAY_LIMIT), (Period::Month, MONTH_LIMIT)].map(|(period, limit)| {
            let (spent, reserved) = self.spending(period, day);
            spent + reserved + estimate <= limit
        });
        let Claim::First(claimed) = self.recorder.claim(&call, Instant::now()).await.unwrap() else {
            panic!("a key of its own was used before")
        };
        let (account, slot) = (AccountId::from_bits(1), RunningSlot::None);
        let opened = self.recorder.open(&call, account, slot, claimed, quote, Nothing).await;
        match opened {
            Ok(pending) => {
                assert_eq!(fits, [true, true], "it was let in");
                let state = State::Open(Box::new(pending));
                self.calls.push(Known {
                    day,
                    model,
                    quote,
                    state,
                });
            }
            Err(RecordError::OverBudget { over, .. }) => {
                assert_ne!(fits, [true, true], "it was turned away");
                assert_eq!(over.needed, estimate);
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn settle(&mut self, at: usize, outcome: Outcome, share: u64) {
        let expected = self.calls[at].quote.expected;
        let used = Usage {
            input: expected.input * share / 100,
            output: expected.output * share / 100,
            cached: 0,
        };
        let consumed = (outcome == Outcome::Succeeded).then_some((used, Source::Reported));
        let cost = match outcome {
            Outcome::Succeeded => used.input + 2 * used.output,
            Outcome::Unknown => self.calls[at].estimate(),
            _ => 0,
        };
        let totals = match outcome {
            Outcome::Refused | Outcome::NotSent => Totals::default(),
            _ => Totals {
                calls: 1,
                estimated_calls: u64::from(outcome == Outcome::Unknown),
                cost,
                units: Units {
                    input: if outcome == Outcome::Unknown {
                        expected.input
                    } else {
                        consumed.map_or(0, |used| used.0.input)
                    },
                    output: if outcome == Outcome::Unknown {
                        expected.output
                    } else {
                        consumed.map_or(0, |used| used.0.output)
                    },
                    ..Units::default()
                },
            },
        };
        let State::Open(pending) = std::mem::replace(&mut self.calls[at].state, State::Settled(totals)) else {
            panic!("it was open")
        };
        let intent = pending.intent();
        let ending = Ending {
            consumed,
            ..Ending::unanswered(outcome, Reason::Replied)
        };
        assert_eq!(pending.settle(ending, Wait::ForCommit).await, Recorded::Yes);
        if outcome == Outcome::Unknown {
            self.calls[at].state = State::Unknown(intent, totals);
        }
    }

    /// The process is gone, and the next one finds what it left.
    pub(super) async fn crash(&mut self) {
        for at in self.open() {
            let units = self.calls[at].quote.expected;
            let totals = Totals {
                calls: 1,
                estimated_calls: 1,
                units,
                cost: self.calls[at].estimate(),
            };
            let State::Open(pending) = std::mem::replace(&mut self.calls[at].state, State::Settled(totals)) else {
                panic!("it was open")
            };
            self.calls[at].state = State::Unknown(pending.intent(), totals);
            // A dead process settles nothing.
            std::mem::forget(pending);
        }
        let store = self.recorder.store();
        settle_before(store, store.boot() + 1, "volcengine").await.unwrap();
    }

    async fn resolve(&mut self, at: usize) {
        let State::Unknown(intent, _) = self.calls[at].state else {
            panic!("it was unknown")
        };
        let resolve = Resolve {
            intent,
            verdict: Verdict::NotSent,
            actor: "somebody".to_owned(),
        };
        self.recorder.resolve(resolve).await.unwrap();
        self.calls[at].state = State::Settled(Totals::default());
    }

    /// The store says what the model says.
    pub(super) fn check(&self) {
        let (first, last) = (Day::of(NOW), self.today());
        let days = || (first.number()..=last.number()).map(Day::from_number);
        self.recorder
            .store()
            .read(|rows| {
                for day in days() {
                    for (period, limit) in [(Period::Day, DAY_LIMIT), (Period::Month, MONTH_LIMIT)] {
                        let found = spending::of(rows, self.caller.owner, currency(), period, day)?;
                        assert_eq!(
                            (found.spent, found.reserved),
                            self.spending(period, day),
                            "{period:?} of {day}"
                        );
                        assert!(found.spent + found.reserved <= limit, "{period:?} of {day}: {found:?}");
                    }
                }
                let mut by_model = Totals::default();
                let asked = Asked {
                    days: first..=last,
                    model: None,
                };
                usage::by_model(rows, &asked, |_, totals| by_model = by_model.plus(totals))?;
                let mut by_owner = Totals::default();
                usage::by_owner(rows, &asked, OwnerId::from_bits(0), |counted, totals| {
                    let same = |call: &&Known| call.day == counted.day && call.model == counted.model;
                    let calls = self.calls.iter().filter(same);
                    assert_eq!(
                        totals,
                        calls.fold(Totals::default(), |sum, call| sum.plus(call.totals()))
                    );
                    by_owner = by_owner.plus(totals);
                    ControlFlow::Continue(())
                })?;
                let mut shares = Totals::default();
                usage::shares(rows, &asked, |_, totals| shares = shares.plus(totals))?;
                let all = self
                    .calls
                    .iter()
                    .fold(Totals::default(), |sum, call| sum.plus(call.totals()));
                assert_eq!((by_owner, by_model, shares), (all, all, all));
                Ok(())
            })
            .unwrap();
    }
}

/// A change that changes nothing, but is written after those before it.
struct Nudge;

impl crate::store::Change for Nudge {
    type Done = ();

    fn apply(&mut self, _: &mut crate::store::Tables<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

fn currency() -> Currency {
    "USD".parse().unwrap()
}

/// A micro-unit for a token asked, two for one answered.
fn price() -> Price {
    Price {
        currency: currency(),
        input: 1_000_000,
        output: 2_000_000,
        cached: None,
        image: None,
        second: None,
    }
}

/// Three days before the end of a month.
const NOW: Timestamp = Timestamp::from_seconds(1_772_100_000);
const DAY_LIMIT: u64 = 1_500;
const MONTH_LIMIT: u64 = 4_000;
