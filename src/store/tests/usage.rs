//! Usage, held against the list of what was counted: whichever rows answer, they say the same.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::model::money::{Currency, Units};
use crate::model::usage::Totals;
use crate::store::usage::{self, Asked, Counted};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call of an owner, a model and a currency on a day.
    Count(Call),
    /// What the call of this number turned out not to have been.
    Uncount(prop::sample::Index),
    /// The days before one.
    Forget(u32),
}

#[derive(Clone, Copy, Debug)]
struct Call {
    day: u32,
    owner: u64,
    model: &'static str,
    priced: Priced,
    output: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Priced {
    No,
    Yes,
}

/// What a sum is of.
type Place = (u64, &'static str, Option<Currency>);

impl Call {
    fn counted(&self) -> Counted<'static> {
        Counted {
            day: Day::from_number(self.day),
            owner: Some(OwnerId::from_bits(self.owner)),
            model: self.model,
            currency: self.currency(),
        }
    }

    fn currency(&self) -> Option<Currency> {
        (self.priced == Priced::Yes).then(|| "USD".parse().unwrap())
    }

    fn totals(&self) -> Totals {
        Totals {
            calls: 1,
            units: Units {
                output: self.output,
                ..Units::default()
            },
            ..Totals::default()
        }
    }
}

/// What is in the store, and the calls that ought to be.
struct World {
    store: Store,
    calls: Vec<Call>,
}

impl Change for Step {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        match self {
            Self::Count(call) => tables.count_usage(call.counted(), call.totals()),
            Self::Forget(before) => tables.forget_usage(Day::from_number(*before)),
            Self::Uncount(_) => Ok(()),
        }
    }
}

struct Uncount(Call);

impl Change for Uncount {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.uncount_usage(self.0.counted(), self.0.totals())
    }
}

impl World {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Count(call) => self.calls.push(call),
            Step::Forget(before) => self.calls.retain(|call| call.day >= before),
            Step::Uncount(_) if self.calls.is_empty() => {}
            Step::Uncount(at) => {
                let call = self.calls.remove(at.index(self.calls.len()));
                self.store.change(Uncount(call)).await.unwrap();
            }
        }
        self.store.change(step).await.unwrap();
    }

    /// What ought to be counted of these days and this model.
    fn expected(&self, days: &RangeInclusive<u32>, model: Option<&str>) -> BTreeMap<Place, Totals> {
        let mut sums = BTreeMap::new();
        for call in &self.calls {
            if days.contains(&call.day) && model.is_none_or(|model| model == call.model) {
                add(&mut sums, (call.owner, call.model, call.currency()), call.totals());
            }
        }
        sums
    }

    fn check(&self, days: RangeInclusive<u32>, model: Option<&str>) {
        let expected = self.expected(&days, model);
        let asked = Asked {
            days: Day::from_number(*days.start())..=Day::from_number(*days.end()),
            model,
        };
        let (mut by_day, mut shares, mut own) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut everybodys, mut all) = (Totals::default(), Totals::default());
        self.store
            .read(|rows| {
                usage::by_owner(rows, &asked, OwnerId::from_bits(0), |counted, totals| {
                    let owner = counted.owner.unwrap().bits();
                    add(&mut by_day, (owner, known(counted.model), counted.currency), totals);
                    ControlFlow::Continue(())
                })?;
                usage::shares(rows, &asked, |share, totals| {
                    add(
                        &mut shares,
                        (share.owner.bits(), known(share.model), share.currency),
                        totals,
                    );
                })?;
                for owner in OWNERS {
                    usage::of_owner(rows, OwnerId::from_bits(owner), &asked, |counted, totals| {
                        add(&mut own, (owner, known(counted.model), counted.currency), totals);
                    })?;
                }
                usage::by_model(rows, &asked, |_, totals| everybodys = everybodys.plus(totals))
            })
            .unwrap();
        for sum in expected.values() {
            all = all.plus(*sum);
        }
        assert_eq!(by_day, expected, "by day, {days:?}");
        assert_eq!(shares, expected, "in months, {days:?}");
        assert_eq!(own, expected, "owner by owner, {days:?}");
        assert_eq!(everybodys, all, "everybody's, {days:?}");
    }
}

fn add(sums: &mut BTreeMap<Place, Totals>, place: Place, totals: Totals) {
    let sum: &mut Totals = sums.entry(place).or_default();
    *sum = sum.plus(totals);
}

fn known(model: &str) -> &'static str {
    NAMES.into_iter().find(|name| *name == model).unwrap()
}

fn call() -> impl Strategy<Value = Call> {
    let what = (
        prop::sample::select(&NAMES[..]),
        prop::sample::select(&[Priced::No, Priced::Yes][..]),
    );
    (DAYS, OWNERS, what, 1..1_000_u64).prop_map(|(day, owner, (model, priced), output)| Call {
        day,
        owner,
        model,
        priced,
        output,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => call().prop_map(Step::Count),
        2 => any::<prop::sample::Index>().prop_map(Step::Uncount),
        // Time goes on: what is forgotten lies before most of what is counted.
        1 => (DAYS.start..DAYS.start + 50).prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn days_and_months_and_models_say_the_same(
        steps in vec(step(), 1..40),
        asked in vec((DAYS, 0..160_u32, prop::option::of(prop::sample::select(&NAMES[..]))), 24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World { store: open(&Disk::default()), calls: Vec::new() };
            for step in steps {
                world.take(step).await;
            }
            for (from, length, model) in asked {
                world.check(from..=from + length, model);
            }
            world.check(0..=DAYS.end, None);
        });
    }
}

/// From the 30th of June 2026 to the 15th of November.
const DAYS: std::ops::Range<u32> = 20_634..20_772;
const OWNERS: std::ops::Range<u64> = 1..4;
const NAMES: [&str; 3] = ["gpt", "gpt-4o", "jimeng"];
