//! What a job's end rings for: its webhook, in the commit that ends it, and those who watch it, after that.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Jobs;
use super::vault::Vault;
use super::webhook::Outbox;
use crate::model::id::JobId;
use crate::model::job::{ItemState, Job, Tally};
use crate::store::Tables;
use crate::store::error::StoreError;
use crate::store::jobs::{Closed, Edit, Ended};
use crate::telemetry::metrics;

/// Rings when a job ends.
#[derive(Clone)]
pub(super) struct Bell {
    pub(super) vault: Vault,
    pub(super) outbox: Arc<Outbox>,
}

/// What a write did to jobs, for those who are told after its commit.
pub(super) type Told = Vec<(JobId, Closed)>;

impl Bell {
    /// Ends a change of a job. If it ended the job, its webhook is in the same commit.
    pub(super) fn close(&self, tables: &mut Tables<'_>, edit: Edit, told: &mut Told) -> Result<(), StoreError> {
        let id = edit.id();
        let closed = tables.close_job(edit)?;
        if closed.ended == Ended::Now {
            self.ring(tables, id, &closed.job)?;
        }
        told.push((id, closed));
        Ok(())
    }

    /// Puts the delivery that tells of a job's end.
    fn ring(&self, tables: &mut Tables<'_>, id: JobId, job: &Job) -> Result<(), StoreError> {
        let private = match self.vault.open_private(id, job) {
            Ok(private) => private,
            Err(error) => {
                // Its end must not fail on it.
                tracing::error!(error = %error, job = %id, "whom to tell of a job's end cannot be read");
                return Ok(());
            }
        };
        let Some(url) = private.webhook else { return Ok(()) };
        let payload = payload(id, job, &private.metadata).to_string();
        match self.outbox.prepare(job.owner, id, &url, payload.into_bytes()) {
            Ok((delivery, row)) => tables.put_delivery(delivery, &row),
            Err(error) => {
                tracing::error!(error = %error, job = %id, "a job's end is not told to its webhook");
                Ok(())
            }
        }
    }
}

impl Jobs {
    /// Tells of what was committed.
    pub(super) fn tell(&self, told: &Told) {
        for (id, closed) in told {
            self.hub.touch(*id);
            if closed.ended == Ended::Now {
                let job = &closed.job;
                let ended = job.finished_at.unwrap_or(job.created_at);
                metrics::job_ended(&job.queue, ended.since(job.created_at));
                self.bell.outbox.wake();
            }
        }
    }
}

/// What a receiver is told: Standard Webhooks' envelope around the job, without what its items were answered.
fn payload(id: JobId, job: &Job, metadata: &str) -> Value {
    json!({
        "type": format!("job.{}", job.state.label()),
        "timestamp": job.finished_at.unwrap_or(job.created_at).to_string(),
        "data": {
            "id": id.to_string(),
            "object": "job",
            "kind": job.kind.label(),
            "queue": job.queue.as_str(),
            "state": job.state.label(),
            "created_at": job.created_at.to_string(),
            "finished_at": job.finished_at.map(|at| at.to_string()),
            "counts": counts(&job.tally),
            "failed_ratio": job.tally.failed_ratio(),
            "metadata": serde_json::from_str::<Value>(metadata).unwrap_or_else(|_| json!({})),
        },
    })
}

fn counts(tally: &Tally) -> Value {
    let states = ItemState::ALL
        .into_iter()
        .map(|state| (state.label().to_owned(), Value::from(tally.of(state))));
    let total = ("total".to_owned(), Value::from(tally.total()));
    std::iter::once(total).chain(states).collect()
}
