use std::fs;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::super::encoder::Encoder;
use super::super::root::Root;
use super::super::row::Row;
use super::super::sample;
use super::*;
use crate::crypto::digest::{Digest, DigestKey};
use crate::crypto::seal::StoreId;
use crate::crypto::signing::CheckpointKey;
use crate::store::audit::Logged;
use crate::store::exports::Span;

fn key(byte: u8) -> CheckpointKey {
    CheckpointKey::derive(&DigestKey::from_bytes(Zeroizing::new([byte; 32])))
}

fn day(number: u64) -> Day {
    format!("2026-02-{:02}", 20 + number).parse().unwrap()
}

/// The entries of the numbered day: ten, of every kind, the last of which has a digest of its own.
fn entries(number: u64) -> Vec<Logged> {
    let samples = sample::entries();
    (number * 10 + 1..=number * 10 + 10)
        .map(|seq| {
            let event = samples[usize::try_from(seq).unwrap() % samples.len()]
                .entry
                .event
                .clone();
            sample::entry(seq, event)
        })
        .collect()
}

/// Writes a day as an export does.
fn write(folder: &Path, number: u64, store: u8, signer: &CheckpointKey) {
    let written = entries(number);
    let mut root = Root::new();
    for format in Format::ALL {
        let mut encoder = Encoder::new(format).unwrap();
        root = Root::new();
        for logged in &written {
            let row = Row::of(logged);
            let line = row.line();
            encoder.add(&row, &line).unwrap();
            root.add(&line);
        }
        let name = DayFile {
            day: day(number),
            part: Part::Rows(format),
        };
        fs::write(folder.join(name.to_string()), encoder.finish().unwrap()).unwrap();
    }
    let before = match number {
        0 => Digest::from_bytes([0; 32]),
        _ => entries(number - 1)[9].digest,
    };
    let span = Span {
        first: written[0].seq,
        last: written[9].seq,
        before,
        digest: written[9].digest,
        at: written[9].entry.at,
    };
    let id = StoreId::from_bytes([store; 16]);
    let text = Checkpoint::of_day(id, day(number), &span, root.digest()).sign(signer);
    fs::write(path(folder, number, "checkpoint"), text.to_string()).unwrap();
}

fn path(folder: &Path, number: u64, extension: &str) -> PathBuf {
    folder.join(format!("audit-{}.{extension}", day(number)))
}

/// Three days, each in both formats.
fn exported() -> TempDir {
    let folder = TempDir::new().unwrap();
    for number in 0..3 {
        write(folder.path(), number, 1, &key(7));
    }
    folder
}

fn check(folder: &TempDir) -> Report {
    super::folder(folder.path(), &key(7).public(), |_| {}).unwrap()
}

/// The only thing that is wrong.
fn finding(folder: &TempDir) -> String {
    let report = check(folder);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    report.findings[0].clone()
}

#[test]
fn a_folder_that_nobody_touched_is_intact() {
    let folder = exported();
    let mut files = 0;
    let report = super::folder(folder.path(), &key(7).public(), |_| files += 1).unwrap();
    assert_eq!(
        report,
        Report {
            days: 3,
            first: Some((day(0), 1)),
            last: Some((day(2), 30)),
            findings: Vec::new(),
        }
    );
    assert_eq!(files, 9);
}

#[test]
fn one_format_is_enough_and_other_files_do_not_matter() {
    let folder = exported();
    fs::remove_file(path(folder.path(), 0, "ndjson")).unwrap();
    fs::remove_file(path(folder.path(), 1, "parquet")).unwrap();
    fs::write(folder.path().join("README"), "ours").unwrap();
    assert_eq!(check(&folder).findings, [""; 0]);
}

#[test]
fn a_file_that_an_engine_would_read_beside_the_days_is_found() {
    for name in ["audit-extra.parquet", "audit-2026-02-20-2.ndjson", "audit-.parquet"] {
        let folder = exported();
        fs::copy(path(folder.path(), 0, "parquet"), folder.path().join(name)).unwrap();
        assert_eq!(
            finding(&folder),
            format!("{name} is no file of a day, and an engine that reads audit-* reads it")
        );
    }
}

#[test]
fn an_export_may_begin_late() {
    let folder = exported();
    for extension in ["ndjson", "parquet", "checkpoint"] {
        fs::remove_file(path(folder.path(), 0, extension)).unwrap();
    }
    let report = check(&folder);
    assert_eq!((report.findings.len(), report.first), (0, Some((day(1), 11))));
}

#[test]
fn a_changed_row_is_found_in_ndjson() {
    let folder = exported();
    let file = path(folder.path(), 1, "ndjson");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("admin_token", "admin_tokem", 1)).unwrap();
    assert_eq!(
        finding(&folder),
        "audit-2026-02-21.ndjson was changed: its rows are not those that were signed"
    );
}

#[test]
fn a_changed_row_is_found_in_parquet() {
    let folder = exported();
    let mut encoder = Encoder::new(Format::Parquet).unwrap();
    for (place, mut logged) in entries(1).into_iter().enumerate() {
        if place == 4 {
            logged.entry.at = logged.entry.at.plus(std::time::Duration::from_micros(1));
        }
        let row = Row::of(&logged);
        encoder.add(&row, &row.line()).unwrap();
    }
    fs::write(path(folder.path(), 1, "parquet"), encoder.finish().unwrap()).unwrap();
    assert_eq!(
        finding(&folder),
        "audit-2026-02-21.parquet was changed: its rows are not those that were signed"
    );
}

