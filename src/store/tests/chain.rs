//! The chain under tampering: whatever is changed behind the store's back is found, and where.

use redb::ReadableTable;

use super::super::audit::{Verdict, Walk};
use super::super::chain::{Chain, Link, Sealed, Stretches};
use super::super::{codec, meta, schema};
use super::*;
use crate::crypto::keyring::Keyring;

/// A store with ten entries.
async fn ten() -> Store {
    let store = open(&Disk::default());
    log(&store, 1..=10).await;
    store
}

/// Verifies the whole chain, so many entries at a time.
fn verify_by(store: &Store, step: usize) -> Verdict {
    let mut walk = match store.read(|rows| Walk::begin(rows, &store.keyring().audit)).unwrap() {
        Ok(walk) => walk,
        Err(verdict) => return verdict,
    };
    loop {
        if let Some(verdict) = store.read(|rows| walk.step(rows, step)).unwrap() {
            return verdict;
        }
    }
}

/// Verifies the whole chain in strides of several lengths, which must agree.
pub(super) fn verify(store: &Store) -> Verdict {
    let whole = verify_by(store, usize::MAX);
    for step in [1, 3, 10] {
        assert_eq!(verify_by(store, step), whole, "in steps of {step}");
    }
    whole
}

#[track_caller]
fn is_broken_at(store: &Store, seq: u64) {
    match verify(store) {
        Verdict::Broken { at, .. } => assert_eq!(at, seq),
        intact @ Verdict::Intact { .. } => panic!("{intact:?}"),
    }
}

fn row(txn: &WriteTransaction, seq: u64) -> Vec<u8> {
    let table = txn.open_table(schema::AUDIT).unwrap();
    let row = table.get(seq).unwrap().unwrap();
    row.value().to_vec()
}

fn put(txn: &WriteTransaction, seq: u64, value: &[u8]) {
    txn.open_table(schema::AUDIT).unwrap().insert(seq, value).unwrap();
}

fn remove(txn: &WriteTransaction, seq: u64) {
    txn.open_table(schema::AUDIT).unwrap().remove(seq).unwrap();
}

fn head(store: &Store) -> Sealed {
    store.read(|rows| meta::get(rows, meta::HEAD)).unwrap().unwrap()
}

fn put_head(txn: &WriteTransaction, sealed: &Sealed) {
    let value = codec::encode("meta.v1", sealed).unwrap();
    txn.open_table(schema::META)
        .unwrap()
        .insert(meta::HEAD, value.as_slice())
        .unwrap();
}

#[tokio::test]
async fn an_untouched_chain_is_intact_from_its_first_entry_to_its_head() {
    let store = ten().await;
    let head = store.read(audit::head).unwrap();
    assert_eq!(head.seq, 10);
    assert_eq!(verify(&store), Verdict::Intact { first: 1, head });
}

#[tokio::test]
async fn an_empty_chain_is_intact() {
    let store = open(&Disk::default());
    assert_eq!(
        verify(&store),
        Verdict::Intact {
            first: 1,
            head: Link::START
        }
    );
}

#[tokio::test]
async fn any_flipped_bit_of_an_entry_is_found() {
    let store = ten().await;
    let length = book(&store).len();
    let mut value = Vec::new();
    tamper(&store, |txn| value = row(txn, 5));
    assert_eq!(length, 10);
    for at in 0..value.len() {
        let mut flipped = value.clone();
        flipped[at] ^= 1 << (at % 8);
        tamper(&store, |txn| put(txn, 5, &flipped));
        is_broken_at(&store, 5);
    }
}

#[tokio::test]
async fn a_dropped_entry_is_found() {
    for seq in [1, 5, 9] {
        let store = ten().await;
        tamper(&store, |txn| remove(txn, seq));
        is_broken_at(&store, seq);
    }
}

#[tokio::test]
async fn swapped_entries_are_found() {
    let store = ten().await;
    tamper(&store, |txn| {
        let (fourth, fifth) = (row(txn, 4), row(txn, 5));
        put(txn, 4, &fifth);
        put(txn, 5, &fourth);
    });
    is_broken_at(&store, 4);
}

#[tokio::test]
async fn an_inserted_entry_is_found() {
    let store = ten().await;
    tamper(&store, |txn| {
        for seq in (5..=10).rev() {
            let moved = row(txn, seq);
            put(txn, seq + 1, &moved);
        }
        let forged = row(txn, 4);
        put(txn, 5, &forged);
    });
    is_broken_at(&store, 5);
}

