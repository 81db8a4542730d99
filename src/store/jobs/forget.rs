//! Forgetting a job that ended long ago, a little at a time.

use redb::ReadableTable;

use super::super::error::StoreError;
use super::super::tables::Tables;
use super::index::{dead_key, finished_key, item_key, numbered_key, owner_key, state_key};
use super::{get, item, key, queue};
use crate::model::id::JobId;
use crate::model::job::queue::Standing;
use crate::model::job::{ItemRef, ItemState};

impl Tables<'_> {
    /// Removes up to `limit` rows of a job, and its own row with the last of them. Returns how many it removed; fewer than
    /// `limit` when the job is gone. A job that has not ended stays.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn forget_job(&mut self, id: JobId, limit: usize) -> Result<usize, StoreError> {
        let Some(job) = get(self.view(), id)?.filter(|job| job.state.is_finished()) else {
            return Ok(0);
        };
        let mut removed = self.forget_lines(id, limit)?;
        if removed >= limit {
            return Ok(removed);
        }
        let items = item::of_job(self.view(), id, 0, limit - removed)?;
        let mut row = queue::get(self.view(), &job.queue)?;
        for (index, item) in &items {
            let at = ItemRef { job: id, index: *index };
            self.opened().job_items()?.remove(item_key(at))?;
            self.opened().job_bodies()?.remove(item_key(at))?;
            self.opened().job_results()?.remove(item_key(at))?;
            if item.state == ItemState::Dead {
                let key = dead_key(&job.queue, at);
                self.opened().dead_letters()?.remove(key.as_slice())?;
            }
            row.moved(Some(Standing::of(item)), None, 1);
        }
        if !items.is_empty() {
            self.put_queue(&job.queue, &row)?;
        }
        removed += items.len();
        if removed >= limit {
            return Ok(removed);
        }
        let state = state_key(&job.queue, job.state, id);
        self.opened().jobs_by_state()?.remove(state.as_slice())?;
        self.opened().jobs_by_owner()?.remove(owner_key(job.owner, id))?;
        if let Some(at) = job.finished_at {
            self.opened().jobs_finished()?.remove(finished_key(at, id))?;
        }
        if let Some(digest) = job.idempotency
            && key::get(self.view(), &digest)?.is_some_and(|usage| usage.job == id)
        {
            self.opened().job_keys()?.remove(&digest)?;
        }
        self.opened().jobs()?.remove(id.bits().to_be_bytes())?;
        Ok(removed)
    }

    /// Removes up to `limit` events and log lines.
    fn forget_lines(&mut self, id: JobId, limit: usize) -> Result<usize, StoreError> {
        let range = || numbered_key(id, 0)..=numbered_key(id, u64::MAX);
        let mut keys = Vec::new();
        for row in self.opened().job_events()?.range(range())?.take(limit) {
            keys.push(row?.0.value());
        }
        let events = keys.len();
        for row in self.opened().job_logs()?.range(range())?.take(limit - events) {
            keys.push(row?.0.value());
        }
        for (number, key) in keys.iter().enumerate() {
            if number < events {
                self.opened().job_events()?.remove(key)?;
            } else {
                self.opened().job_logs()?.remove(key)?;
            }
        }
        Ok(keys.len())
    }
}
