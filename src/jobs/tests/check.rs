//! What holds of the store of jobs at every moment: whatever is looked up is what a count of all rows says.

use std::collections::BTreeSet;

use super::{JobRows, World};
use crate::model::clock::{Clock, Timestamp};
use crate::model::id::{JobId, OwnerId};
use crate::model::job::queue::Standing;
use crate::model::job::{Hold, Item, ItemRef, ItemState, Job, JobState, QueueName, Tally};
use crate::store::Reader;
use crate::store::error::StoreError;
use crate::store::jobs::index::{self, Timer};
use crate::store::jobs::{event, item, queue};

/// The rows as they are, and what is known of them besides.
pub(super) struct Check<'a> {
    pub(super) world: &'a World,
    pub(super) queues: &'a [QueueName],
    pub(super) owners: &'a [OwnerId],
    /// Jobs that are being forgotten: some of their items are gone.
    pub(super) going: &'a BTreeSet<JobId>,
}

struct Rows {
    jobs: Vec<JobRows>,
}

impl Rows {
    fn items(&self) -> impl Iterator<Item = (&Job, ItemRef, &Item)> {
        self.jobs.iter().flat_map(|(id, job, items)| {
            let at = |index| ItemRef { job: *id, index };
            items.iter().map(move |(index, item)| (job, at(*index), item))
        })
    }
}

impl Rows {
    fn agree_on_what_ended(&self, reader: &mut Reader) -> Result<(), StoreError> {
        let ended = self
            .jobs
            .iter()
            .filter_map(|(id, job, _)| Some((job.finished_at?, *id)));
        let mut ended: Vec<_> = ended.collect();
        ended.sort_unstable();
        let ended: Vec<_> = ended.into_iter().map(|(_, id)| id).collect();
        assert_eq!(index::finished(reader)?, ended.len() as u64);
        let found = index::finished_before(reader, Timestamp::from_micros(i64::MAX), usize::MAX)?;
        assert_eq!(found, ended, "jobs that have ended");
        Ok(())
    }
}

