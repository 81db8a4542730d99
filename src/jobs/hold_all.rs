//! Holding everything that has not ended, because nobody knows how much of it was done already.

use super::JobError;
use super::Jobs;
use crate::model::id::JobId;
use crate::store::jobs;

impl Jobs {
    /// Holds every job that has not ended, until an operator releases it. Call it before [`Jobs::run`]. Running it again
    /// changes nothing. Returns how many there are.
    ///
    /// # Errors
    /// [`JobError::Store`]; some may then be held.
    ///
    /// # Cancel safety
    /// Dropped, some may be held.
    pub async fn hold_all(&self) -> Result<usize, JobError> {
        let (mut before, mut held) = (JobId::from_bits(u128::MAX), 0);
        loop {
            let page = self
                .store
                .read_aside(move |rows| jobs::latest(rows, before, PAGE))
                .await?;
            let Some((last, _)) = page.last() else { return Ok(held) };
            before = *last;
            for (id, job) in page {
                if !job.state.is_finished() {
                    self.hold(id).await?;
                    held += 1;
                }
            }
        }
    }
}

/// Jobs that are looked at in one read.
const PAGE: usize = 500;
