//! One thing that happens to jobs, at random.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::jobs::change::Asked;
use crate::jobs::ending::{Ending, Heard, NextKey};
use crate::jobs::tests::answered;
use crate::model::job::item::ItemError;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Submit(New),
    Claim {
        queue: usize,
        limit: usize,
    },
    /// A worker says what came of an item, be it that its lease was lost long ago.
    Settle {
        hand: Index,
        ending: Came,
    },
    /// A provider answers about a task.
    Answer {
        task: Index,
        ending: Came,
    },
    /// What is due is done; the items of jobs whose deadline came follow, or the process ends before.
    TakeDue {
        reach: Reach,
    },
    Renew,
    GiveBack,
    Kill,
    /// Something is asked of a job; its items follow, or the process ends before.
    Ask {
        job: Index,
        asked: Asked,
        reach: Reach,
    },
    DropDead {
        job: Index,
    },
    Forget {
        job: Index,
        rows: usize,
    },
    Pass {
        seconds: u64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) items: u8,
    pub(super) queue: usize,
    pub(super) owner: usize,
    pub(super) priority: u8,
    pub(super) delay: Option<u64>,
    pub(super) deadline: Option<u64>,
    pub(super) attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Whole,
    FirstCommit,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Came {
    Succeeded,
    Failed,
    Unknown,
    Retry(NextKey),
    Bounced,
    Later,
    Cut,
    Polling,
    Pending(Heard),
    Cancelled,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let secs = prop::option::weighted(0.3, 0..200_u64);
    let new = (1..5_u8, 0..2_usize, 0..2_usize, 0..10_u8, secs.clone(), secs, 1..4_u32);
    let new = new.prop_map(|(items, queue, owner, priority, delay, deadline, attempts)| {
        Step::Submit(New {
            items,
            queue,
            owner,
            priority,
            delay,
            deadline,
            attempts,
        })
    });
    let reach = || prop_oneof![3 => Just(Reach::Whole), 1 => Just(Reach::FirstCommit)];
    let of_worker = prop_oneof![
        4 => Just(Came::Succeeded),
        4 => Just(Came::Polling),
        2 => Just(Came::Failed),
        2 => Just(Came::Unknown),
        3 => Just(Came::Retry(NextKey::Same)),
        1 => Just(Came::Retry(NextKey::New)),
        2 => Just(Came::Bounced),
        1 => Just(Came::Later),
        1 => Just(Came::Cut),
        1 => Just(Came::Cancelled),
    ];
    let of_provider = prop_oneof![
        2 => Just(Came::Succeeded),
        1 => Just(Came::Failed),
        2 => Just(Came::Pending(Heard::Yes)),
        1 => Just(Came::Pending(Heard::No)),
        1 => Just(Came::Cancelled),
    ];
    let asked = prop_oneof![
        Just(Asked::Cancel),
        Just(Asked::Retry),
        Just(Asked::Hold),
        Just(Asked::Release)
    ];
    prop_oneof![
        4 => new,
        6 => (0..2_usize, 1..4_usize).prop_map(|(queue, limit)| Step::Claim { queue, limit }),
        6 => (any::<Index>(), of_worker).prop_map(|(hand, ending)| Step::Settle { hand, ending }),
        3 => (any::<Index>(), of_provider).prop_map(|(task, ending)| Step::Answer { task, ending }),
        4 => reach().prop_map(|reach| Step::TakeDue { reach }),
        1 => Just(Step::Renew),
        1 => Just(Step::GiveBack),
        1 => Just(Step::Kill),
        4 => (any::<Index>(), asked, reach()).prop_map(|(job, asked, reach)| Step::Ask { job, asked, reach }),
        1 => any::<Index>().prop_map(|job| Step::DropDead { job }),
        1 => (any::<Index>(), 1..12_usize).prop_map(|(job, rows)| Step::Forget { job, rows }),
        3 => (0..120_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

impl Came {
    pub(super) fn ending(self, task: u64) -> Ending {
        let error = ItemError {
            code: "TEST".to_owned(),
            message: "it came so".to_owned(),
        };
        let wait = Duration::from_secs(7);
        match self {
            Self::Succeeded => Ending::Succeeded(answered()),
            Self::Failed => Ending::Failed(error, Some(answered())),
            Self::Unknown => Ending::Unknown {
                error,
                intent: None,
                outcome: None,
            },
            Self::Retry(key) => Ending::Retry { error, wait, key },
            Self::Bounced => Ending::Bounced {
                error,
                wait: Duration::ZERO,
            },
            Self::Later => Ending::Later { wait },
            Self::Cut => Ending::Cut(error),
            Self::Polling => Ending::Polling {
                task_id: task.to_string(),
                wait,
            },
            Self::Pending(heard) => Ending::Pending { wait, heard },
            Self::Cancelled => Ending::Cancelled,
        }
    }
}
