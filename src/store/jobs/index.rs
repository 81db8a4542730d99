//! The keys of the indexes, and what is found by them.

use std::ops::Bound;

use redb::ReadableTable;

use super::super::error::StoreError;
use super::super::schema::{Reader, Rows};
use crate::model::clock::Timestamp;
use crate::model::id::{JobId, OwnerId};
use crate::model::job::{Hold, Item, ItemRef, ItemState, Job, JobState, QueueName};

/// What is due at moments, each kind in an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Waits of items that end, and leases that do.
    Item,
    /// Questions about tasks.
    Question,
    /// Deadlines of jobs; the item's position is 0.
    Deadline,
}

/// A place among what is due, to go on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuePlace([u8; 29]);

/// Up to `limit` jobs of an owner's, newest first, those before `before` only.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn of_owner(rows: &mut impl Rows, owner: OwnerId, before: JobId, limit: usize) -> Result<Vec<JobId>, StoreError> {
    let range = owner_key(owner, JobId::from_bits(0))..owner_key(owner, before);
    rows.jobs_by_owner()?
        .range(range)?
        .rev()
        .take(limit)
        .map(|row| Ok(last_job(&row?.0.value())))
        .collect()
}

/// Up to `limit` jobs of an owner's, oldest first, those after `after` only.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn of_owner_rising(
    rows: &mut impl Rows,
    owner: OwnerId,
    after: JobId,
    limit: usize,
) -> Result<Vec<JobId>, StoreError> {
    let to = owner_key(owner, JobId::from_bits(u128::MAX));
    rows.jobs_by_owner()?
        .range((Bound::Excluded(owner_key(owner, after)), Bound::Included(to)))?
        .take(limit)
        .map(|row| Ok(last_job(&row?.0.value())))
        .collect()
}

/// Up to `limit` jobs of a queue in a state, newest first, those before `before` only.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn in_state(
    rows: &mut impl Rows,
    queue: &QueueName,
    state: JobState,
    before: JobId,
    limit: usize,
) -> Result<Vec<JobId>, StoreError> {
    let (from, to) = (
        state_key(queue, state, JobId::from_bits(0)),
        state_key(queue, state, before),
    );
    rows.jobs_by_state()?
        .range::<&[u8]>(from.as_slice()..to.as_slice())?
        .rev()
        .take(limit)
        .map(|row| Ok(last_job(row?.0.value())))
        .collect()
}

/// Up to `limit` items of a queue that may be taken, in the order in which they are.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn ready(rows: &mut impl Rows, queue: &QueueName, limit: usize) -> Result<Vec<ItemRef>, StoreError> {
    let (from, to) = queue_bounds(queue);
    rows.job_ready()?
        .range::<&[u8]>(from.as_slice()..to.as_slice())?
        .take(limit)
        .map(|row| Ok(last_item(row?.0.value())))
        .collect()
}

/// Since when the item of a queue waits that has waited longest of those that may be taken.
///
/// Within a priority they are in that order, so it looks at the first of each.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn oldest_ready(rows: &mut impl Rows, queue: &QueueName) -> Result<Option<Timestamp>, StoreError> {
    let mut oldest = None;
    let prefix = queue_prefix(queue);
    for turned in 0..=9_u8 {
        let from = [prefix.as_slice(), &[turned]].concat();
        let to = [prefix.as_slice(), &[turned + 1]].concat();
        let first = rows
            .job_ready()?
            .range::<&[u8]>(from.as_slice()..to.as_slice())?
            .next()
            .transpose()?;
        let since = first.and_then(|(key, _)| key.value().get(from.len()..)?.first_chunk::<8>().copied());
        let since = since.map(|bytes| Timestamp::from_micros(i64::from_be_bytes(bytes)));
        oldest = match (oldest, since) {
            (Some(a), Some(b)) => Some(std::cmp::min(a, b)),
            (a, b) => a.or(b),
        };
    }
    Ok(oldest)
}