#[test]
fn every_flipped_byte_of_an_ndjson_file_is_found() {
    let folder = exported();
    let file = path(folder.path(), 1, "ndjson");
    let whole = fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(37) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&file, flipped).unwrap();
        assert_eq!(check(&folder).findings.len(), 1, "byte {at}");
    }
}

#[test]
fn rows_that_are_missing_moved_or_added_are_named() {
    let folder = exported();
    let file = path(folder.path(), 1, "ndjson");
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let with = |order: &[usize]| {
        let rows: Vec<&str> = order.iter().map(|place| lines[*place]).collect();
        fs::write(&file, rows.join("\n")).unwrap();
        finding(&folder)
    };
    let name = "audit-2026-02-21.ndjson";
    assert_eq!(
        with(&[0, 1, 3, 4, 5, 6, 7, 8, 9]),
        format!("{name} has no entry 13: a row is missing")
    );
    assert_eq!(
        with(&[0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        format!("{name} has entry 12 where 13 belongs: rows were moved or doubled")
    );
    assert_eq!(
        with(&[0, 1, 2, 3]),
        format!("{name} ends before entry 15, and its checkpoint states 11 to 20")
    );
    assert_eq!(
        with(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]),
        format!("{name} goes on after entry 20, the last that its checkpoint states")
    );
    assert!(with(&[1, 2, 3]).starts_with(&format!("{name} begins with entry 12")));
    fs::write(&file, &whole[..whole.len() - 20]).unwrap();
    assert_eq!(
        finding(&folder),
        format!("{name} has a line 10 that is no entry: it was changed or cut")
    );
}

#[test]
fn a_missing_day_is_found() {
    let folder = exported();
    for extension in ["ndjson", "parquet", "checkpoint"] {
        fs::remove_file(path(folder.path(), 1, extension)).unwrap();
    }
    assert_eq!(
        finding(&folder),
        "entries 11 to 20 are missing: files of a day between 2026-02-20 and 2026-02-22 are gone"
    );
}

#[test]
fn a_day_without_its_checkpoint_or_without_its_rows_is_found() {
    let folder = exported();
    fs::remove_file(path(folder.path(), 2, "checkpoint")).unwrap();
    assert_eq!(
        finding(&folder),
        "2026-02-22 has no checkpoint, so nothing vouches for its rows"
    );

    let folder = exported();
    fs::remove_file(path(folder.path(), 1, "ndjson")).unwrap();
    fs::remove_file(path(folder.path(), 1, "parquet")).unwrap();
    assert_eq!(
        finding(&folder),
        "2026-02-21 has a checkpoint and no rows: its files are missing"
    );
}

#[test]
fn swapped_files_are_found() {
    for extension in ["ndjson", "parquet"] {
        let folder = exported();
        fs::copy(path(folder.path(), 0, extension), path(folder.path(), 2, extension)).unwrap();
        assert_eq!(
            finding(&folder),
            format!(
                "audit-2026-02-22.{extension} begins with entry 1, and its checkpoint states 21 to 30: rows are missing, \
                 or it is the file of another day"
            )
        );
    }
    let folder = exported();
    fs::copy(
        path(folder.path(), 0, "checkpoint"),
        path(folder.path(), 2, "checkpoint"),
    )
    .unwrap();
    assert_eq!(
        finding(&folder),
        "audit-2026-02-22.checkpoint is the checkpoint of 2026-02-20: files were renamed or swapped"
    );
}

#[test]
fn a_wrong_key_is_said_to_be_one() {
    let folder = exported();
    let report = super::folder(folder.path(), &key(8).public(), |_| {}).unwrap();
    assert_eq!((report.days, report.findings.len()), (0, 3));
    assert_eq!(
        report.findings[0],
        "audit-2026-02-20.checkpoint is signed with another key than the one that was given"
    );
}

#[test]
fn a_changed_checkpoint_is_found() {
    let folder = exported();
    let file = path(folder.path(), 2, "checkpoint");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("seq: 30", "seq: 29")).unwrap();
    assert_eq!(
        finding(&folder),
        "audit-2026-02-22.checkpoint was changed: its signature does not fit"
    );
    fs::write(&file, "hello").unwrap();
    assert_eq!(
        finding(&folder),
        "audit-2026-02-22.checkpoint is not a checkpoint of this version of Tollgate"
    );
}

#[test]
fn days_of_two_stores_are_told_apart() {
    let folder = exported();
    write(folder.path(), 2, 9, &key(7));
    assert_eq!(finding(&folder), "2026-02-22 is of another store than 2026-02-21");
}

#[test]
fn a_parquet_file_that_is_none_is_a_finding() {
    let folder = exported();
    let file = path(folder.path(), 1, "parquet");
    let whole = fs::read(&file).unwrap();
    for bytes in [&b"PAR1"[..], b"", &whole[..whole.len() / 2]] {
        fs::write(&file, bytes).unwrap();
        assert!(
            finding(&folder).starts_with("audit-2026-02-21.parquet is no Parquet file that can be read: "),
            "{}",
            finding(&folder)
        );
    }
}

#[test]
fn an_empty_folder_proves_nothing_and_a_missing_one_is_an_error() {
    let folder = TempDir::new().unwrap();
    assert_eq!(finding(&folder), "there is no exported day in this folder");
    let missing = folder.path().join("none");
    let error = super::folder(&missing, &key(7).public(), |_| {}).unwrap_err();
    assert!(error.to_string().starts_with(&missing.display().to_string()));
}
