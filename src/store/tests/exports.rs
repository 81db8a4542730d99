//! The days of the log book, and how far they are exported.

use super::super::exports::{self, NoteProgress, Progress, Span};
use super::super::maintain::{Exports, Retention};
use super::retention::{DAY, EVERYTHING, audit_bytes, clocked, oldest, retain};
use super::*;
use crate::crypto::digest::Digest;
use crate::model::day::Day;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// The entries of a day as numbers, from the first to the last.
fn of(store: &Store, text: &str) -> Option<(u64, u64)> {
    let span = store.read(|rows| exports::day(rows, day(text))).unwrap();
    span.map(|span| (span.first, span.last))
}

/// A store in which so many entries were written at each of these hours after 10:00 on 2026-02-24.
async fn written(hours: &[i64]) -> (Arc<Wall>, Store) {
    let clock = Wall::at(START);
    let store = open_under(&Disk::default(), clock.clone(), &[1]).unwrap().store;
    for hour in hours {
        let at = START.as_micros() + hour * 3_600_000_000;
        clock.set(Timestamp::from_micros(at));
        log(&store, [0]).await;
    }
    (clock, store)
}

#[tokio::test]
async fn every_entry_is_of_one_day() {
    let (_clock, store) = written(&[0, 1, 14, 15, 16, 80]).await;
    assert_eq!(of(&store, "2026-02-24"), Some((1, 2)));
    assert_eq!(of(&store, "2026-02-25"), Some((3, 5)));
    assert_eq!(of(&store, "2026-02-26"), None);
    assert_eq!(of(&store, "2026-02-27"), Some((6, 6)));
    assert_eq!(of(&store, "2026-02-23"), None);
    assert_eq!(of(&store, "2026-02-28"), None);
}

#[tokio::test]
async fn a_span_hangs_on_the_digest_of_the_entry_before() {
    let (clock, store) = written(&[1, 15]).await;
    let entries = book(&store);
    let read = |text| store.read(|rows| exports::day(rows, day(text))).unwrap().unwrap();

    assert_eq!(read("2026-02-24").before, Digest::from_bytes([0; 32]));
    let second = Span {
        first: 2,
        last: 2,
        before: entries[0].digest,
        digest: entries[1].digest,
        at: clock.wall(),
    };
    assert_eq!(read("2026-02-25"), second);

    // Also where that entry is no longer kept.
    store
        .change(With(|tables: &mut Tables<'_>| tables.prune_audit(1, |_, _, _| true)))
        .await
        .unwrap();
    let kept = read("2026-02-25");
    assert_eq!((kept.first, kept.before), (2, entries[0].digest));
}

#[tokio::test]
async fn a_clock_that_was_set_back_loses_no_entry_and_doubles_none() {
    let (_clock, store) = written(&[1, 15, 2, 3, 16, 40, 13, 41]).await;
    let head = store.read(audit::head).unwrap().seq;
    let mut next = 1;
    for text in ["2026-02-24", "2026-02-25", "2026-02-26"] {
        if let Some((first, last)) = of(&store, text) {
            assert_eq!(first, next, "{text}");
            next = last + 1;
        }
    }
    assert_eq!(next, head + 1);
}

#[tokio::test]
async fn a_span_whose_end_is_gone_is_none() {
    let (_clock, store) = written(&[1, 2, 3]).await;
    let span = |first, last| store.read(|rows| exports::span(rows, first, last)).unwrap();
    assert_eq!(span(1, 3).map(|span| span.last), Some(3));
    assert_eq!((span(3, 2), span(0, 2), span(2, 4)), (None, None, None));
}

#[tokio::test]
async fn progress_is_kept_and_a_day_that_is_begun_is_not_done() {
    let disk = Disk::default();
    let store = open(&disk);
    assert_eq!(store.read(exports::progress).unwrap(), None);
    let begun = Progress::Begun {
        day: day("2026-02-24"),
        first: 4,
        last: 9,
    };
    store.change(NoteProgress(begun)).await.unwrap();
    store.close();

    let kept = open(&disk).read(exports::progress).unwrap();
    assert_eq!(kept, Some(begun));
    assert_eq!(begun.through(), 3);
    let done = Progress::Done {
        day: day("2026-02-24"),
        last: 9,
    };
    assert_eq!(done.through(), 9);
}

#[tokio::test]
async fn what_is_old_waits_for_its_export() {
    let (_disk, clock, store) = clocked();
    log(&store, 1..=3).await;
    clock.forward(DAY * 10);
    let retention = Retention {
        audit: DAY,
        exports: Exports::Daily,
        ..EVERYTHING
    };

    retain(&store, retention, clock.wall()).await;
    assert_eq!(numbers(&store), [1, 2, 3]);

    let last = book(&store)[2].seq;
    let day = Day::of(START);
    store.change(NoteProgress(Progress::Done { day, last })).await.unwrap();
    retain(&store, retention, clock.wall()).await;
    assert_eq!(numbers(&store), [0; 0]);
}

#[tokio::test]
async fn a_book_that_is_too_large_does_not_wait_for_its_export() {
    let (_disk, clock, store) = clocked();
    log(&store, 1..=50).await;
    let retention = Retention {
        audit_bytes: audit_bytes(&store) / 2,
        exports: Exports::Daily,
        ..EVERYTHING
    };
    retain(&store, retention, clock.wall()).await;
    assert!(oldest(&store) > 1);
    assert!(audit_bytes(&store) <= retention.audit_bytes);
}