/// Up to `limit` dead letters behind `after`, of one queue.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn dead_letters(
    rows: &mut impl Rows,
    queue: &QueueName,
    after: Option<ItemRef>,
    limit: usize,
) -> Result<Vec<ItemRef>, StoreError> {
    let (from, to) = queue_bounds(queue);
    let from = after.map_or(from, |after| dead_key(queue, after));
    let range = (Bound::Excluded(from.as_slice()), Bound::Excluded(to.as_slice()));
    rows.dead_letters()?
        .range::<&[u8]>(range)?
        .take(limit)
        .map(|row| Ok(last_item(row?.0.value())))
        .collect()
}

/// Up to `limit` things of a kind that are due until a moment, earliest first, those behind a place only.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn due(
    rows: &mut impl Rows,
    timer: Timer,
    until: Timestamp,
    behind: Option<DuePlace>,
    limit: usize,
) -> Result<Vec<(DuePlace, ItemRef)>, StoreError> {
    let from = behind.map_or(Bound::Included(timer.bounds().0), |place| Bound::Excluded(place.0));
    let mut end = [0xff; 29];
    write(&mut end, 0, &[timer as u8]);
    write(&mut end, 1, &moment(until));
    rows.job_timers()?
        .range::<[u8; 29]>((from, Bound::Included(end)))?
        .take(limit)
        .map(|row| {
            let key = row?.0.value();
            Ok((DuePlace(key), last_item(&key)))
        })
        .collect()
}

/// When something of a kind is due next.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn next_due(rows: &mut impl Rows, timer: Timer) -> Result<Option<Timestamp>, StoreError> {
    let (from, to) = timer.bounds();
    let first = rows.job_timers()?.range(from..=to)?.next().transpose()?;
    Ok(first.and_then(|(key, _)| {
        let micros = key.value().get(1..)?.first_chunk::<8>().copied()?;
        Some(Timestamp::from_micros(i64::from_be_bytes(micros)))
    }))
}

impl Timer {
    /// Every key of its kind lies between these.
    fn bounds(self) -> ([u8; 29], [u8; 29]) {
        let (mut from, mut to) = ([0; 29], [0xff; 29]);
        write(&mut from, 0, &[self as u8]);
        write(&mut to, 0, &[self as u8]);
        (from, to)
    }
}

/// Up to `limit` jobs that ended before a moment, the earliest first.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn finished_before(rows: &mut impl Rows, before: Timestamp, limit: usize) -> Result<Vec<JobId>, StoreError> {
    let end = finished_key(before, JobId::from_bits(0));
    rows.jobs_finished()?
        .range(..end)?
        .take(limit)
        .map(|row| Ok(last_job(&row?.0.value())))
        .collect()
}

/// How many jobs have ended and are still kept.
///
/// # Errors
/// [`StoreError`] when the file fails.
pub fn finished(rows: &mut Reader) -> Result<u64, StoreError> {
    rows.finished_jobs()
}

pub(super) fn owner_key(owner: OwnerId, id: JobId) -> [u8; 24] {
    let mut key = [0; 24];
    write(&mut key, 0, &owner.bits().to_be_bytes());
    write(&mut key, 8, &id.bits().to_be_bytes());
    key
}

pub(super) fn finished_key(at: Timestamp, id: JobId) -> [u8; 24] {
    let mut key = [0; 24];
    write(&mut key, 0, &moment(at));
    write(&mut key, 8, &id.bits().to_be_bytes());
    key
}

pub(super) fn state_key(queue: &QueueName, state: JobState, id: JobId) -> Vec<u8> {
    let mut key = queue_prefix(queue);
    key.push(state.code());
    key.extend_from_slice(&id.bits().to_be_bytes());
    key
}

pub(super) fn dead_key(queue: &QueueName, at: ItemRef) -> Vec<u8> {
    let mut key = queue_prefix(queue);
    key.extend_from_slice(&item_key(at));
    key
}

/// Where an item stands in the line of its queue, if it may be taken.
pub(super) fn ready_key(job: &Job, at: ItemRef, item: &Item) -> Option<Vec<u8>> {
    let may_be_taken = item.state == ItemState::Queued && item.hold == Hold::Free && item.wake_at.is_none();
    may_be_taken.then(|| {
        let mut key = queue_prefix(&job.queue);
        key.push(9 - job.priority.number().min(9));
        key.extend_from_slice(&moment(item.queued_at));
        key.extend_from_slice(&item_key(at));
        key
    })
}