#[tokio::test]
async fn an_entry_beyond_the_head_is_found() {
    let store = ten().await;
    tamper(&store, |txn| {
        let copied = row(txn, 10);
        put(txn, 11, &copied);
    });
    is_broken_at(&store, 11);
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found() {
    let store = ten().await;
    tamper(&store, |txn| (8..=10).for_each(|seq| remove(txn, seq)));
    is_broken_at(&store, 8);
}

#[tokio::test]
async fn an_entry_cut_short_is_found() {
    let store = ten().await;
    tamper(&store, |txn| put(txn, 5, &[0; 31]));
    is_broken_at(&store, 5);
}

#[tokio::test]
async fn a_head_that_was_moved_back_without_the_key_is_found() {
    let store = ten().await;
    let ninth = book(&store)[8].clone();
    let link = Link {
        seq: 9,
        digest: ninth.digest,
        at: ninth.entry.at,
    };
    let mut sealed = postcard::to_stdvec(&head(&store)).unwrap();
    let forged = postcard::to_stdvec(&link).unwrap();
    sealed[..forged.len()].copy_from_slice(&forged);
    tamper(&store, |txn| {
        put_head(txn, &postcard::from_bytes(&sealed).unwrap());
        remove(txn, 10);
    });
    is_broken_at(&store, 0);
}

#[tokio::test]
async fn an_older_head_put_back_whole_verifies_and_only_an_anchor_outside_tells() {
    let store = open(&Disk::default());
    log(&store, 1..=7).await;
    let older = head(&store);
    log(&store, 8..=10).await;
    let outside = book(&store)[9].clone();

    tamper(&store, |txn| {
        put_head(txn, &older);
        (8..=10).for_each(|seq| remove(txn, seq));
    });

    assert!(matches!(verify(&store), Verdict::Intact { head, .. } if head.seq == 7));
    assert_eq!(store.read(|rows| audit::digest_at(rows, outside.seq)).unwrap(), None);
}

#[tokio::test]
async fn an_anchor_cannot_stand_in_for_a_head() {
    let store = ten().await;
    let through = |_: u64, entry: &crate::model::record::Entry, _: u64| entry.event == super::entry(1);
    store
        .change(With(move |tables: &mut Tables<'_>| tables.prune_audit(10, through)))
        .await
        .unwrap();
    let anchor: Sealed = store.read(|rows| meta::get(rows, meta::ANCHOR)).unwrap().unwrap();

    tamper(&store, |txn| put_head(txn, &anchor));

    is_broken_at(&store, 0);
}

#[tokio::test]
async fn entries_written_while_a_walk_is_under_way_do_not_disturb_it() {
    let store = ten().await;
    let mut walk = store
        .read(|rows| Walk::begin(rows, &store.keyring().audit))
        .unwrap()
        .ok()
        .unwrap();
    assert!(store.read(|rows| walk.step(rows, 5)).unwrap().is_none());

    log(&store, 11..=12).await;

    let verdict = store.read(|rows| walk.step(rows, 100)).unwrap().unwrap();
    assert!(matches!(verdict, Verdict::Intact { head, .. } if head.seq == 10));
}

/// Replaces the data keys, and gives those of before.
async fn rekeyed(store: &Store) -> Keyring {
    let before = store.keyring().keys();
    let keys = Arc::new(before.renewed(&OsEntropy).unwrap());
    let wrapped = keys.wrap(&master(1), store.id(), &OsEntropy).unwrap();
    let replace = move |tables: &mut Tables<'_>| {
        tables.append(entry(0))?;
        tables.put_keys(Arc::clone(&keys), &wrapped)
    };
    store.change(With(replace)).await.unwrap();
    Keyring::new(before)
}

#[tokio::test]
async fn a_book_whose_key_was_replaced_twice_is_whole_and_opens_again() {
    let disk = Disk::default();
    let store = open(&disk);
    log(&store, 1..=4).await;
    rekeyed(&store).await;
    rekeyed(&store).await;
    log(&store, 5..=8).await;
    assert!(matches!(verify(&store), Verdict::Intact { head, .. } if head.seq == 10));
    store.close();

    let store = open(&disk);

    assert!(matches!(verify(&store), Verdict::Intact { head, .. } if head.seq == 10));
    log(&store, 9..=9).await;
    assert!(matches!(verify(&store), Verdict::Intact { head, .. } if head.seq == 11));
}

#[tokio::test]
async fn entries_on_both_sides_of_a_turn_are_guarded() {
    for seq in [2, 4, 5, 6, 7] {
        let store = open(&Disk::default());
        log(&store, 1..=4).await;
        rekeyed(&store).await;
        log(&store, 5..=7).await;
        tamper(&store, |txn| {
            let mut value = row(txn, seq);
            value[40] ^= 1;
            put(txn, seq, &value);
        });
        is_broken_at(&store, seq);
    }
}

#[tokio::test]
async fn who_learns_an_old_key_cannot_rewrite_what_it_was_made_with() {
    let store = open(&Disk::default());
    log(&store, 1..=4).await;
    let old = rekeyed(&store).await;
    log(&store, 5..=6).await;

    // A stretch that hangs together, written with the key that made it.
    let mut forged = Chain::new(Arc::new(Stretches::one(old.audit.newest())), Link::START, 0);
    tamper(&store, |txn| {
        for seq in 1..=5 {
            let mut value = row(txn, seq).split_off(32);
            *value.last_mut().unwrap() ^= u8::from(seq == 2);
            let link = forged.extend(&value, START);
            put(txn, seq, &[link.digest.as_bytes().as_slice(), &value].concat());
        }
    });

    is_broken_at(&store, 5);
}

#[tokio::test]
async fn a_turn_that_was_moved_or_removed_is_found() {
    let disk = Disk::default();
    let store = open(&disk);
    log(&store, 1..=4).await;
    rekeyed(&store).await;
    log(&store, 5..=6).await;
    let turns: Vec<Sealed> = store.read(|rows| meta::get(rows, meta::TURNS)).unwrap().unwrap();
    let put_turns = |turns: &[Sealed]| {
        let value = codec::encode("meta.v1", &turns).unwrap();
        tamper(&store, |txn| {
            let mut table = txn.open_table(schema::META).unwrap();
            table.insert(meta::TURNS, value.as_slice()).unwrap();
        });
    };
    assert_eq!((turns.len(), turns[0].link().seq), (1, 5));

    put_turns(&[head(&store)]);
    is_broken_at(&store, 0);
    put_turns(&[]);
    is_broken_at(&store, 0);

    store.close();
    assert!(matches!(open_under(&disk, Wall::at(START), &[1]), Err(OpenError::Head)));
}
