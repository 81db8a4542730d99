//! The record after: one commit with the outcome, the cost, the fate of the idempotency key, the task and its slot.

use std::sync::Arc;
use std::time::Duration;

use crate::model::operation::Class;
use crate::model::outcome::Outcome;
use crate::model::record::{Consumption, Event, Settlement};
use crate::model::task::SubmitRef;
use crate::store::error::StoreError;
use crate::store::idempotency::{self, Fate, KeyUse};
use crate::store::tasks::{self, OpenIntent};
use crate::store::{Change, Tables, Urgency};

use super::bill::Bill;
use super::claim::Guard;

/// Writes a settlement. A second one of the same intent changes nothing.
pub(super) struct Settle {
    pub(super) upstream: &'static str,
    pub(super) settlement: Settlement,
    pub(super) consumption: Option<Consumption>,
    /// What it is charged.
    pub(super) bill: Option<Bill>,
    /// The sealed reply, if it is kept.
    pub(super) reply: Option<Vec<u8>>,
    /// The hold on its idempotency key: a repeat waits until the key's fate is on the disk.
    #[expect(dead_code, reason = "it is held, not read: dropping it tells those that wait")]
    pub(super) claim: Option<Arc<Guard>>,
    /// Nobody waits for it.
    pub(super) relaxed: bool,
}

impl Change for Settle {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let Some(open) = tables.close_intent(self.settlement.intent)? else {
            return Ok(());
        };
        tables.append(Event::Settlement(self.settlement.clone()))?;
        if let Some(consumption) = self.consumption.clone() {
            tables.append(Event::Consumed(consumption))?;
        }
        let submit = open.operation.class() == Class::Submit;
        if let Some(bill) = &self.bill {
            bill.settle(tables, self.settlement.intent, self.settlement.outcome)?;
        }
        settle_key(tables, &open, &self.settlement, self.reply.as_deref())?;
        if submit {
            settle_submit(tables, &open, &self.settlement, self.upstream)?;
        }
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        if self.relaxed {
            Urgency::Relaxed
        } else {
            Urgency::Awaited
        }
    }
}

/// Gives the idempotency key the fate that product rule number two asks for.
fn settle_key(
    tables: &mut Tables<'_>,
    open: &OpenIntent,
    settlement: &Settlement,
    reply: Option<&[u8]>,
) -> Result<(), StoreError> {
    let Some(key) = open.idempotency else { return Ok(()) };
    let outcome = settlement.outcome;
    if outcome.frees_the_key() {
        return tables.free_key(&key);
    }
    let Some(usage) = idempotency::get(tables.view(), &key)? else {
        return Ok(());
    };
    let fate = match (outcome, reply) {
        (Outcome::Unknown, _) => Fate::Unknown,
        (outcome, Some(sealed)) => {
            tables.put_reply(usage.intent, sealed)?;
            Fate::Kept(outcome)
        }
        (outcome, None) => Fate::NotKept(outcome),
    };
    tables.put_key_use(&key, &KeyUse { fate, ..usage })
}

/// Makes the task findable, and keeps or frees its running slot.
fn settle_submit(
    tables: &mut Tables<'_>,
    open: &OpenIntent,
    settlement: &Settlement,
    upstream: &'static str,
) -> Result<(), StoreError> {
    let at = SubmitRef {
        owner: open.owner,
        intent: settlement.intent,
    };
    let now = tables.now();
    if let Some(mut submit) = tasks::submit(tables.view(), at)? {
        submit.outcome = Some(settlement.outcome);
        submit.task_id.clone_from(&settlement.task_id);
        submit.updated_at = now;
        tables.put_submit(at, &submit)?;
    }
    if let Some(task_id) = &settlement.task_id {
        tables.put_task(upstream, task_id, at)?;
    }
    let Some(mut slot) = tasks::running_task(tables.view(), open.account, settlement.intent)? else {
        return Ok(());
    };
    match settlement.outcome {
        Outcome::Succeeded => {
            slot.task_id.clone_from(&settlement.task_id);
            tables.put_running_task(open.account, settlement.intent, &slot)
        }
        Outcome::Unknown => {
            slot.lapses_at = Some(now.plus(UNKNOWN_HOLDS));
            tables.put_running_task(open.account, settlement.intent, &slot)
        }
        Outcome::Refused | Outcome::NotSent | Outcome::Rejected => {
            tables.remove_running_task(open.account, settlement.intent)
        }
    }
}

/// How long a submit of unknown outcome holds its running slot: a task may exist, but nobody can ask for it.
pub const UNKNOWN_HOLDS: Duration = Duration::from_mins(10);