/// When something is due for an item, if it is.
pub(super) fn timer_key(at: ItemRef, item: &Item) -> Option<[u8; 29]> {
    let timer = match item.state {
        ItemState::Queued if item.hold == Hold::Held => return None,
        ItemState::Queued | ItemState::Running => Timer::Item,
        ItemState::Polling => Timer::Question,
        _ => return None,
    };
    item.wake_at.map(|when| due_key(timer, when, at))
}

pub(super) fn deadline_key(when: Timestamp, id: JobId) -> [u8; 29] {
    due_key(Timer::Deadline, when, ItemRef { job: id, index: 0 })
}

pub(super) fn item_key(at: ItemRef) -> [u8; 20] {
    let mut key = [0; 20];
    write(&mut key, 0, &at.job.bits().to_be_bytes());
    write(&mut key, 16, &at.index.to_be_bytes());
    key
}

pub(super) fn numbered_key(id: JobId, number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    write(&mut key, 0, &id.bits().to_be_bytes());
    write(&mut key, 16, &number.to_be_bytes());
    key
}

fn due_key(timer: Timer, when: Timestamp, at: ItemRef) -> [u8; 29] {
    let mut key = [0; 29];
    write(&mut key, 0, &[timer as u8]);
    write(&mut key, 1, &moment(when));
    write(&mut key, 9, &item_key(at));
    key
}

fn queue_prefix(queue: &QueueName) -> Vec<u8> {
    let mut key = Vec::with_capacity(queue.as_str().len() + 30);
    key.extend_from_slice(queue.as_str().as_bytes());
    key.push(0);
    key
}

/// Every key of a queue lies between these.
fn queue_bounds(queue: &QueueName) -> (Vec<u8>, Vec<u8>) {
    let from = queue_prefix(queue);
    let mut to = from.clone();
    to.pop();
    to.push(1);
    (from, to)
}

/// A moment before the epoch counts as the epoch: numbers must sort as bytes.
fn moment(at: Timestamp) -> [u8; 8] {
    at.as_micros().max(0).to_be_bytes()
}

fn write(key: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in key.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

fn last_job(key: &[u8]) -> JobId {
    JobId::from_bits(u128::from_be_bytes(key.last_chunk().copied().unwrap_or_default()))
}

pub(super) fn last_item(key: &[u8]) -> ItemRef {
    let (job, index) = key
        .last_chunk::<20>()
        .and_then(|key| key.split_first_chunk::<16>())
        .map_or(([0; 16], [0; 4]), |(job, index)| {
            (*job, index.first_chunk().copied().unwrap_or_default())
        });
    ItemRef {
        job: JobId::from_bits(u128::from_be_bytes(job)),
        index: u32::from_be_bytes(index),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::job::Priority;
    use crate::model::job::queue::QueueMode;
    use crate::model::operation::Operation;

    proptest! {
        #[test]
        fn what_is_due_reads_back_and_sorts_by_its_moment(a: (u32, u128, u32), b: (u32, u128, u32)) {
            let at = |(_, job, index): (u32, u128, u32)| ItemRef { job: JobId::from_bits(job), index };
            let key = |due: (u32, u128, u32)| due_key(Timer::Item, Timestamp::from_seconds(i64::from(due.0)), at(due));
            prop_assert_eq!(last_item(&key(a)), at(a));
            prop_assert_eq!(key(a).cmp(&key(b)), (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
        }
    }

    #[test]
    fn a_queue_whose_name_begins_with_anothers_has_its_own_range() {
        let (a, b): (QueueName, QueueName) = ("media".parse().unwrap(), "media-2".parse().unwrap());
        let (from, to) = queue_bounds(&a);
        let other = dead_key(
            &b,
            ItemRef {
                job: JobId::from_bits(1),
                index: 0,
            },
        );
        assert!(!(from..to).contains(&other));
        assert_eq!(QueueMode::default(), QueueMode::Open);
        assert_eq!(Priority::default().number(), 5);
        let item = Item::new(Operation::Process, None, Timestamp::EPOCH, None);
        assert_eq!(item.state, ItemState::Queued);
    }
}
