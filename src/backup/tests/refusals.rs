//! What is not a whole backup of ours is refused in a sentence, and nothing changes.

use super::super::format::{Encoder, Header, Kind, Trailer};
use super::super::reader::BackupReader;
use super::*;
use crate::store::schema::SCHEMA;

/// Reads a backup as far as it goes, without a store.
fn read(bytes: &[u8], key: u8) -> Result<Header, BackupError> {
    let keys = move |store| Ok(vec![BackupKey::new(&master(key), store)]);
    let mut reader = BackupReader::new(&keys);
    for piece in bytes.chunks(1000) {
        reader.push(piece);
        while reader.next_rows()?.is_some() {}
    }
    reader.finish()
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_found() {
    let (_folder, store) = store_with(40).await;
    let bytes = backup_of(&store).await;
    assert!(read(&bytes, 1).is_ok());
    for at in (0..bytes.len()).step_by(7).chain(bytes.len() - 40..bytes.len()) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(read(&flipped, 1).is_err(), "the bit at byte {at} of {}", bytes.len());
    }
}

#[tokio::test]
async fn one_that_is_cut_short_or_goes_on_is_found() {
    let (_folder, store) = store_with(40).await;
    let bytes = backup_of(&store).await;
    for length in (0..bytes.len()).step_by(11).chain([bytes.len() - 1]) {
        let error = read(&bytes[..length], 1).unwrap_err();
        assert!(matches!(error, BackupError::Truncated { .. }), "{length}: {error}");
    }
    for more in [b"x".as_slice(), &bytes[18..]] {
        let longer = [&bytes, more].concat();
        let error = read(&longer, 1).unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn frames_cannot_change_places_or_come_from_another_backup() {
    let (_folder, store) = store_with(2).await;
    let (one, other) = (backup_of(&store).await, backup_of(&store).await);
    let starts = frames(&one);
    let (second, third, fourth) = (starts[1], starts[2], starts[3]);
    let swapped = [&one[..second], &one[third..fourth], &one[second..third], &one[fourth..]].concat();
    let left_out = [&one[..second], &one[third..]].concat();
    let mixed = [&one[..second], &other[second..third], &one[third..]].concat();
    for bytes in [swapped, left_out, mixed] {
        let error = read(&bytes, 1).unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    }
}

/// Where the frames of a backup begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut splitter = super::super::format::Splitter::default();
    splitter.push(bytes);
    let mut starts = Vec::new();
    while let Some(frame) = splitter.next_frame().unwrap() {
        starts.push(usize::try_from(frame.at).unwrap());
    }
    starts
}

#[tokio::test]
async fn another_master_key_is_told_from_damage() {
    let (_folder, store) = store_with(1).await;
    let bytes = backup_of(&store).await;
    assert!(matches!(read(&bytes, 2), Err(BackupError::WrongKey)));
}

#[tokio::test]
async fn a_newer_schema_and_a_newer_format_are_refused_before_anything_is_read() {
    let (_folder, store) = store_with(1).await;
    let bytes = backup_of(&store).await;
    let mut newer = bytes.clone();
    newer[17] += 1;
    assert!(matches!(
        read(&newer, 1),
        Err(BackupError::NewerFormat { found: 2, known: 1 })
    ));

    let mut header = read(&bytes, 1).unwrap();
    header.facts.schema = SCHEMA + 1;
    let mut encoder = Encoder::new(BackupKey::new(&master(1), store.id()), header.name);
    let mut newer = Encoder::preamble();
    newer.extend(encoder.frame(Kind::Header, &postcard::to_stdvec(&header).unwrap()));
    newer.extend(encoder.frame(Kind::Trailer, &postcard::to_stdvec(&Trailer { rows: 0 }).unwrap()));
    assert!(matches!(read(&newer, 1), Err(BackupError::NewerSchema { .. })));
}

#[tokio::test]
async fn what_was_never_a_backup_is_foreign() {
    for bytes in [
        b"SQLite format 3\0".as_slice(),
        b"redb\x1A\x0A\xA9\x0D\x0A and so on and on",
        b"{}",
    ] {
        assert!(matches!(read(bytes, 1), Err(BackupError::Foreign)));
    }
}

#[tokio::test]
async fn a_restoration_that_is_refused_leaves_the_store_and_nothing_beside_it() {
    let (folder, store) = store_with(30).await;
    let bytes = backup_of(&store).await;
    store.change(Note(30)).await.unwrap();
    store.close();
    let path = folder.path().join("store");
    let before = std::fs::read(&path).unwrap();
    let mut damaged = bytes.clone();
    let late = bytes.len() - 10;
    damaged[late] ^= 1;
    for (bytes, key) in [
        (&damaged[..], 1),
        (&bytes[..late], 1),
        (b"something else", 1),
        (&bytes[..], 2),
    ] {
        assert!(restore_as(bytes, &path, Replace::Keep, key).await.is_err());

        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["store"]);
    }
    assert!(before == std::fs::read(&path).unwrap(), "the store was touched");
    assert_eq!(numbers(&open(&path)).len(), 31);
}
