//! Which jobs are asked for. They are found by the indexes: no filter walks the table.

use crate::model::id::{JobId, OwnerId};
use crate::model::job::{Item, ItemState, Job, JobState, QueueName};
use crate::store::Rows;
use crate::store::error::StoreError;
use crate::store::jobs::{self, index, item, queue};

/// Which jobs are asked for; every part that is there must fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Where they wait.
    pub(super) queue: Option<QueueName>,
    /// How they stand.
    pub(super) state: Option<JobState>,
    /// Whose they are.
    pub(super) owner: Option<OwnerId>,
}

/// What was found, and where to go on if there is more.
type Page<T, P> = (Vec<T>, Option<P>);

/// Up to `limit` jobs, newest first, and where to go on: those before it.
///
/// Of an owner with another filter it looks at no more than [`SCAN`] jobs, so a rare state may give a short page with a
/// place to go on.
pub(super) fn jobs(
    rows: &mut impl Rows,
    filter: &Filter,
    before: JobId,
    limit: usize,
) -> Result<Page<(JobId, Job), JobId>, StoreError> {
    let ids = match filter {
        Filter { owner: Some(owner), .. } => index::of_owner(rows, *owner, before, limit.max(SCAN) + 1)?,
        Filter {
            queue: None,
            state: None,
            ..
        } => {
            let mut found = jobs::latest(rows, before, limit + 1)?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|(id, _)| *id);
            return Ok((found, next));
        }
        Filter { queue, state, .. } => merged(rows, queue.as_ref(), *state, before, limit + 1)?,
    };
    let mut found = Vec::new();
    let mut last = None;
    for (seen, id) in ids.into_iter().enumerate() {
        if found.len() == limit || seen == limit.max(SCAN) {
            return Ok((found, last));
        }
        last = Some(id);
        if let Some(job) = jobs::get(rows, id)?.filter(|job| filter.fits(job)) {
            found.push((id, job));
        }
    }
    Ok((found, None))
}

/// The newest of each queue and state that may fit, in one line. There are few of both.
fn merged(
    rows: &mut impl Rows,
    queue: Option<&QueueName>,
    state: Option<JobState>,
    before: JobId,
    limit: usize,
) -> Result<Vec<JobId>, StoreError> {
    let queues = match queue {
        Some(queue) => vec![queue.clone()],
        None => queue::all(rows)?.into_iter().map(|(name, _)| name).collect(),
    };
    let mut ids = Vec::new();
    for queue in &queues {
        for state in JobState::ALL
            .into_iter()
            .filter(|one| state.is_none_or(|state| state == *one))
        {
            ids.extend(index::in_state(rows, queue, state, before, limit)?);
        }
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.truncate(limit);
    Ok(ids)
}

impl Filter {
    fn fits(&self, job: &Job) -> bool {
        self.queue.as_ref().is_none_or(|queue| *queue == job.queue)
            && self.state.is_none_or(|state| state == job.state)
            && self.owner.is_none_or(|owner| owner == job.owner)
    }
}

/// Up to `limit` items of a job from a position on, in a state or in any, and where to go on. It looks at no more than
/// [`SCAN`] of them.
pub(super) fn items(
    rows: &mut impl Rows,
    job: JobId,
    state: Option<ItemState>,
    from: u32,
    limit: usize,
) -> Result<Page<(u32, Item), u32>, StoreError> {
    let mut found = Vec::new();
    let looked_at = item::of_job(rows, job, from, SCAN + 1)?;
    for (seen, (index, item)) in looked_at.into_iter().enumerate() {
        if found.len() == limit || seen == SCAN {
            return Ok((found, Some(index)));
        }
        if state.is_none_or(|state| state == item.state) {
            found.push((index, item));
        }
    }
    Ok((found, None))
}

/// Most rows that one filtered page looks at.
const SCAN: usize = 1000;

/// Every job comes before it.
pub(super) const NEWEST: JobId = JobId::from_bits(u128::MAX);
