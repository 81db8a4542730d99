//! An entry of the log book as JSON.

use serde_json::{Value, json};

use crate::crypto::digest::Digest;
use crate::model::record::{Event, Intent, Reservation, Settlement};
use crate::store::audit::Logged;

/// An entry as JSON.
pub(super) fn view(logged: &Logged) -> Value {
    let mut entry = json!({
        "id": logged.seq,
        "digest": logged.digest.to_string(),
        "at": logged.entry.at.to_string(),
        "event": logged.entry.event.label(),
    });
    let details = match &logged.entry.event {
        Event::Intent(intent) => intent_view(intent),
        Event::Settlement(settlement) => settlement_view(settlement),
        Event::Task(task) => json!({
            "intent": task.intent, "task_id": task.task_id, "state": task.state.label(), "code": task.code,
        }),
        Event::Admin(action) => json!({
            "actor": action.actor, "action": action.action, "target": action.target,
            "request_id": action.request.map(|id| id.to_string()),
        }),
        Event::Refusals(refusals) => json!({
            "reason": refusals.reason.label(), "count": refusals.count, "since": refusals.since.to_string(),
        }),
        Event::Pruned(pruned) => json!({
            "through": pruned.through, "pruned_digest": Digest::from_bytes(pruned.digest).to_string(),
            "count": pruned.count,
        }),
        Event::Started(started) => json!({
            "boot": started.boot, "version": started.version, "unknown": started.unknown,
        }),
        Event::Resolved(resolution) => json!({
            "intent": resolution.intent, "actor": resolution.actor, "outcome": resolution.outcome.label(),
            "task_id": resolution.task_id,
        }),
        Event::Rerouted(reroute) => json!({
            "intent": reroute.intent, "account": reroute.account.to_string(),
        }),
        Event::Consumed(consumed) => json!({
            "intent": consumed.intent, "input_tokens": consumed.usage.input,
            "output_tokens": consumed.usage.output, "source": consumed.source.label(),
        }),
        Event::Charged(charge) => json!({
            "intent": charge.intent, "currency": charge.money.currency.as_str(),
            "cost_microunits": charge.money.microunits, "input_tokens": charge.units.input,
            "cached_tokens": charge.units.cached, "output_tokens": charge.units.output,
            "images": charge.units.images, "seconds": charge.units.seconds, "source": charge.source.label(),
        }),
        Event::Restored(restored) => json!({
            "epoch": restored.epoch, "restored_at": restored.restored_at.to_string(),
            "backup_at": restored.backup_at.to_string(), "through": restored.through,
            "through_digest": Digest::from_bytes(restored.digest).to_string(),
            "replaced": restored.replaced.map(|(seq, _)| seq),
            "replaced_digest": restored.replaced.map(|(_, digest)| Digest::from_bytes(digest).to_string()),
        }),
    };
    if let (Value::Object(entry), Value::Object(details)) = (&mut entry, details) {
        entry.extend(details);
    }
    entry
}

fn intent_view(intent: &Intent) -> Value {
    json!({
        "request_id": intent.request.to_string(),
        "client_request_id": intent.client_request,
        "key": intent.key.map(|key| key.to_string()),
        "owner": intent.owner.to_string(),
        "operation": intent.operation.label(),
        "account": intent.account.to_string(),
        "model": intent.model,
        "body_digest": Digest::from_bytes(intent.body_digest).to_string(),
        "body_bytes": intent.body_bytes,
        "idempotency": intent.idempotency.map(|key| Digest::from_bytes(key).to_string()),
        "headers": intent.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "peer": intent.peer,
        "reserved": reserved(intent.reservation),
    })
}

/// What is held of the owner's budget; null where the price is not known.
fn reserved(reservation: Reservation) -> Value {
    let money = match reservation {
        Reservation::Empty => None,
        Reservation::Held(hold) => hold.money,
    };
    money.map_or(
        Value::Null,
        |money| json!({ "currency": money.currency.as_str(), "microunits": money.microunits }),
    )
}

fn settlement_view(settlement: &Settlement) -> Value {
    json!({
        "intent": settlement.intent,
        "outcome": settlement.outcome.label(),
        "reason": settlement.reason.label(),
        "account": settlement.account.to_string(),
        "status": settlement.status,
        "code": settlement.code,
        "task_id": settlement.task_id,
        "upstream_request_id": settlement.upstream_request,
        "attempts": settlement.attempts,
        "reply_bytes": settlement.reply_bytes,
        "duration_us": settlement.duration_micros,
    })
}
