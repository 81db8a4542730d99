//! Asking a finished task again: the URLs that it told die before what they lead to.

use super::poll::{RETURN_URL, query_of, result_lives};
use super::{JobError, Jobs, Results, Viewer};
use crate::model::clock::Timestamp;
use crate::model::job::{ItemRef, ItemState};
use crate::model::reply::Reply;
use crate::model::task::TaskState;
use crate::relay::error::RelayError;
use crate::relay::inquiry::Inquiry;
use crate::relay::meaning::Meaning;
use crate::relay::{Answer, Content};
use crate::store::error::StoreError;
use crate::store::{Change, Tables, Urgency};

/// Why a finished task told nothing new.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The job is not there, or cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The provider keeps it no longer, or there never was a task.
    #[error("the provider no longer keeps what was made")]
    Gone,
    /// The provider could not be asked, or did not say.
    #[error("the provider could not be asked")]
    Unanswered(#[source] Option<RelayError>),
}

impl Jobs {
    /// What the task of an item that succeeded tells now. It is kept in the place of what it told before.
    ///
    /// # Errors
    /// [`RefreshError`]; what it told before is still kept then.
    ///
    /// # Cancel safety
    /// Dropped, what was told may be kept all the same.
    pub async fn refresh(&self, viewer: Viewer, at: ItemRef) -> Result<Reply, RefreshError> {
        let job = self.get(viewer, at.job).await?;
        let reports = self.items(viewer, at.job, at.index, 1, Results::LeftOut).await?;
        let report = reports.into_iter().find(|report| report.index == at.index);
        let item = report.map(|report| report.item).ok_or(JobError::NotFound)?;
        let query = query_of(&item);
        let task = item.task.filter(|_| item.state == ItemState::Succeeded);
        let inquiry = Inquiry {
            owner: job.owner,
            submit: item.operation,
            req_key: item.model,
            task_id: task.ok_or(RefreshError::Gone)?.task_id,
            req_json: Some(RETURN_URL.to_owned()),
        };
        let reply = match self.relay.inquire(inquiry).await {
            Ok(Answer {
                content: Content::Whole(reply),
                ..
            }) => reply,
            Ok(_) => return Err(RefreshError::Unanswered(None)),
            Err(cause) => return Err(RefreshError::Unanswered(Some(cause))),
        };
        let now = self.clock.wall();
        match Meaning::of(query, &reply, now).state {
            Some(TaskState::Done) => {}
            Some(TaskState::NotFound | TaskState::Expired | TaskState::Cancelled | TaskState::Failed) => {
                return Err(RefreshError::Gone);
            }
            _ => return Err(RefreshError::Unanswered(None)),
        }
        let renew = Renew {
            at,
            sealed: self.vault.seal_result(at, &reply)?,
            expires_at: result_lives(&reply.body).map(|lives| now.plus(lives)),
        };
        if let Err(error) = self.store.change(renew).await {
            // Whoever asks next asks the provider again: that is free.
            tracing::warn!(error = %error, job = %at.job, "what a task told again could not be kept");
        }
        Ok(Reply::clone(&reply))
    }
}

struct Renew {
    at: ItemRef,
    sealed: Vec<u8>,
    expires_at: Option<Timestamp>,
}

impl Change for Renew {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let Some(mut edit) = tables.edit_job(self.at.job)? else {
            return Ok(());
        };
        let expires_at = self.expires_at;
        let after = tables.edit_item(&mut edit, self.at.index, |item| {
            if item.state == ItemState::Succeeded {
                item.expires_at = expires_at;
            }
        })?;
        if after.is_some_and(|item| item.state == ItemState::Succeeded) {
            tables.put_result(self.at, &self.sealed)?;
        }
        tables.close_job(edit).map(drop)
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}
