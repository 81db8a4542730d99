//! `audit export --to-dir`: each day of the log book as files of its own, with a signed checkpoint.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::AUDIT;
use super::export::{self, Wanted};
use super::view::EntryView;
use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::page::Page;
use crate::cli::progress;
use crate::cli::table::{Look, fields};
use crate::cli::target::Target;
use crate::export::{DayFile, Part};
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::day::Day;
use crate::model::export::Format;

/// Where days go, and which.
pub(super) struct Days<'a> {
    pub(super) folder: &'a Path,
    pub(super) formats: &'a [Format],
    pub(super) from: Option<Day>,
    pub(super) to: Option<Day>,
}

/// What was written.
#[derive(Debug, Default, Serialize)]
struct Summary {
    folder: String,
    written: u64,
    already_there: u64,
    first: Option<String>,
    last: Option<String>,
    public_key: Option<String>,
}

/// What of a checkpoint is read.
#[derive(Deserialize)]
struct CheckpointView {
    text: String,
    public_key: String,
}

impl Days<'_> {
    /// Writes every day that has ended and has entries, the checkpoint last. A day that is there already stays as it is.
    pub(super) async fn run(&self, target: &Target, output: Output) -> Result<(), CliError> {
        let (from, to) = self.bounds(target).await?;
        fs::create_dir_all(self.folder).map_err(failed(self.folder))?;
        let bar = progress::bytes();
        let mut written = Summary {
            folder: self.folder.display().to_string(),
            ..Summary::default()
        };
        let mut day = from;
        while day <= to {
            bar.set_message(format!("{day}: "));
            if let Some(checkpoint) = checkpoint(target, day).await? {
                match self.day(day, &checkpoint, target, &bar).await? {
                    0 => written.already_there += 1,
                    _ => written.written += 1,
                }
                written.first.get_or_insert_with(|| day.to_string());
                written.last = Some(day.to_string());
                written.public_key = Some(checkpoint.public_key);
            }
            day = day.next();
        }
        bar.finish_and_clear();
        output.show(&written)
    }

    /// The first and the last day: of the oldest entry, and yesterday, unless told.
    async fn bounds(&self, target: &Target) -> Result<(Day, Day), CliError> {
        let today = Day::of(SystemClock.wall());
        let to = self.to.unwrap_or(today.previous());
        if to >= today {
            return Err(CliError::Usage(format!(
                "{to} has not ended (it is {today}, UTC), and a day is written once: end with --to {}",
                today.previous()
            )));
        }
        let from = match self.from {
            Some(from) => from,
            None => oldest(target).await?.unwrap_or(to),
        };
        Ok((from, to))
    }

    /// Writes what is missing of a day; returns how many files that was.
    async fn day(
        &self,
        day: Day,
        checkpoint: &CheckpointView,
        target: &Target,
        bar: &indicatif::ProgressBar,
    ) -> Result<usize, CliError> {
        let path = self.path(day, Part::Checkpoint);
        let held = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path)(error)),
        };
        if held.as_ref().is_some_and(|held| *held != checkpoint.text) {
            return Err(failed(&path)(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "another export of this day is there: write to a folder of its own",
            )));
        }
        let mut files = 0;
        for format in self.formats {
            let path = self.path(day, Part::Rows(*format));
            if held.is_some() && path.try_exists().map_err(failed(&path))? {
                continue;
            }
            let wanted = Wanted {
                format: *format,
                from: Some(day),
                to: Some(day),
            };
            let file = export::download(wanted, &path, target, bar).await?;
            file.persist(&path).map_err(|error| failed(&path)(error.error))?;
            files += 1;
        }
        if held.is_none() {
            self.keep(&path, &checkpoint.text).map_err(failed(&path))?;
            files += 1;
        }
        Ok(files)
    }

    fn keep(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(self.folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        fs::File::open(self.folder)?.sync_all()
    }

    fn path(&self, day: Day, part: Part) -> PathBuf {
        self.folder.join(DayFile { day, part }.to_string())
    }
}

/// The day of the oldest entry that is kept.
async fn oldest(target: &Target) -> Result<Option<Day>, CliError> {
    let filters = [("limit", Some("1")), ("order", Some("asc"))];
    let page = Page::<EntryView>::get(target, AUDIT, &filters).await?;
    let at = page.items.first().and_then(|entry| entry.at.parse::<Timestamp>().ok());
    Ok(at.map(Day::of))
}

/// The checkpoint of a day, if entries of it are kept.
async fn checkpoint(target: &Target, day: Day) -> Result<Option<CheckpointView>, CliError> {
    match target.get(&format!("{AUDIT}/checkpoint/{day}")).await {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(CliError::Refused { code, .. }) if code == "NOT_FOUND" => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File {
        path: path.clone(),
        source,
    }
}

impl Show for Summary {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("folder", Cell::new(&self.folder)),
            ("days written", Cell::new(self.written)),
            ("already there", Cell::new(self.already_there)),
        ];
        if let (Some(first), Some(last)) = (&self.first, &self.last) {
            rows.push(("days", Cell::new(format!("{first} to {last}"))));
        }
        if let Some(key) = &self.public_key {
            rows.push(("public key", Cell::new(key)));
        }
        fields(rows, look)
    }
}