impl Check<'_> {
    pub(super) fn all(&self) {
        let rows = Rows {
            jobs: self.world.everything(),
        };
        for (id, job, items) in &rows.jobs {
            self.job(*id, job, items);
        }
        for (_, at, item) in rows.items() {
            well_formed(at, item);
        }
        let store = &self.world.store;
        store.read(|reader| self.queues(&rows, reader)).unwrap();
        store.read(|reader| self.timers(&rows, reader)).unwrap();
        store.read(|reader| rows.agree_on_what_ended(reader)).unwrap();
        store.read(|reader| self.owned(&rows, reader)).unwrap();
    }

    /// A job follows from its items, and its events are numbered without a gap.
    fn job(&self, id: JobId, job: &Job, items: &[(u32, Item)]) {
        if !self.going.contains(&id) {
            let mut tally = Tally::queued(u32::try_from(items.len()).unwrap());
            for (_, item) in items {
                tally.moved(ItemState::Queued, item.state);
            }
            assert_eq!(job.tally, tally, "{id}");
            let read = |rows: &mut Reader| event::after(rows, id, 0, usize::MAX);
            let events = self.world.store.read(read).unwrap();
            let numbers: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
            let expected: Vec<u64> = (1..=job.last_event).collect();
            assert_eq!(numbers, expected, "{id}");
        }
        assert_eq!(job.state, job.present_state(), "{id}");
        assert_eq!(job.finished_at.is_some(), job.state.is_finished(), "{id}");
    }

    fn queues(&self, rows: &Rows, reader: &mut Reader) -> Result<(), StoreError> {
        for name in self.queues {
            let mine = |job: &Job| job.queue == *name;
            let mut ready: Vec<_> = rows
                .items()
                .filter(|(job, _, item)| mine(job) && Standing::of(item) == Standing::Ready)
                .map(|(job, at, item)| ((9 - job.priority.number(), item.queued_at, at), at))
                .collect();
            ready.sort_unstable();
            let ready: Vec<_> = ready.into_iter().map(|(_, at)| at).collect();
            assert_eq!(index::ready(reader, name, usize::MAX)?, ready, "ready in {name}");

            let dead = rows.items().filter(|(_, _, item)| item.state == ItemState::Dead);
            let mut dead: Vec<_> = dead.filter(|(job, ..)| mine(job)).map(|(_, at, _)| at).collect();
            dead.sort_unstable();
            assert_eq!(
                index::dead_letters(reader, name, None, usize::MAX)?,
                dead,
                "dead in {name}"
            );

            let row = queue::get(reader, name)?;
            for standing in Standing::ALL {
                let items = rows.items();
                let number = items.filter(|(job, _, item)| mine(job) && Standing::of(item) == standing);
                assert_eq!(row.of(standing), number.count() as u64, "{standing:?} in {name}");
            }
            assert_eq!(row.backlog(), row.enqueued - row.taken, "backlog of {name}");

            for state in JobState::ALL {
                let jobs = rows.jobs.iter().filter(|(_, job, _)| mine(job) && job.state == state);
                let jobs: Vec<_> = jobs.map(|(id, ..)| *id).collect();
                let found = index::in_state(reader, name, state, JobId::from_bits(u128::MAX), usize::MAX)?;
                assert_eq!(found, jobs, "{state:?} in {name}");
            }
        }
        Ok(())
    }

    /// What waits for a moment is due then, in the order of the moments. A deadline that has passed may have been taken.
    fn timers(&self, rows: &Rows, reader: &mut Reader) -> Result<(), StoreError> {
        let now = self.world.clock.wall();
        let timer_of = |item: &Item| match item.state {
            ItemState::Polling => Timer::Question,
            _ => Timer::Item,
        };
        for timer in [Timer::Item, Timer::Question] {
            let items = rows.items().filter(|(_, _, item)| {
                timer_of(item) == timer && (item.hold == Hold::Free || item.state != ItemState::Queued)
            });
            let mut waiting: Vec<_> = items.filter_map(|(_, at, item)| Some((item.wake_at?, at))).collect();
            waiting.sort_unstable();
            let waiting: Vec<_> = waiting.into_iter().map(|(_, at)| at).collect();
            assert_eq!(due(reader, timer)?, waiting, "{timer:?}");
        }
        let has_passed = |id: JobId| {
            let job = rows.jobs.iter().find(|(found, ..)| *found == id);
            job.and_then(|(_, job, _)| job.deadline)
                .is_some_and(|deadline| deadline <= now)
        };
        let open = rows.jobs.iter().filter(|(_, job, _)| !job.state.is_finished());
        let mut deadlines: Vec<_> = open.filter_map(|(id, job, _)| Some((job.deadline?, *id))).collect();
        deadlines.sort_unstable();
        let deadlines: Vec<_> = deadlines
            .into_iter()
            .map(|(_, id)| id)
            .filter(|id| !has_passed(*id))
            .collect();
        let found = due(reader, Timer::Deadline)?.into_iter().map(|at| at.job);
        let found: Vec<_> = found.filter(|id| !has_passed(*id)).collect();
        assert_eq!(found, deadlines, "deadlines");
        Ok(())
    }

    fn owned(&self, rows: &Rows, reader: &mut Reader) -> Result<(), StoreError> {
        for owner in self.owners {
            let theirs = rows.jobs.iter().filter(|(_, job, _)| job.owner == *owner);
            let theirs: Vec<_> = theirs.map(|(id, ..)| *id).collect();
            let found = index::of_owner(reader, *owner, JobId::from_bits(u128::MAX), usize::MAX)?;
            assert_eq!(found, theirs, "jobs of {owner}");
        }
        for (_, at, _) in rows.items() {
            assert!(item::body(reader, at)?.is_some(), "{at:?} has no body");
        }
        Ok(())
    }
}

fn due(reader: &mut Reader, timer: Timer) -> Result<Vec<ItemRef>, StoreError> {
    let found = index::due(reader, timer, Timestamp::from_micros(i64::MAX), None, usize::MAX)?;
    Ok(found.into_iter().map(|(_, at)| at).collect())
}

/// An item has what its state needs, and nothing else.
fn well_formed(at: ItemRef, item: &Item) {
    let is_running = item.state == ItemState::Running;
    assert_eq!(item.lease.is_some(), is_running, "{at:?}: {item:?}");
    match item.state {
        ItemState::Running => assert!(item.wake_at.is_some(), "{at:?}: {item:?}"),
        ItemState::Polling => assert!(item.wake_at.is_some() && item.task.is_some(), "{at:?}: {item:?}"),
        ItemState::Queued => {}
        _ => assert!(item.wake_at.is_none(), "{at:?}: {item:?}"),
    }
    assert_eq!(item.finished_at.is_some(), item.state.is_finished(), "{at:?}: {item:?}");
}
