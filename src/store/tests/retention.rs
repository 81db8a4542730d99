//! What is kept, how long, and what goes first.

use super::super::audit::Verdict;
use super::super::idempotency::{self, Fate, KeyUse};
use super::super::maintain::{Exports, Retention, Sweep};
use super::super::tasks::{self, OpenIntent};
use super::chain::verify;
use super::*;
use crate::crypto::digest::Digest;
use crate::model::id::{AccountId, OwnerId, RequestId};
use crate::model::operation::Operation;
use crate::model::outcome::Outcome;
use crate::model::task::{Submit, SubmitRef, TaskState};

const UPSTREAM: &str = "volcengine";
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Keeps everything, so that a test says what it does not want to keep.
pub(super) const EVERYTHING: Retention = Retention {
    audit: Duration::from_hours(24 * 365),
    audit_bytes: u64::MAX,
    tasks: Duration::from_hours(24 * 365),
    exports: Exports::None,
};

pub(super) fn clocked() -> (Disk, Arc<Wall>, Store) {
    let (disk, clock) = (Disk::default(), Wall::at(START));
    let store = open_under(&disk, clock.clone(), &[1]).unwrap().store;
    (disk, clock, store)
}

pub(super) async fn retain(store: &Store, retention: Retention, now: Timestamp) {
    store
        .retain(retention, UPSTREAM, now, &mut Sweep::default())
        .await
        .unwrap();
}

pub(super) fn audit_bytes(store: &Store) -> u64 {
    store.read(audit::bytes).unwrap()
}

pub(super) fn oldest(store: &Store) -> u64 {
    book(store)[0].seq
}

