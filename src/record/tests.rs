//! What calls are charged, held against a simple model: whatever happens to them and in which order, the rows of the
//! store say what the model says.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;

use super::recovery::settle_before;
use super::*;
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::model::caller::{Caller, Identity};
use crate::model::clock::Timestamp;
use crate::model::id::{OwnerId, RequestId};
use crate::model::key::Limits;
use crate::model::money::{Budget, Currency, Label, Period, Price, Units};
use crate::model::operation::Operation;
use crate::model::outcome::{Outcome, Reason};
use crate::model::secret::Secret;
use crate::model::usage::{Source, Totals, Usage};
use crate::store::usage::Asked;
use crate::store::{Missing, OpenOptions, spending, usage};

/// A wall clock that stands still until it is moved.
struct Wall(AtomicI64);

impl Clock for Wall {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Nothing;

impl Seat for Nothing {
    fn opened(&mut self, _: u64) {}
    fn settled(self, _: u64, _: Outcome, _: Option<&str>) {}
}

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Ask { model: u8, input: u64, output: u64 },
    Settle { which: usize, outcome: Outcome, share: u64 },
    Forsake { which: usize },
    Crash,
    Resolve { which: usize },
    Tomorrow,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Succeeded),
        1 => Just(Outcome::Rejected),
        1 => Just(Outcome::Refused),
        2 => Just(Outcome::Unknown),
    ];
    prop_oneof![
        6 => (0..3_u8, 0..200_u64, 0..200_u64).prop_map(|(model, input, output)| Step::Ask { model, input, output }),
        4 => (any::<usize>(), outcome, 0..=100_u64)
            .prop_map(|(which, outcome, share)| Step::Settle { which, outcome, share }),
        1 => any::<usize>().prop_map(|which| Step::Forsake { which }),
        1 => Just(Step::Crash),
        1 => any::<usize>().prop_map(|which| Step::Resolve { which }),
        1 => Just(Step::Tomorrow),
    ]
}

/// A call as the model knows it.
struct Known {
    day: Day,
    model: String,
    quote: Quote,
    state: State,
}

enum State {
    Open(Box<Pending<Nothing>>),
    Settled(Totals),
    Unknown(u64, Totals),
}

impl Known {
    fn totals(&self) -> Totals {
        match &self.state {
            State::Open(_) => Totals::default(),
            State::Settled(totals) | State::Unknown(_, totals) => *totals,
        }
    }

    fn reserved(&self) -> u64 {
        match &self.state {
            State::Open(_) => self.estimate(),
            State::Settled(_) | State::Unknown(..) => 0,
        }
    }

    fn estimate(&self) -> u64 {
        self.quote.hold(self.day).money.unwrap().microunits
    }
}

struct World {
    clock: Arc<Wall>,
    recorder: Arc<Recorder>,
    caller: Caller,
    calls: Vec<Known>,
}

impl World {
    fn new() -> Self {
        let master = Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned());
        let clock = Arc::new(Wall(AtomicI64::new(NOW.as_micros())));
        let options = OpenOptions {
            master_keys: &|_| Ok(vec![MasterKey::from_base64(&master).unwrap()]),
            cache_bytes: 1 << 20,
            missing: Missing::Create,
            progress: |_| {},
            clock: clock.clone(),
            entropy: &OsEntropy,
        };
        let store = Store::open_backend(InMemoryBackend::new(), &options).unwrap().store;
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

    async fn take(&mut self, step: Step) {
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
            Step::Tomorrow => drop(self.clock.0.fetch_add(86_400_000_000, Ordering::Relaxed)),
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
    async fn crash(&mut self) {
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
    fn check(&self) {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_to_calls_what_is_spent_reserved_and_counted_is_their_sum(steps in vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.take(step).await;
                world.check();
            }
            // What is left in flight is as good as gone.
            world.crash().await;
            world.check();
        });
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
