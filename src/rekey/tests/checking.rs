//! The walk that seals anew is the one that checks: what the one passes over, the other must not.

use std::time::Duration;

use super::process::{NOW, Process, action};
use super::shelf::{fill, put};
use super::{MANY, ONE, walk};
use crate::model::clock::fixture::Wall;
use crate::model::id::DeliveryId;
use crate::model::webhook::{Attempt, Fate};
use crate::store::error::StoreError;
use crate::store::fixture::File;
use crate::store::rekeying;
use crate::store::sealed::{self, SealedTable};
use crate::store::{Change, Store, Tables, webhooks};

/// Whatever a test does to the tables.
struct Edit<F>(F);

impl<F: FnMut(&mut Tables<'_>) -> Result<(), StoreError> + Send + 'static> Change for Edit<F> {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        (self.0)(tables)
    }
}

/// What does not open, by name.
fn damaged(store: &Store) -> Vec<String> {
    let seals = sealed::check(store, |_| {}).unwrap();
    assert_eq!(seals.unreadable, seals.named.len() as u64);
    let named = seals.named.iter();
    named.map(|damaged| format!("{} {damaged}", damaged.table)).collect()
}

#[tokio::test]
async fn a_check_opens_what_every_table_holds_also_while_keys_are_replaced() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let shelf = fill(&process, 3).await;
    let before = sealed::check(&process.store, |_| {}).unwrap();
    process.rekey.begin(action("rekey.deep")).await.unwrap();
    for _ in 0..SealedTable::ALL.len() {
        process.rekey.step(ONE).await.unwrap();
    }

    let during = sealed::check(&process.store, |_| {}).unwrap();
    walk(&process).await;
    let after = sealed::check(&process.store, |_| {}).unwrap();

    assert!(
        before.opened >= shelf.len() as u64 && before.unreadable == 0,
        "{before:?}"
    );
    assert_eq!([&during, &after], [&before; 2]);
}

#[tokio::test]
async fn a_check_names_what_does_not_open_in_any_table() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    fill(&process, 2).await;
    let edit = Edit(|tables: &mut Tables<'_>| {
        tables.put_reply(1, b"no seal of ours")?;
        let id = DeliveryId::from_bits(2);
        let mut delivery = webhooks::get(tables.view(), id)?.unwrap();
        delivery.sealed.push(0);
        tables.put_delivery(id, &delivery)
    });
    process.store.change(edit).await.unwrap();

    let expected = [
        "kept reply record 1".to_owned(),
        format!("webhook message {}", DeliveryId::from_bits(2)),
    ];
    assert_eq!(damaged(&process.store), expected);
}

#[tokio::test]
async fn a_message_that_was_told_holds_nothing_and_is_no_damage() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    put(&process, SealedTable::Deliveries, 1).await;
    let told = Edit(|tables: &mut Tables<'_>| {
        let id = DeliveryId::from_bits(1);
        let mut delivery = webhooks::get(tables.view(), id)?.unwrap();
        let attempt = Attempt {
            at: NOW.plus(Duration::from_secs(1)),
            result: Ok(204),
        };
        assert_eq!(delivery.note(attempt, 0), Fate::Delivered);
        tables.put_delivery(id, &delivery)
    });
    process.store.change(told).await.unwrap();

    process.rekey.begin(action("rekey.deep")).await.unwrap();
    process.rekey.step(MANY).await.unwrap();
    walk(&process).await;

    let walked = process.store.read(rekeying::get).unwrap().unwrap();
    assert_eq!(walked.tally.unreadable, 0, "{walked:?}");
    assert_eq!(damaged(&process.store), Vec::<String>::new());
}
