//! Deliveries: an index that follows the rows, and counts that are the truth.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::id::{DeliveryId, JobId, OwnerId};
use crate::model::webhook::{Delivery, DeliveryState, new_id};
use crate::store::webhooks::{self, Counts, Due};

fn job(number: u128) -> JobId {
    JobId::from_bits(number << 64)
}

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn delivery(job: JobId, state: DeliveryState) -> Delivery {
    Delivery {
        owner: OwnerId::from_bits(9),
        job,
        created_at: START,
        state,
        attempts: 0,
        last: None,
        sealed: vec![1, 2, 3],
    }
}

fn due(seconds: u64) -> DeliveryState {
    DeliveryState::Pending { due: at(seconds) }
}

async fn put(store: &Store, id: DeliveryId, delivery: Delivery) {
    let change = With(move |tables: &mut Tables<'_>| tables.put_delivery(id, &delivery));
    store.change(change).await.unwrap();
}

async fn forget(store: &Store, before: Timestamp, limit: usize) -> usize {
    let change = With(move |tables: &mut Tables<'_>| tables.forget_deliveries_before(before, limit));
    store.change(change).await.unwrap()
}

fn due_ids(store: &Store, now: Timestamp, limit: usize) -> Vec<DeliveryId> {
    let rows = store.read(|rows| webhooks::due(rows, now, limit, |_| true)).unwrap();
    rows.into_iter().map(|due| due.id).collect()
}

fn counts(store: &Store) -> Counts {
    store.read(webhooks::counts).unwrap()
}

#[tokio::test]
async fn the_longest_due_come_first_and_the_next_one_is_known() {
    let store = open(&Disk::default());
    let ids: Vec<_> = [30, 10, 20]
        .map(|seconds| (new_id(job(seconds.into()), 1), seconds))
        .into();
    for (id, seconds) in &ids {
        put(&store, *id, delivery(job(u128::from(*seconds)), due(*seconds))).await;
    }

    assert_eq!(due_ids(&store, at(9), 10), []);
    assert_eq!(due_ids(&store, at(20), 10), [ids[1].0, ids[2].0]);
    assert_eq!(due_ids(&store, at(99), 1), [ids[1].0]);
    let next = |now| store.read(|rows| webhooks::next_due(rows, now)).unwrap();
    assert_eq!(next(START), Some(at(10)));
    assert_eq!(next(at(10)), Some(at(20)));
    assert_eq!(next(at(30)), None);
}

#[tokio::test]
async fn what_is_not_wanted_is_passed_over_and_takes_no_place() {
    let store = open(&Disk::default());
    for number in 1..=5 {
        put(&store, new_id(job(number), 1), delivery(job(number), due(1))).await;
    }
    let wanted = |due: &Due| due.id.bits() > job(3).bits();
    let found = store.read(|rows| webhooks::due(rows, at(1), 2, wanted)).unwrap();
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|due| wanted(due) && due.owner == OwnerId::from_bits(9))
    );
}

#[tokio::test]
async fn a_delivery_that_has_ended_is_no_longer_due() {
    let store = open(&Disk::default());
    let id = new_id(job(1), 1);
    put(&store, id, delivery(job(1), due(0))).await;
    put(&store, id, delivery(job(1), due(60))).await;
    assert_eq!(due_ids(&store, at(59), 10), []);
    put(&store, id, delivery(job(1), DeliveryState::Delivered { at: at(60) })).await;
    assert_eq!(due_ids(&store, at(99), 10), []);
    assert_eq!(store.read(|rows| webhooks::next_due(rows, START)).unwrap(), None);
    let row = store.read(|rows| webhooks::get(rows, id)).unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Delivered { at: at(60) });
}

#[tokio::test]
async fn the_deliveries_of_a_job_are_its_own() {
    let store = open(&Disk::default());
    // The two jobs differ only in bits that are not in a delivery's id.
    let (one, twin) = (JobId::from_bits(7 << 64), JobId::from_bits((7 << 64) + 1));
    put(&store, new_id(one, 1), delivery(one, due(1))).await;
    put(&store, new_id(one, 2), delivery(one, due(2))).await;
    put(&store, new_id(twin, 3), delivery(twin, due(3))).await;
    put(&store, new_id(job(8), 1), delivery(job(8), due(1))).await;

    let of = |job| store.read(|rows| webhooks::of_job(rows, job, 10)).unwrap();
    let ids: Vec<_> = of(one).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [new_id(one, 1), new_id(one, 2)]);
    assert_eq!(of(twin).len(), 1);
    assert_eq!(of(job(9)).len(), 0);
}

#[tokio::test]
async fn only_what_ended_before_the_moment_is_forgotten_and_the_oldest_first() {
    let store = open(&Disk::default());
    let id = |number| new_id(job(number), 1);
    put(&store, id(1), delivery(job(1), DeliveryState::GivenUp { at: at(10) })).await;
    put(&store, id(2), delivery(job(2), DeliveryState::Delivered { at: at(5) })).await;
    put(&store, id(3), delivery(job(3), DeliveryState::Delivered { at: at(20) })).await;
    put(&store, id(4), delivery(job(4), due(1))).await;

    assert_eq!(forget(&store, at(20), 1).await, 1);
    assert!(store.read(|rows| webhooks::get(rows, id(2))).unwrap().is_none());
    assert_eq!(forget(&store, at(20), 10).await, 1);
    assert_eq!(forget(&store, at(20), 10).await, 0);
    let left = Counts {
        pending: 1,
        delivered: 1,
        given_up: 0,
    };
    assert_eq!(counts(&store), left);
}

fn state() -> impl Strategy<Value = DeliveryState> {
    (0..3, 0_u64..100).prop_map(|(kind, seconds)| match kind {
        0 => due(seconds),
        1 => DeliveryState::Delivered { at: at(seconds) },
        _ => DeliveryState::GivenUp { at: at(seconds) },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn index_and_counts_follow_the_rows(puts in prop::collection::vec((1_u128..5, state()), 1..20)) {
        let store = open(&Disk::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (number, state) in &puts {
            runtime.block_on(put(&store, new_id(job(*number), 1), delivery(job(*number), *state)));
        }
        let mut expected = Counts::default();
        let mut pending = BTreeSet::new();
        for number in 1..5 {
            match puts.iter().rev().find(|(of, _)| *of == number).map(|(_, state)| *state) {
                Some(DeliveryState::Pending { due }) => {
                    expected.pending += 1;
                    pending.insert((due, new_id(job(number), 1)));
                }
                Some(DeliveryState::Delivered { .. }) => expected.delivered += 1,
                Some(DeliveryState::GivenUp { .. }) => expected.given_up += 1,
                None => {}
            }
        }
        prop_assert_eq!(counts(&store), expected);
        let found = store.read(|rows| webhooks::due(rows, at(1000), 100, |_| true)).unwrap();
        let found: Vec<_> = found.into_iter().map(|due| (due.at, due.id)).collect();
        prop_assert_eq!(found, pending.into_iter().collect::<Vec<_>>());
    }
}
