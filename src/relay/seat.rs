//! What a paid call holds while it is in flight, as the record sees it.

use std::sync::Arc;

use crate::admission::{Admission, Permit};
use crate::model::call::Call;
use crate::model::clock::Clock;
use crate::model::id::OwnerId;
use crate::model::operation::Operation;
use crate::model::outcome::Outcome;
use crate::model::task::RunningTask;
use crate::record::{Seat, UNKNOWN_HOLDS};

/// A permit, and the way its running-task slot goes when the call is settled.
pub(super) struct PermitSeat {
    pub(super) permit: Permit,
    admission: Arc<Admission>,
    clock: Arc<dyn Clock>,
    owner: OwnerId,
    operation: Operation,
    model: Option<String>,
}

impl PermitSeat {
    pub(super) fn new(admission: Arc<Admission>, clock: Arc<dyn Clock>, call: &Call, permit: Permit) -> Self {
        let model = call.model.clone();
        Self {
            permit,
            admission,
            clock,
            owner: call.caller.owner,
            operation: call.operation,
            model,
        }
    }
}

impl Seat for PermitSeat {
    /// From here on the slot outlives the call: it belongs to the task.
    fn opened(&mut self, intent: u64) {
        let Some(running) = self.admission.running(self.permit.account) else {
            return;
        };
        let Some(slot) = self.permit.running.take() else { return };
        let held = RunningTask {
            owner: self.owner,
            task_id: None,
            req_key: self.model.clone(),
            operation: self.operation,
            asked_at: self.clock.wall(),
            lapses_at: None,
        };
        running.hold(intent, held, slot);
    }

    fn settled(self, intent: u64, outcome: Outcome, task_id: Option<&str>) {
        let Some(running) = self.admission.running(self.permit.account) else {
            return;
        };
        match outcome {
            Outcome::Succeeded => running.update(intent, |held| held.task_id = task_id.map(str::to_owned)),
            Outcome::Unknown => {
                let lapses_at = self.clock.wall().plus(UNKNOWN_HOLDS);
                running.update(intent, |held| held.lapses_at = Some(lapses_at));
            }
            Outcome::Refused | Outcome::NotSent | Outcome::Rejected => running.finish(intent),
        }
    }
}
