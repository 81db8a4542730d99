//! Changing a job and its items: rows, indexes, counts and events together.

use super::super::codec;
use super::super::error::StoreError;
use super::super::tables::Tables;
use super::index::{dead_key, deadline_key, finished_key, item_key, owner_key, ready_key, state_key, timer_key};
use super::{TABLE, get, item, queue};
use crate::model::id::JobId;
use crate::model::job::event::{Happening, JobEvent};
use crate::model::job::queue::Standing;
use crate::model::job::{Item, ItemRef, ItemState, Job, JobState};

/// A job that is being changed within one write. It must be closed, or its items' rows and its own disagree.
#[must_use]
pub struct Edit {
    id: JobId,
    before: Option<JobState>,
    /// The job as it will be. Its tally, its state and the times of its start and end follow from its items.
    pub job: Job,
    moves: Vec<(Option<Standing>, Option<Standing>, u64)>,
}

/// A new item and what it asks, sealed.
pub struct NewItem {
    /// The item.
    pub item: Item,
    /// What it asks.
    pub body: Vec<u8>,
}

/// A job after a change.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The job.
    pub job: Job,
    /// Whether this change ended it.
    pub ended: Ended,
}

/// Whether a change ended its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did: whoever waits for that is to be told, once.
    Now,
    /// It did not, or the job had ended before.
    No,
}

impl Edit {
    /// Which job it is.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.id
    }
}

