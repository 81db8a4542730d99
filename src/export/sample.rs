//! One entry of every kind, for tests.

use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::day::Day;
use crate::model::id::{AccountId, KeyId, OwnerId, RequestId};
use crate::model::money::{Hold, Label, Money, Units};
use crate::model::operation::Operation;
use crate::model::outcome::{Outcome, Reason};
use crate::model::record::{
    AdminAction, Charge, Consumption, Entry, Event, Intent, Pruned, Refusal, Refusals, Reroute, Reservation,
    Resolution, Restoration, Settlement, Started, TaskChange,
};
use crate::model::task::TaskState;
use crate::model::usage::{Source, Usage};
use crate::store::audit::Logged;

/// 2026-02-24 at 10:00.
pub(super) const START: Timestamp = Timestamp::from_seconds(1_771_927_200);

/// An entry with this number.
pub(super) fn entry(seq: u64, event: Event) -> Logged {
    let seconds = std::time::Duration::from_secs(seq - 1);
    Logged {
        seq,
        digest: Digest::from_bytes([u8::try_from(seq % 251).unwrap(); 32]),
        entry: Entry {
            at: START.plus(seconds),
            event,
        },
    }
}

/// An entry whose target is a text of choice.
pub(super) fn admin(seq: u64, target: &str) -> Logged {
    let action = AdminAction {
        actor: "admin_token".to_owned(),
        action: "key.create".to_owned(),
        target: target.to_owned(),
        request: None,
    };
    entry(seq, Event::Admin(action))
}

fn usd(microunits: u64) -> Money {
    Money {
        currency: "USD".parse().unwrap(),
        microunits,
    }
}

/// One of every kind, an intent with little to tell and one with everything among them.
#[expect(clippy::too_many_lines, reason = "a list: one kind of entry after the other")]
pub(super) fn entries() -> Vec<Logged> {
    let account = AccountId::from_bits(7);
    let intent = Intent {
        request: RequestId::from_bits(0),
        client_request: None,
        key: None,
        owner: OwnerId::from_bits(1),
        operation: Operation::ChatCompletions,
        account,
        model: None,
        body_digest: [9; 32],
        body_bytes: 42,
        idempotency: None,
        headers: Vec::new(),
        peer: None,
        reservation: Reservation::Empty,
    };
    let whole = Intent {
        client_request: Some("mine \"1\"\n".to_owned()),
        key: Some(KeyId::from_bits(2)),
        model: Some("模型".to_owned()),
        idempotency: Some([8; 32]),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        peer: Some("127.0.0.1".to_owned()),
        reservation: Reservation::Held(Hold {
            day: Day::of(START),
            label: Label::Known,
            money: Some(usd(9)),
            expected: Units::default(),
        }),
        ..intent.clone()
    };
    let settlement = Settlement {
        attempts: 1,
        duration_micros: 1_500,
        ..Settlement::unanswered(1, account, Outcome::Succeeded, Reason::Replied)
    };
    let refused = Settlement {
        status: Some(429),
        code: Some(-3),
        task_id: Some("739".to_owned()),
        upstream_request: Some("log-1".to_owned()),
        ..Settlement::unanswered(2, account, Outcome::Refused, Reason::Replied)
    };
    let events = [
        Event::Intent(Box::new(intent)),
        Event::Settlement(settlement),
        Event::Intent(Box::new(whole)),
        Event::Settlement(refused),
        Event::Task(TaskChange {
            intent: 3,
            task_id: "739".to_owned(),
            state: TaskState::Done,
            code: Some(10_000),
        }),
        Event::Admin(AdminAction {
            actor: "admin_token".to_owned(),
            action: "key.create".to_owned(),
            target: "key_1".to_owned(),
            request: Some(RequestId::from_bits(5)),
        }),
        Event::Refusals(Refusals {
            reason: Refusal::RateLimited,
            count: 3,
            since: START,
        }),
        Event::Pruned(Pruned {
            through: 1,
            digest: [1; 32],
            count: 1,
        }),
        Event::Started(Started {
            boot: 2,
            version: "0.1.0".to_owned(),
            unknown: 1,
        }),
        Event::Resolved(Resolution {
            intent: 3,
            actor: "admin_token".to_owned(),
            outcome: Outcome::Succeeded,
            task_id: Some("740".to_owned()),
        }),
        Event::Rerouted(Reroute { intent: 3, account }),
        Event::Consumed(Consumption {
            intent: 3,
            usage: Usage {
                input: 10,
                output: 20,
                cached: 0,
            },
            source: Source::Reported,
        }),
        Event::Charged(Charge {
            intent: 3,
            money: usd(7),
            units: Units {
                input: 10,
                cached: 4,
                output: 20,
                images: 1,
                seconds: 5,
            },
            source: Source::Estimated,
        }),
        Event::Restored(Box::new(Restoration {
            epoch: 1,
            restored_at: START,
            backup_at: START,
            through: 4,
            digest: [2; 32],
            replaced: Some((9, [3; 32])),
        })),
    ];
    events
        .into_iter()
        .zip(1..)
        .map(|(event, seq)| entry(seq, event))
        .collect()
}
