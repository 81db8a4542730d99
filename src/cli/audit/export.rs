//! `audit export`: the log book as one file.

use std::io::{self, Write};
use std::path::Path;

use indicatif::ProgressBar;
use tempfile::NamedTempFile;

use super::AUDIT;
use crate::cli::error::CliError;
use crate::cli::output::write;
use crate::cli::page::with_query;
use crate::cli::progress;
use crate::cli::target::Target;
use crate::model::day::Day;
use crate::model::export::Format;

/// Which entries are exported, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) format: Format,
    pub(super) from: Option<Day>,
    pub(super) to: Option<Day>,
}

/// Writes to the file `out`, or to standard output. The file appears when it is whole, and no other is overwritten.
pub(super) async fn run(wanted: Wanted, out: Option<&Path>, target: &Target) -> Result<(), CliError> {
    let Some(out) = out else {
        let mut answer = target.stream(&wanted.path()).await?;
        while let Some(piece) = answer.piece().await? {
            write(&piece)?;
        }
        return Ok(());
    };
    let failed = |source| CliError::File {
        path: out.to_owned(),
        source,
    };
    if out.try_exists().map_err(failed)? {
        return Err(failed(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it is there already; choose another name, or remove it first",
        )));
    }
    let bar = progress::bytes();
    let file = download(wanted, out, target, &bar).await?;
    file.persist_noclobber(out).map_err(|error| failed(error.error))?;
    bar.finish();
    Ok(())
}

/// The export as a file beside `out`, synced and without its name.
pub(super) async fn download(
    wanted: Wanted,
    out: &Path,
    target: &Target,
    bar: &ProgressBar,
) -> Result<NamedTempFile, CliError> {
    let failed = |source| CliError::File {
        path: out.to_owned(),
        source,
    };
    let mut file = NamedTempFile::new_in(folder(out)).map_err(failed)?;
    let mut answer = target.stream(&wanted.path()).await?;
    while let Some(piece) = answer.piece().await? {
        file.write_all(&piece).map_err(failed)?;
        bar.inc(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

impl Wanted {
    fn path(&self) -> String {
        let (from, to) = (self.from.map(|day| day.to_string()), self.to.map(|day| day.to_string()));
        let filters = [
            ("format", Some(self.format.label())),
            ("from", from.as_deref()),
            ("to", to.as_deref()),
        ];
        with_query(&format!("{AUDIT}/export"), &filters)
    }
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
