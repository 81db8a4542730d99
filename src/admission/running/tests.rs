//! Whatever happens to submits and tasks: what was taken is given back, once, and nobody holds more than a share.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::operation::Operation;

fn held(owner: u64) -> RunningTask {
    RunningTask {
        owner: OwnerId::from_bits(owner),
        task_id: None,
        req_key: None,
        operation: Operation::Sync2AsyncSubmitTask,
        asked_at: Timestamp::EPOCH,
        lapses_at: None,
    }
}

fn limit(slots: usize) -> RunningTasks {
    RunningTasks::new(NonZeroUsize::new(slots).unwrap(), 0)
}

/// Takes a slot if one is free for this owner.
fn take(running: &RunningTasks, owner: u64) -> Option<Slot<OwnerId>> {
    let deadline = Instant::now();
    running
        .admit(OwnerId::from_bits(owner), Lane::Interactive, deadline)
        .now_or_never()?
        .ok()
}

#[tokio::test]
async fn the_stalest_task_is_the_one_that_was_asked_about_the_longest_ago() {
    let running = limit(3);
    for (intent, asked) in [(1, 30), (2, 10), (3, 20)] {
        let slot = take(&running, intent).unwrap();
        let task = RunningTask {
            task_id: (intent != 2).then(|| "task".to_owned()),
            asked_at: Timestamp::from_seconds(asked),
            ..held(intent)
        };
        running.hold(intent, task, slot);
    }

    assert_eq!(
        running.stalest().unwrap().0,
        3,
        "one without a name cannot be asked about"
    );
    running.update(3, |held| held.asked_at = Timestamp::from_seconds(40));
    assert_eq!(running.stalest().unwrap().0, 1);
}

#[tokio::test]
async fn a_slot_lapses_at_its_moment_and_not_before() {
    let running = limit(2);
    let slot = take(&running, 1).unwrap();
    running.hold(1, held(1), slot);
    running.update(1, |held| held.lapses_at = Some(Timestamp::from_seconds(600)));

    assert_eq!(running.lapsed(Timestamp::from_seconds(599)), [0; 0]);
    assert_eq!(running.lapsed(Timestamp::from_seconds(600)), [1]);
}

#[tokio::test]
async fn more_tasks_than_a_lowered_limit_are_remembered_and_worked_off() {
    let running = limit(1);
    for intent in 1..=3 {
        running.recover(intent, held(intent));
    }
    assert_eq!(running.taken(), 3);
    for intent in 1..=2 {
        running.finish(intent);
        assert!(take(&running, 9).is_none());
    }
    running.finish(3);
    assert!(take(&running, 9).is_some());
}

/// What happens to the slots of one account.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An owner is about to submit.
    Take { owner: u64 },
    /// One of the submits ends before its intent is recorded.
    GiveUp { which: usize },
    /// The intent of one of the submits is recorded.
    Record { which: usize },
    /// A task is seen to have finished, perhaps again.
    Finish { intent: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u64).prop_map(|owner| Step::Take { owner }),
        1 => (0..8_usize).prop_map(|which| Step::GiveUp { which }),
        3 => (0..8_usize).prop_map(|which| Step::Record { which }),
        3 => (0..40_u64).prop_map(|intent| Step::Finish { intent }),
    ]
}

proptest! {
    #[test]
    fn what_is_taken_is_given_back_and_one_owner_never_holds_them_all(
        slots in 2..6_usize,
        steps in vec(step(), 0..120),
    ) {
        let running = limit(slots);
        let mut submits: Vec<(u64, Slot<OwnerId>)> = Vec::new();
        let mut tasks: BTreeMap<u64, u64> = BTreeMap::new();
        let mut next = 0;
        for step in steps {
            let share = |owner: u64, submits: &[(u64, Slot<OwnerId>)], tasks: &BTreeMap<u64, u64>| {
                submits.iter().filter(|(of, _)| *of == owner).count() + tasks.values().filter(|of| **of == owner).count()
            };
            match step {
                Step::Take { owner } => {
                    let fits = submits.len() + tasks.len() < slots && share(owner, &submits, &tasks) < slots - 1;
                    let slot = take(&running, owner);
                    prop_assert_eq!(slot.is_some(), fits);
                    submits.extend(slot.map(|slot| (owner, slot)));
                }
                Step::GiveUp { which } => if which < submits.len() {
                    drop(submits.swap_remove(which));
                },
                Step::Record { which } => if which < submits.len() {
                    let (owner, slot) = submits.swap_remove(which);
                    running.hold(next, held(owner), slot);
                    tasks.insert(next, owner);
                    next += 1;
                },
                Step::Finish { intent } => {
                    running.finish(intent);
                    tasks.remove(&intent);
                }
            }
            prop_assert_eq!(running.taken(), submits.len() + tasks.len());
        }
        submits.clear();
        for intent in tasks.keys() {
            running.finish(*intent);
        }
        prop_assert_eq!(running.taken(), 0);
        prop_assert!(running.stalest().is_none());
    }
}
