//! Random sequences of everything that may happen to jobs, kills in the middle of a change among them. After each step
//! the store holds together, and in the end every job that was accepted ends.

mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use self::step::{Came, New, Reach, Step, step};
use super::check::Check;
use super::*;
use crate::model::id::OwnerId;
use crate::model::job::{Hold, ItemState, Priority, RetryPolicy, TimeLimits};
use crate::model::operation::Operation;
use crate::store::error::StoreError;
use crate::store::jobs::NewItem;
use crate::store::{Change, Tables};

/// What was done so far, as those outside know it.
struct Run {
    world: World,
    queues: [QueueName; 2],
    owners: [OwnerId; 2],
    /// How many items each job has that was accepted and not forgotten.
    accepted: BTreeMap<JobId, usize>,
    going: BTreeSet<JobId>,
    /// Every lease that was ever given, lost ones among them.
    hands: Vec<(ItemRef, Lease)>,
    /// Those of them that the present process has in hand.
    held: Vec<(ItemRef, Lease)>,
    number: u64,
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::new(),
            queues: ["default".parse().unwrap(), "default-2".parse().unwrap()],
            owners: [OwnerId::from_bits(1), OwnerId::from_bits(2)],
            accepted: BTreeMap::new(),
            going: BTreeSet::new(),
            hands: Vec::new(),
            held: Vec::new(),
            number: 0,
        }
    }

    async fn step(&mut self, step: Step) {
        let before = self.settled();
        let may_reopen = matches!(
            step,
            Step::Ask {
                asked: Asked::Retry,
                ..
            } | Step::DropDead { .. }
                | Step::Forget { .. }
        );
        self.take(step).await;
        Check {
            world: &self.world,
            queues: &self.queues,
            owners: &self.owners,
            going: &self.going,
        }
        .all();
        let after = self.settled();
        if !may_reopen {
            for (at, item) in before {
                assert_eq!(after.get(&at), Some(&item), "{at:?} had ended");
            }
        }
        let there: BTreeMap<_, _> = self
            .world
            .everything()
            .into_iter()
            .map(|(id, _, items)| (id, items.len()))
            .collect();
        for (id, items) in &self.accepted {
            assert!(there.contains_key(id), "{id} is lost");
            assert!(self.going.contains(id) || there[id] == *items, "{id} lost items");
        }
        assert_eq!(there.len(), self.accepted.len());
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Submit(new) => self.submit(&new).await,
            Step::Claim { queue, limit } => self.claim(queue, limit).await,
            Step::Settle { hand, ending } => {
                if let Some((at, lease)) = pick(&self.hands, hand) {
                    self.settle(at, lease, ending).await;
                }
            }
            Step::Answer { task, ending } => {
                if let Some((at, task)) = pick(&self.tasks(), task) {
                    self.world.settle(at, Holder::Task(task), ending.ending(0)).await;
                }
            }
            Step::TakeDue { reach } => {
                let taken = self.world.take_due().await;
                self.world.take_questions().await;
                for id in taken.into_iter().flat_map(|taken| taken.deadlines) {
                    if reach == Reach::Whole {
                        self.world.sweep(id, Sweeping::Deadline).await;
                    }
                }
            }
            Step::Renew => self.world.renew(self.hands.clone()).await,
            Step::GiveBack => self.world.give_back(std::mem::take(&mut self.held)).await,
            Step::Kill => {
                self.held.clear();
                self.world.restart().await;
                let running = |item: &Item| item.state == ItemState::Running;
                assert!(
                    !self.items().iter().any(|(_, item)| running(item)),
                    "a lease of an older process"
                );
            }
            Step::Ask { job, asked, reach } => {
                if let Some(id) = pick(&self.jobs(), job) {
                    self.ask(id, asked, reach).await;
                }
            }
            Step::DropDead { job } => {
                if let Some(id) = pick(&self.jobs(), job) {
                    self.world.sweep(id, Sweeping::DropDead).await;
                }
            }
            Step::Forget { job, rows } => {
                if let Some(id) = pick(&self.jobs(), job) {
                    self.forget(id, rows).await;
                }
            }
            Step::Pass { seconds } => self.world.pass(Duration::from_secs(seconds)),
        }
    }

    async fn submit(&mut self, new: &New) {
        self.number += 1;
        let now = self.world.clock.wall();
        let later = |seconds: Option<u64>| seconds.map(|seconds| now.plus(Duration::from_secs(seconds)));
        let not_before = later(new.delay).filter(|moment| *moment > now);
        let id = JobId::from_bits(u128::from(self.number) << 64 | u128::from(self.number % 7));
        let job = Job {
            priority: Priority::new(new.priority).unwrap(),
            not_before,
            deadline: later(new.deadline),
            retry: RetryPolicy {
                max_attempts: new.attempts,
                ..RetryPolicy::default()
            },
            limits: TimeLimits {
                task: 60,
                ..TimeLimits::default()
            },
            ..Job::new(
                self.owners[new.owner],
                self.queues[new.queue].clone(),
                new.items.into(),
                now,
            )
        };
        let items = (0..new.items).map(|_| NewItem {
            item: Item::new(Operation::Process, None, now, not_before),
            body: vec![7],
        });
        self.world
            .store
            .change(Insert {
                id,
                job,
                items: items.collect(),
                bell: self.world.bell.clone(),
            })
            .await
            .unwrap();
        self.accepted.insert(id, new.items.into());
    }

    async fn claim(&mut self, queue: usize, limit: usize) {
        let now = self.world.clock.wall();
        for leased in self.world.claim(&self.queues[queue], limit).await {
            let job = self.world.job(leased.at.job);
            assert!(job.is_runnable(), "{:?} was taken: {job:?}", leased.at);
            assert!(
                job.deadline.is_none_or(|deadline| deadline > now),
                "{:?} was taken late: {job:?}",
                leased.at
            );
            self.hands.push((leased.at, leased.lease));
            self.held.push((leased.at, leased.lease));
        }
    }

    /// What a worker says whose lease was lost changes nothing.
    async fn settle(&mut self, at: ItemRef, lease: Lease, ending: Came) {
        self.number += 1;
        let before = self
            .items()
            .into_iter()
            .find(|(found, _)| *found == at)
            .map(|(_, item)| item);
        self.world
            .settle(at, Holder::Worker(lease), ending.ending(self.number))
            .await;
        self.held.retain(|held| *held != (at, lease));
        let after = self
            .items()
            .into_iter()
            .find(|(found, _)| *found == at)
            .map(|(_, item)| item);
        if before.as_ref().and_then(|item| item.lease) != Some(lease) {
            assert_eq!(before, after, "a lost lease was heard");
        }
    }

    async fn ask(&mut self, id: JobId, asked: Asked, reach: Reach) {
        let going = self.going.contains(&id) && asked == Asked::Retry;
        if going || self.world.begin(id, asked).await.is_err() || reach == Reach::FirstCommit {
            return;
        }
        let sweeping = match asked {
            Asked::Cancel => Sweeping::Cancel,
            Asked::Retry => Sweeping::Retry,
            Asked::Hold => Sweeping::Hold(Hold::Held),
            Asked::Release => Sweeping::Hold(Hold::Free),
        };
        self.world.sweep(id, sweeping).await;
    }

    async fn forget(&mut self, id: JobId, rows: usize) {
        if !self.world.job(id).state.is_finished() {
            return;
        }
        let removed = self.world.store.change(Forget { id, rows }).await.unwrap();
        if removed < rows {
            self.accepted.remove(&id);
            self.going.remove(&id);
        } else {
            self.going.insert(id);
        }
    }

    /// Lets everything run to its end.
    async fn finish(&mut self) {
        for id in self.jobs() {
            self.ask(id, Asked::Release, Reach::Whole).await;
        }
        for _ in 0..200 {
            if self
                .world
                .everything()
                .iter()
                .all(|(_, job, _)| job.state.is_finished())
            {
                return;
            }
            self.take(Step::Pass { seconds: 61 }).await;
            self.take(Step::TakeDue { reach: Reach::Whole }).await;
            for queue in 0..2 {
                self.claim(queue, 64).await;
            }
            for (at, lease) in std::mem::take(&mut self.held) {
                self.settle(at, lease, Came::Succeeded).await;
            }
            for (at, task) in self.tasks() {
                self.world
                    .settle(at, Holder::Task(task), Came::Succeeded.ending(0))
                    .await;
            }
        }
        let stuck = self.world.everything();
        let stuck: Vec<_> = stuck.iter().filter(|(_, job, _)| !job.state.is_finished()).collect();
        panic!("these never end: {stuck:#?}");
    }

    fn jobs(&self) -> Vec<JobId> {
        self.accepted.keys().copied().collect()
    }

    fn items(&self) -> Vec<(ItemRef, Item)> {
        let of_job = |(id, _, items): (JobId, Job, Vec<(u32, Item)>)| {
            items
                .into_iter()
                .map(move |(index, item)| (ItemRef { job: id, index }, item))
        };
        self.world.everything().into_iter().flat_map(of_job).collect()
    }

    fn settled(&self) -> BTreeMap<ItemRef, Item> {
        self.items()
            .into_iter()
            .filter(|(_, item)| item.state.is_finished())
            .collect()
    }

    fn tasks(&self) -> Vec<(ItemRef, String)> {
        let polled = self
            .items()
            .into_iter()
            .filter(|(_, item)| item.state == ItemState::Polling);
        polled.filter_map(|(at, item)| Some((at, item.task?.task_id))).collect()
    }
}

fn pick<T: Clone>(from: &[T], index: Index) -> Option<T> {
    (!from.is_empty()).then(|| index.get(from).clone())
}

struct Insert {
    id: JobId,
    job: Job,
    items: Vec<NewItem>,
    bell: Bell,
}

impl Change for Insert {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let edit = tables.insert_job(self.id, self.job.clone(), &self.items)?;
        self.bell.close(tables, edit, &mut Vec::new())
    }
}

struct Forget {
    id: JobId,
    rows: usize,
}

impl Change for Forget {
    type Done = usize;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<usize, StoreError> {
        tables.forget_job(self.id, self.rows)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_every_step_each_index_and_count_is_what_a_scan_of_the_rows_says_and_every_job_ends(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.step(step).await;
            }
            run.finish().await;
        });
    }
}