impl Tables<'_> {
    /// Writes a new job with its items. It is there once it is closed.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be written.
    pub fn insert_job(&mut self, id: JobId, job: Job, items: &[NewItem]) -> Result<Edit, StoreError> {
        self.opened()
            .jobs_by_owner()?
            .insert(owner_key(job.owner, id), [].as_slice())?;
        let mut edit = Edit {
            id,
            before: None,
            job,
            moves: Vec::new(),
        };
        for (index, new) in (0..).zip(items) {
            let at = ItemRef { job: id, index };
            self.opened().job_bodies()?.insert(item_key(at), new.body.as_slice())?;
            self.place_item(&mut edit, at, None, &new.item)?;
        }
        Ok(edit)
    }

    /// Takes away a job's deadline from what is due: it has come.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn drop_deadline(&mut self, id: JobId) -> Result<(), StoreError> {
        if let Some(deadline) = get(self.view(), id)?.and_then(|job| job.deadline) {
            self.opened().job_timers()?.remove(deadline_key(deadline, id))?;
        }
        Ok(())
    }

    /// Begins to change a job, if it is there.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be read.
    pub fn edit_job(&mut self, id: JobId) -> Result<Option<Edit>, StoreError> {
        Ok(get(self.view(), id)?.map(|job| Edit {
            id,
            before: Some(job.state),
            job,
            moves: Vec::new(),
        }))
    }

    /// Changes one of its items, and tells of it in an event if its state changed. Returns the item as it is then, or
    /// nothing if there is none.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn edit_item(
        &mut self,
        edit: &mut Edit,
        index: u32,
        change: impl FnOnce(&mut Item),
    ) -> Result<Option<Item>, StoreError> {
        let at = ItemRef { job: edit.id, index };
        let Some(before) = item::get(self.view(), at)? else {
            return Ok(None);
        };
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(Some(after));
        }
        edit.job.tally.moved(before.state, after.state);
        self.place_item(edit, at, Some(&before), &after)?;
        if after.state != before.state {
            let what = Happening::Item {
                index,
                state: after.state,
                attempts: after.attempts,
                error: after.error.as_ref().map(|error| error.code.clone()),
            };
            self.tell_of_job(edit, what)?;
        }
        Ok(Some(after))
    }

    /// Adds an event to a job's stream.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn tell_of_job(&mut self, edit: &mut Edit, what: Happening) -> Result<(), StoreError> {
        edit.job.last_event += 1;
        let event = JobEvent {
            at: self.now(),
            what,
            tally: edit.job.tally,
        };
        self.put_event(edit.id, edit.job.last_event, &event)
    }

    /// Ends a change: the job's state follows from its items, its indexes and its queue's counts from that.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn close_job(&mut self, mut edit: Edit) -> Result<Closed, StoreError> {
        let now = self.now();
        let state = edit.job.present_state();
        let was = edit.before;
        if edit.job.started_at.is_none() && edit.job.tally.has_begun() {
            edit.job.started_at = Some(now);
        }
        if was != Some(state) {
            self.move_job(&mut edit, state)?;
        }
        if !edit.moves.is_empty() {
            let mut row = queue::get(self.view(), &edit.job.queue)?;
            for (from, to, items) in edit.moves.drain(..) {
                row.moved(from, to, items);
            }
            self.put_queue(&edit.job.queue, &row)?;
        }
        let value = codec::encode(TABLE, &edit.job)?;
        self.opened()
            .jobs()?
            .insert(edit.id.bits().to_be_bytes(), value.as_slice())?;
        let ended = if state.is_finished() && !was.is_some_and(JobState::is_finished) {
            Ended::Now
        } else {
            Ended::No
        };
        Ok(Closed { job: edit.job, ended })
    }

    /// Brings a job into another state, with the rows that follow from it.
    fn move_job(&mut self, edit: &mut Edit, state: JobState) -> Result<(), StoreError> {
        let (id, now) = (edit.id, self.now());
        if let Some(was) = edit.before {
            let key = state_key(&edit.job.queue, was, id);
            self.opened().jobs_by_state()?.remove(key.as_slice())?;
        }
        let key = state_key(&edit.job.queue, state, id);
        self.opened().jobs_by_state()?.insert(key.as_slice(), [].as_slice())?;
        if let Some(finished_at) = edit.job.finished_at.take() {
            self.opened().jobs_finished()?.remove(finished_key(finished_at, id))?;
        }
        if let Some(deadline) = edit.job.deadline {
            let key = deadline_key(deadline, id);
            if state.is_finished() {
                self.opened().job_timers()?.remove(key)?;
            } else {
                self.opened().job_timers()?.insert(key, [].as_slice())?;
            }
        }
        if state.is_finished() {
            edit.job.finished_at = Some(now);
            self.opened()
                .jobs_finished()?
                .insert(finished_key(now, id), [].as_slice())?;
        }
        edit.job.state = state;
        self.tell_of_job(edit, Happening::Job(state))
    }

    /// Writes an item's row and what follows from it.
    fn place_item(
        &mut self,
        edit: &mut Edit,
        at: ItemRef,
        before: Option<&Item>,
        after: &Item,
    ) -> Result<(), StoreError> {
        let value = codec::encode(item::ITEMS, after)?;
        self.opened().job_items()?.insert(item_key(at), value.as_slice())?;
        let (was, is) = (
            before.and_then(|before| ready_key(&edit.job, at, before)),
            ready_key(&edit.job, at, after),
        );
        if was != is {
            if let Some(key) = was {
                self.opened().job_ready()?.remove(key.as_slice())?;
            }
            if let Some(key) = is {
                self.opened().job_ready()?.insert(key.as_slice(), [].as_slice())?;
            }
        }
        let (was, is) = (before.and_then(|before| timer_key(at, before)), timer_key(at, after));
        if was != is {
            if let Some(key) = was {
                self.opened().job_timers()?.remove(key)?;
            }
            if let Some(key) = is {
                self.opened().job_timers()?.insert(key, [].as_slice())?;
            }
        }
        let dead = |item: &Item| item.state == ItemState::Dead;
        match (before.is_some_and(dead), dead(after)) {
            (false, true) => {
                let key = dead_key(&edit.job.queue, at);
                self.opened().dead_letters()?.insert(key.as_slice(), [].as_slice())?;
            }
            (true, false) => {
                let key = dead_key(&edit.job.queue, at);
                self.opened().dead_letters()?.remove(key.as_slice())?;
            }
            _ => {}
        }
        edit.count(before.map(Standing::of), Some(Standing::of(after)));
        Ok(())
    }
}

impl Edit {
    /// Counts one item; neighbours that moved alike are counted together.
    fn count(&mut self, from: Option<Standing>, to: Option<Standing>) {
        match self.moves.last_mut() {
            _ if from == to => {}
            Some((last_from, last_to, items)) if (*last_from, *last_to) == (from, to) => *items += 1,
            _ => self.moves.push((from, to, 1)),
        }
    }
}