/// Marks entry `seq` as an intent that is not settled.
async fn leave_open(store: &Store, seq: u64) {
    let open = OpenIntent {
        boot: 1,
        owner: OwnerId::from_bits(1),
        account: AccountId::from_bits(1),
        operation: Operation::Sync2AsyncSubmitTask,
        idempotency: None,
    };
    store
        .change(With(move |tables: &mut Tables<'_>| tables.put_open_intent(seq, &open)))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_chain_verifies_from_its_new_anchor() {
    let (disk, clock, store) = clocked();
    log(&store, 1..=1200).await;
    clock.forward(2 * DAY);
    log(&store, [1201]).await;

    let kept = Retention {
        audit: DAY,
        ..EVERYTHING
    };
    retain(&store, kept, clock.wall()).await;

    assert_eq!(oldest(&store), 1201);
    assert!(matches!(verify(&store), Verdict::Intact { first: 1201, .. }));
    let pruned: Vec<_> = book(&store)
        .into_iter()
        .filter_map(|logged| match logged.entry.event {
            Event::Pruned(pruned) => Some((pruned.through, pruned.count)),
            _ => None,
        })
        .collect();
    assert_eq!(
        pruned,
        [(500, 500), (1000, 500), (1200, 200)],
        "each step tells what went"
    );
    store.close();
    let again = open_under(&disk, clock, &[1]).unwrap().store;
    assert!(matches!(verify(&again), Verdict::Intact { first: 1201, .. }));
    assert_eq!(audit_bytes(&again), counted(&again));
}

/// The bytes of all entries, counted one by one.
fn counted(store: &Store) -> u64 {
    let size = |logged: &Logged| 32 + super::super::codec::encode("audit.v1", &logged.entry).unwrap().len() as u64;
    book(store).iter().map(size).sum()
}

#[tokio::test]
async fn nothing_that_is_young_enough_goes() {
    let (_, clock, store) = clocked();
    log(&store, 1..=10).await;
    retain(&store, EVERYTHING, clock.wall()).await;
    assert_eq!(book(&store).len(), 10);
}

#[tokio::test]
async fn above_its_size_the_oldest_go_first_whatever_their_age() {
    let (_, clock, store) = clocked();
    log(&store, 1..=100).await;
    let half = audit_bytes(&store) / 2;

    let kept = Retention {
        audit_bytes: half,
        ..EVERYTHING
    };
    retain(&store, kept, clock.wall()).await;

    let kept = numbers(&store);
    assert_eq!(
        kept,
        (kept[0]..=100).collect::<Vec<_>>(),
        "from the old end, without a hole"
    );
    assert!(
        (45..=50).contains(&kept.len()),
        "{} entries and a note of what went",
        kept.len()
    );
    assert!(audit_bytes(&store) <= half);
    assert_eq!(audit_bytes(&store), counted(&store));
    assert!(matches!(verify(&store), Verdict::Intact { first, .. } if first == kept[0]));
}

#[tokio::test]
async fn the_notes_of_earlier_prunings_do_not_keep_the_book_above_its_size() {
    let (_, clock, store) = clocked();
    log(&store, 1..=100).await;
    let size = audit_bytes(&store);
    let kept = Retention {
        audit_bytes: size,
        ..EVERYTHING
    };

    for round in 1..=5 {
        log(&store, (0..100).map(|number| round * 100 + number)).await;
        retain(&store, kept, clock.wall()).await;
        assert!(
            audit_bytes(&store) <= size,
            "round {round}: {} bytes",
            audit_bytes(&store)
        );
    }

    assert!(matches!(verify(&store), Verdict::Intact { .. }));
}

#[tokio::test]
async fn a_book_that_is_small_enough_is_left_alone() {
    let (_, clock, store) = clocked();
    log(&store, 1..=100).await;
    let kept = Retention {
        audit_bytes: audit_bytes(&store) / 2,
        ..EVERYTHING
    };
    retain(&store, kept, clock.wall()).await;
    let head = store.read(audit::head).unwrap();

    for _ in 0..3 {
        retain(&store, kept, clock.wall()).await;
    }

    assert_eq!(store.read(audit::head).unwrap(), head, "no note follows on a note");
}

#[tokio::test]
async fn nothing_goes_past_an_open_intent() {
    let (_, clock, store) = clocked();
    log(&store, 1..=10).await;
    leave_open(&store, 4).await;
    clock.forward(2 * DAY);

    let kept = Retention {
        audit: DAY,
        audit_bytes: 0,
        ..EVERYTHING
    };
    retain(&store, kept, clock.wall()).await;

    assert_eq!(oldest(&store), 4);
    assert!(matches!(verify(&store), Verdict::Intact { first: 4, .. }));
}

fn key(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

/// Uses a key for intent number `intent`, and keeps a reply of 1000 bytes for it.
async fn use_key(store: &Store, byte: u8, fate: Fate, expires_at: Timestamp) {
    let usage = KeyUse {
        fingerprint: key(0),
        intent: u64::from(byte),
        fate,
        expires_at,
    };
    let used = With(move |tables: &mut Tables<'_>| {
        tables.put_key_use(&key(byte), &usage)?;
        match fate {
            Fate::Kept(_) => tables.put_reply(u64::from(byte), &[0; 1000]),
            _ => Ok(()),
        }
    });
    store.change(used).await.unwrap();
}

fn usage(store: &Store, byte: u8) -> Option<KeyUse> {
    store.read(|rows| idempotency::get(rows, &key(byte))).unwrap()
}

fn reply_bytes(store: &Store) -> u64 {
    store.read(idempotency::reply_bytes).unwrap()
}

#[tokio::test]
async fn a_key_is_free_when_it_has_expired_and_its_reply_goes_with_it() {
    let (_, clock, store) = clocked();
    use_key(&store, 1, Fate::Kept(Outcome::Succeeded), START.plus(DAY)).await;
    use_key(&store, 2, Fate::Kept(Outcome::Succeeded), START.plus(2 * DAY)).await;
    use_key(&store, 3, Fate::Unknown, START.plus(DAY)).await;
    assert_eq!(reply_bytes(&store), 2000);

    retain(&store, EVERYTHING, START.plus(DAY)).await;
    assert!(usage(&store, 1).is_some(), "its last moment is still its own");
    clock.forward(DAY + Duration::from_secs(1));
    retain(&store, EVERYTHING, clock.wall()).await;

    assert!(usage(&store, 1).is_none() && usage(&store, 3).is_none());
    assert!(usage(&store, 2).is_some());
    assert_eq!(reply_bytes(&store), 1000);
    assert!(store.read(|rows| idempotency::reply(rows, 1)).unwrap().is_none());
}

#[tokio::test]
async fn a_key_whose_call_is_under_way_does_not_expire() {
    let (_, clock, store) = clocked();
    use_key(&store, 1, Fate::Open, START.plus(DAY)).await;

    clock.forward(2 * DAY);
    retain(&store, EVERYTHING, clock.wall()).await;
    assert!(usage(&store, 1).is_some());

    use_key(&store, 1, Fate::NotKept(Outcome::Succeeded), START.plus(DAY)).await;
    retain(&store, EVERYTHING, clock.wall()).await;
    assert!(usage(&store, 1).is_none(), "once it has ended, it does");
}

#[tokio::test]
async fn the_bytes_of_kept_replies_are_counted_once() {
    let (_, _, store) = clocked();
    use_key(&store, 1, Fate::Kept(Outcome::Succeeded), START.plus(DAY)).await;
    use_key(&store, 1, Fate::Kept(Outcome::Succeeded), START.plus(DAY)).await;
    assert_eq!(reply_bytes(&store), 1000);

    for _ in 0..2 {
        store
            .change(With(|tables: &mut Tables<'_>| tables.free_key(&key(1))))
            .await
            .unwrap();
    }
    assert_eq!(reply_bytes(&store), 0);
}

#[tokio::test]
async fn more_keys_than_one_step_takes_are_freed_in_one_go() {
    let (_, _, store) = clocked();
    let uses = With(|tables: &mut Tables<'_>| {
        for number in 0..1200_u64 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            let usage = KeyUse {
                fingerprint: key(0),
                intent: number,
                fate: Fate::Unknown,
                expires_at: START,
            };
            tables.put_key_use(&Digest::from_bytes(bytes), &usage)?;
        }
        Ok(())
    });
    store.change(uses).await.unwrap();

    retain(&store, EVERYTHING, START.plus(DAY)).await;

    let left = store.read(|reader| reader.row_counts()).unwrap();
    let of = |name: &str| left.iter().find(|(table, _)| *table == name).unwrap().1;
    assert_eq!((of("idempotency.v1"), of("idempotency_expiry.v1")), (0, 0));
}

async fn put_submit(store: &Store, intent: u64, outcome: Option<Outcome>, at: Timestamp) {
    let submit = Submit {
        request: RequestId::from_bits(1),
        operation: Operation::Sync2AsyncSubmitTask,
        req_key: None,
        account: AccountId::from_bits(1),
        task_id: Some(format!("task-{intent}")),
        outcome,
        state: TaskState::Submitted,
        submitted_at: at,
        updated_at: at,
    };
    let put = With(move |tables: &mut Tables<'_>| {
        tables.put_submit(at_ref(intent), &submit)?;
        tables.put_task(UPSTREAM, &format!("task-{intent}"), at_ref(intent))
    });
    store.change(put).await.unwrap();
}

/// Intents of three owners, so that a sweep crosses from one to the next.
fn at_ref(intent: u64) -> SubmitRef {
    SubmitRef {
        owner: OwnerId::from_bits(intent % 3),
        intent,
    }
}

#[tokio::test]
async fn old_submits_go_with_the_way_to_them_unless_they_are_under_way() {
    let (_, clock, store) = clocked();
    put_submit(&store, 1, Some(Outcome::Succeeded), START).await;
    put_submit(&store, 2, None, START).await;
    put_submit(&store, 3, Some(Outcome::Succeeded), START.plus(7 * DAY)).await;
    clock.forward(8 * DAY);

    let kept = Retention {
        tasks: 7 * DAY,
        ..EVERYTHING
    };
    retain(&store, kept, clock.wall()).await;

    let (found, rows) = store
        .read(|rows| {
            let found: Vec<bool> = (1..=3)
                .map(|intent| tasks::find_task(rows, UPSTREAM, &format!("task-{intent}")).map(|at| at.is_some()))
                .collect::<Result<_, _>>()?;
            let rows: Vec<bool> = (1..=3)
                .map(|intent| tasks::submit(rows, at_ref(intent)).map(|row| row.is_some()))
                .collect::<Result<_, _>>()?;
            Ok((found, rows))
        })
        .unwrap();
    assert_eq!(found, [false, true, true]);
    assert_eq!(rows, [false, true, true]);
}

#[tokio::test]
async fn a_sweep_sees_every_submit_however_many_there_are() {
    let (_, clock, store) = clocked();
    for intent in 1..=1100 {
        put_submit(&store, intent, Some(Outcome::Succeeded), START).await;
    }
    clock.forward(8 * DAY);

    let kept = Retention {
        tasks: 7 * DAY,
        ..EVERYTHING
    };
    retain(&store, kept, clock.wall()).await;

    assert_eq!(
        store.read(|rows| tasks::latest_submits(rows, u64::MAX, 10)).unwrap(),
        []
    );
}
