//! What opening finds: damage, another key, a newer version.

use redb::ReadableTable;

use super::super::{Origin, codec, meta, schema};
use super::*;

fn opened(disk: &Disk, masters: &[u8]) -> Result<Opened, OpenError> {
    open_under(disk, Wall::at(START), masters)
}

/// A disk whose store was changed behind its back, and closed.
async fn tampered(change: impl FnOnce(&WriteTransaction)) -> Disk {
    let disk = Disk::default();
    let store = open(&disk);
    log(&store, 1..=5).await;
    tamper(&store, change);
    store.close();
    disk
}

#[tokio::test]
async fn a_store_is_found_as_it_was_left() {
    let disk = Disk::default();
    let first = opened(&disk, &[1]).unwrap();
    assert_eq!(
        (first.origin, first.store.boot(), first.head.seq),
        (Origin::Created, 1, 0)
    );
    log(&first.store, 1..=5).await;
    first.store.close();

    let again = opened(&disk, &[1]).unwrap();

    assert_eq!(
        (again.origin, again.store.boot(), again.head.seq),
        (Origin::Found, 2, 5)
    );
    assert_eq!((again.store.id(), again.store.made_at()), (first.store.id(), START));
    assert_eq!(numbers(&again.store), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_head_without_our_mac_is_found() {
    let disk = tampered(|txn| {
        let mut table = txn.open_table(schema::META).unwrap();
        let mut head = table.get(meta::HEAD).unwrap().unwrap().value().to_vec();
        *head.last_mut().unwrap() ^= 1;
        table.insert(meta::HEAD, head.as_slice()).unwrap();
    })
    .await;
    assert!(matches!(opened(&disk, &[1]), Err(OpenError::Head)));
}

#[tokio::test]
async fn a_missing_head_is_found() {
    let disk = tampered(|txn| {
        txn.open_table(schema::META).unwrap().remove(meta::HEAD).unwrap();
    })
    .await;
    assert!(matches!(opened(&disk, &[1]), Err(OpenError::Head)));
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found() {
    let disk = tampered(|txn| {
        txn.open_table(schema::AUDIT).unwrap().remove(5).unwrap();
    })
    .await;
    assert!(matches!(opened(&disk, &[1]), Err(OpenError::Head)));
}

#[tokio::test]
async fn a_newer_store_is_refused_and_says_so() {
    let newer = schema::SCHEMA + 1;
    let disk = tampered(|txn| {
        let mut table = txn.open_table(schema::META).unwrap();
        table.insert(meta::SCHEMA, newer.to_be_bytes().as_slice()).unwrap();
    })
    .await;

    let Err(error) = opened(&disk, &[1]) else {
        panic!("a newer store was opened")
    };

    assert!(matches!(error, OpenError::Newer { found, known } if found == newer && known == schema::SCHEMA));
    assert!(error.to_string().contains("run the newer version"));
}

#[tokio::test]
async fn a_value_of_a_newer_version_is_an_error_and_not_a_guess() {
    let disk = tampered(|txn| {
        let mut value = codec::encode("meta.v1", &9_u64).unwrap();
        value[0] += 1;
        txn.open_table(schema::META)
            .unwrap()
            .insert(meta::BOOT, value.as_slice())
            .unwrap();
    })
    .await;
    assert!(matches!(
        opened(&disk, &[1]),
        Err(OpenError::Store(StoreError::Corrupt { .. }))
    ));
}

#[tokio::test]
async fn another_master_key_does_not_open_it_and_changes_nothing() {
    let disk = Disk::default();
    let store = open(&disk);
    log(&store, 1..=5).await;
    store.close();

    let Err(error) = opened(&disk, &[2]) else {
        panic!("another key opened it")
    };

    assert!(matches!(error, OpenError::WrongKey));
    assert!(error.to_string().contains("API_KEY_ENCRYPTION_KEY"));
    assert_eq!(opened(&disk, &[1]).unwrap().store.boot(), 2);
}

#[test]
fn the_previous_master_key_opens_it_while_rotating() {
    let disk = Disk::default();
    open(&disk).close();
    assert_eq!(opened(&disk, &[2, 1]).unwrap().master_key, 1);
    assert_eq!(opened(&disk, &[1, 2]).unwrap().master_key, 0);
}
