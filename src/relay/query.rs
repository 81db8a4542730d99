//! The shorter way of what is free: a query, or the withdrawal of a task.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::error::{Failure, RelayError};
use super::flight::passable;
use super::{Answer, Content, Origin, Relay};
use crate::config::UnknownTasks;
use crate::dispatch::pool::rotation::Next;
use crate::dispatch::{Arrived, Journey};
use crate::model::call::Call;
use crate::model::caller::Identity;
use crate::model::id::AccountId;
use crate::model::lane::Lane;
use crate::model::operation::Operation;
use crate::model::task::SubmitRef;
use crate::record::Recorded;
use crate::store::tasks;
use crate::telemetry::metrics;
use crate::upstream::error::{Fault, Phase};
use crate::upstream::mark::SentMark;
use crate::upstream::{Verdict, volcengine};

/// Where the task of a query stands in the record.
struct Known {
    at: SubmitRef,
    account: AccountId,
}

impl Relay {
    pub(super) async fn query(&self, call: &Call, lane: Lane, deadline: Instant) -> Result<Answer, RelayError> {
        let known = self.find(call).await?;
        let journey = self.dispatcher.pinned(known.as_ref().map(|known| known.account));
        let _in_flight = metrics::in_flight(call.operation);
        let asking = self.ask(call, lane, journey, known.as_ref(), deadline);
        timeout_at(deadline, asking)
            .await
            .unwrap_or(Err(RelayError::Deadline { intent: None }))
    }

    /// The task that a query names, if the caller may ask about it.
    async fn find(&self, call: &Call) -> Result<Option<Known>, RelayError> {
        let task_id = call.task_id.clone().ok_or(RelayError::TaskNotFound)?;
        let found = self
            .recorder
            .store()
            .read_aside(move |rows| {
                let Some(at) = tasks::find_task(rows, volcengine::NAME, &task_id)? else {
                    return Ok(None);
                };
                Ok(tasks::submit(rows, at)?.map(|submit| Known {
                    at,
                    account: submit.account,
                }))
            })
            .await?;
        match found {
            Some(known) if known.at.owner == call.caller.owner || call.caller.identity == Identity::Tollgate => {
                Ok(Some(known))
            }
            None if self.allows_unknown(call.operation) => Ok(None),
            _ => Err(RelayError::TaskNotFound),
        }
    }

    /// Whether a task that we never saw may be asked about: it may come from before the move to Tollgate.
    fn allows_unknown(&self, operation: Operation) -> bool {
        operation != Operation::CancelTask
            && match self.policy.unknown_tasks {
                UnknownTasks::Allow => true,
                UnknownTasks::Refuse => false,
                UnknownTasks::Migrate => self.clock.wall() < self.policy.store_made_at.plus(MIGRATION),
            }
    }

    async fn ask(
        &self,
        call: &Call,
        lane: Lane,
        mut journey: Journey,
        known: Option<&Known>,
        deadline: Instant,
    ) -> Result<Answer, RelayError> {
        let mut made = 0;
        let mut upstream_time = Duration::ZERO;
        loop {
            let permit = self.admit(call, lane, &mut journey, deadline).await?;
            made += 1;
            let attempt = self
                .dispatcher
                .attempt(call, &journey, permit.account, made, SentMark::default())
                .await;
            drop(permit);
            upstream_time += attempt.took;
            let moment = || self.moment(call.operation.class(), deadline);
            if let Next::Again(wait, reason) = self.dispatcher.after(call, &mut journey, &attempt, made, moment) {
                metrics::retry(reason);
                sleep(wait).await;
                continue;
            }
            let total = self.clock.monotonic().saturating_duration_since(call.arrived);
            metrics::overhead(call.operation, total.saturating_sub(upstream_time));
            let arrived = attempt.result.map_err(|error| {
                let cause = match (error.phase, error.fault) {
                    (Phase::Connect, _) | (_, Fault::Withdrawn) => Failure::Connect,
                    (_, Fault::Timeout) => Failure::Timeout,
                    (_, Fault::Broken) => Failure::Broken,
                    (_, Fault::TooLarge) => Failure::TooLarge,
                };
                RelayError::Upstream { cause, intent: None }
            })?;
            let Arrived::Whole(reply, verdict) = arrived else {
                let cause = Failure::Unusable;
                return Err(RelayError::Upstream { cause, intent: None });
            };
            self.note(call, known, &verdict);
            passable(&reply, verdict.form).map_err(|cause| RelayError::Upstream { cause, intent: None })?;
            return Ok(Answer {
                content: Content::Whole(Arc::new(reply)),
                origin: Origin::Upstream,
                recorded: Recorded::Yes,
                intent: None,
                allowance: None,
            });
        }
    }

    /// Records what an answer told of its task, and gives its running slot back once it has finished.
    fn note(&self, call: &Call, known: Option<&Known>, verdict: &Verdict) {
        let (Some(known), Some(task_id)) = (known, call.task_id.as_deref()) else {
            return;
        };
        if let Some(running) = self.admission.running(known.account) {
            let now = self.clock.wall();
            running.update(known.at.intent, |held| held.asked_at = now);
        }
        let Some(state) = verdict.state else { return };
        self.recorder
            .observe(known.at, known.account, task_id, state, verdict.code);
        if state.is_finished()
            && let Some(running) = self.admission.running(known.account)
        {
            running.finish(known.at.intent);
        }
    }
}

/// How long `UNKNOWN_TASKS=migrate` lets through what an older relay submitted: tasks live no longer.
const MIGRATION: Duration = Duration::from_hours(24);
