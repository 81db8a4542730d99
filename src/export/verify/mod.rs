//! Checking an exported folder without the store and without any secret: with the public key alone.

mod lines;
mod rows;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, DayRows, Signed};
use super::name::{DayFile, Part};
use crate::crypto::signing::PublicKey;
use crate::model::day::Day;
use crate::model::export::Format;

/// What checking a folder found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Days whose checkpoint is believed.
    pub days: u64,
    /// The first of them, and its first entry.
    pub first: Option<(Day, u64)>,
    /// The last of them, and its last entry.
    pub last: Option<(Day, u64)>,
    /// What is wrong, one sentence each; nothing where all is well.
    pub findings: Vec<String>,
}

/// A folder that cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct UnreadableFolder {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Checks every day of a folder: its checkpoint's signature, that its rows are those that were signed, and that it
/// follows the day before without a gap. `looked_at` is told of each file.
///
/// It reads each file once and holds one row of it, in Parquet some thousands.
///
/// # Errors
/// [`UnreadableFolder`]. Whatever is wrong with a file is a finding.
pub fn folder(folder: &Path, key: &PublicKey, mut looked_at: impl FnMut(DayFile)) -> Result<Report, UnreadableFolder> {
    let Files { days, strays } = files(folder).map_err(|source| UnreadableFolder {
        path: folder.to_owned(),
        source,
    })?;
    let mut report = Report::default();
    for name in strays {
        report.find(format_args!(
            "{name} is no file of a day, and an engine that reads audit-* reads it"
        ));
    }
    let mut previous: Option<Checkpoint> = None;
    for (day, parts) in days {
        let name = DayFile {
            day,
            part: Part::Checkpoint,
        };
        looked_at(name);
        if !parts.contains(&Part::Checkpoint) {
            report.find(format_args!("{day} has no checkpoint, so nothing vouches for its rows"));
            continue;
        }
        let (checkpoint, stated) = match checkpoint(folder, name, key) {
            Ok(found) => found,
            Err(finding) => {
                report.find(finding);
                continue;
            }
        };
        if let Some(previous) = &previous {
            report.follow(previous, &checkpoint, &stated);
        }
        let formats = parts.iter().filter_map(|part| match part {
            Part::Rows(format) => Some(*format),
            Part::Checkpoint => None,
        });
        let mut files = 0;
        for format in formats {
            let name = DayFile {
                day,
                part: Part::Rows(format),
            };
            looked_at(name);
            files += 1;
            if let Err(finding) = check_rows(&folder.join(name.to_string()), format, &checkpoint, &stated) {
                report.find(format_args!("{name} {finding}"));
            }
        }
        if files == 0 {
            report.find(format_args!(
                "{day} has a checkpoint and no rows: its files are missing"
            ));
        }
        report.days += 1;
        report.first.get_or_insert((day, stated.first));
        report.last = Some((day, checkpoint.head.seq));
        previous = Some(checkpoint);
    }
    if report.days == 0 && report.findings.is_empty() {
        report.find("there is no exported day in this folder");
    }
    Ok(report)
}

impl Report {
    fn find(&mut self, finding: impl fmt::Display) {
        self.findings.push(finding.to_string());
    }

    /// Whether a day follows the one before it in the folder.
    fn follow(&mut self, previous: &Checkpoint, checkpoint: &Checkpoint, stated: &DayRows) {
        let day = stated.day;
        let before = previous.day.map_or(day, |rows| rows.day);
        let expected = previous.head.seq + 1;
        if checkpoint.store != previous.store {
            self.find(format_args!("{day} is of another store than {before}"));
        } else if stated.first > expected {
            self.find(format_args!(
                "entries {expected} to {} are missing: files of a day between {before} and {day} are gone",
                stated.first - 1
            ));
        } else if stated.first < expected {
            self.find(format_args!(
                "{day} begins with entry {}, which {before} has already",
                stated.first
            ));
        } else if stated.before != previous.head.digest {
            self.find(format_args!(
                "{day} does not follow {before}: entry {} was another one when {day} was written",
                previous.head.seq
            ));
        }
    }
}

/// What a folder holds of a log book. Whatever else is there is not ours.
#[derive(Default)]
struct Files {
    /// The files of every day.
    days: BTreeMap<Day, Vec<Part>>,
    /// Rows under a name that is like those of days, which nothing vouches for.
    strays: Vec<String>,
}

fn files(folder: &Path) -> io::Result<Files> {
    let mut files = Files::default();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        match name.parse::<DayFile>() {
            Ok(file) => files.days.entry(file.day).or_default().push(file.part),
            Err(_) if is_like_rows(&name) => files.strays.push(name),
            Err(_) => {}
        }
    }
    for parts in files.days.values_mut() {
        parts.sort_unstable();
    }
    files.strays.sort_unstable();
    Ok(files)
}

/// Whether one who reads every day by `audit-*` and the ending of its format reads a file of this name, too.
fn is_like_rows(name: &str) -> bool {
    let ending = name.strip_prefix("audit-").and_then(|rest| rest.rsplit_once('.'));
    ending.is_some_and(|(_, ending)| ending.parse::<Format>().is_ok())
}

/// A day's checkpoint, if it is believed, with what it states of the day.
fn checkpoint(folder: &Path, name: DayFile, key: &PublicKey) -> Result<(Checkpoint, DayRows), String> {
    let mut text = String::new();
    File::open(folder.join(name.to_string()))
        .and_then(|file| file.take(CHECKPOINT_BYTES).read_to_string(&mut text))
        .map_err(|error| format!("{name} cannot be read: {error}"))?;
    let signed: Signed = text.parse().map_err(|error| format!("{name} {error}"))?;
    let checkpoint = *signed.believe(key).map_err(|error| format!("{name} {error}"))?;
    match checkpoint.day {
        Some(rows) if rows.day == name.day => Ok((checkpoint, rows)),
        Some(rows) => Err(format!(
            "{name} is the checkpoint of {}: files were renamed or swapped",
            rows.day
        )),
        None => Err(format!("{name} is a checkpoint of no day")),
    }
}

/// Whether a file holds what its checkpoint states. What is wrong reads on after the file's name.
fn check_rows(path: &Path, format: Format, checkpoint: &Checkpoint, stated: &DayRows) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    match format {
        Format::Ndjson => rows::check(lines::ndjson(file), checkpoint, stated),
        Format::Parquet => rows::check(lines::parquet(file)?, checkpoint, stated),
    }
}

/// Far above what a checkpoint takes.
const CHECKPOINT_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests;
