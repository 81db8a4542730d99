//! `audit export`: the whole log book as lines of JSON.

use std::io::{self, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;

use super::AUDIT;
use super::view::EntryView;
use crate::cli::error::CliError;
use crate::cli::output::write;
use crate::cli::page::Page;
use crate::cli::target::Target;

/// Writes to the file `out`, or to standard output. The file appears when it is whole, and no other is overwritten.
pub(super) async fn run(out: Option<&Path>, target: &Target) -> Result<(), CliError> {
    let path = format!("{AUDIT}/export");
    let Some(out) = out else {
        let mut answer = target.stream(&path).await?;
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
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let mut file = NamedTempFile::new_in(folder(out)).map_err(failed)?;
    let bar = bar(count(target).await?);
    let mut answer = target.stream(&path).await?;
    while let Some(piece) = answer.piece().await? {
        file.write_all(&piece).map_err(failed)?;
        let lines = piece.split(|byte| *byte == b'\n').count() - 1;
        bar.inc(u64::try_from(lines).unwrap_or(u64::MAX));
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(out).map_err(|error| failed(error.error))?;
    bar.finish();
    Ok(())
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// How many entries there are now, by the numbers of the oldest and the newest; more may be added meanwhile.
async fn count(target: &Target) -> Result<u64, CliError> {
    let end = async |order| -> Result<Option<u64>, CliError> {
        let filters = [("limit", Some("1")), ("order", Some(order))];
        let page = Page::<EntryView>::get(target, AUDIT, &filters).await?;
        Ok(page.items.first().map(|entry| entry.id))
    };
    Ok(match (end("asc").await?, end("desc").await?) {
        (Some(oldest), Some(newest)) => newest.saturating_sub(oldest).saturating_add(1),
        _ => 0,
    })
}

/// A progress bar on standard error; it is hidden where that is no terminal.
fn bar(entries: u64) -> ProgressBar {
    let bar = ProgressBar::new(entries);
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

const BAR: &str = "{bar:40} {human_pos} of {human_len} entries, {eta} left";
