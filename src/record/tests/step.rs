//! One thing that happens to calls, at random.

use proptest::prelude::*;

use crate::model::outcome::Outcome;

/// What can happen.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Ask { model: u8, input: u64, output: u64 },
    Settle { which: usize, outcome: Outcome, share: u64 },
    Forsake { which: usize },
    Crash,
    Resolve { which: usize },
    Tomorrow,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
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
