//! `tollgate backup`: the whole store to a file, a bucket, or where the server puts its own backups.

mod arrival;
pub(super) mod restore;

use std::str::FromStr;

use bytes::Bytes;
use clap::Args;
use comfy_table::Cell;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use self::arrival::Arrival;
use super::error::CliError;
use super::output::{self, Output, Show};
use super::progress;
use super::reach::Reach;
use super::startup;
use super::table::{Look, fields, moment};
use super::target::Target;
use crate::backup::{self, SUFFIX};
use crate::model::object_url::ObjectUrl;
use crate::object::{ObjectStorage, Upload};

/// Back up the whole store while calls run: secrets in it stay sealed, restoring it needs the master key
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    /// Where to: a folder or `s3://bucket/prefix`, where the backup gets a name of its own; with a name that ends in
    /// .backup, exactly there; - for standard output. Without one, where `BACKUP_URL` of the server says
    #[arg(value_name = "TARGET", value_parser = destination)]
    pub(super) target: Option<Destination>,
}

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// To standard output.
    Output,
    /// To a place, under this name or one of its own.
    Place(ObjectUrl, Option<String>),
}

fn destination(text: &str) -> Result<Destination, String> {
    if text == "-" {
        return Ok(Destination::Output);
    }
    let url = ObjectUrl::from_str(text).map_err(|error| format!("it {error}"))?;
    if !text.ends_with(SUFFIX) {
        return Ok(Destination::Place(url, None));
    }
    let (place, name) = url.split_name().ok_or("it names no file")?;
    Ok(Destination::Place(place, Some(name)))
}

/// Does it and prints the outcome.
pub(super) async fn run(to: Option<Destination>, target: &Target, output: Output) -> Result<(), CliError> {
    match to {
        None => output.show(&target.post::<Report>(BACKUP).await?),
        Some(Destination::Output) => {
            let mut arrival = Arrival::begin(target.stream(BACKUP).await?);
            while let Some(piece) = arrival.piece().await? {
                output::write(&piece)?;
            }
            arrival.finish().map(drop)
        }
        Some(Destination::Place(url, name)) => output.show(&download(&url, name, target).await?),
    }
}

/// Has the bytes sent here and writes them to a place. No part of them is left there under the name if that fails.
async fn download(url: &ObjectUrl, name: Option<String>, target: &Target) -> Result<Report, CliError> {
    let place = ObjectStorage::open(url, &startup::aws()?).await?;
    let mut arrival = Arrival::begin(target.stream(BACKUP).await?);
    let first = arrival.until_header().await?;
    let header = arrival.header()?.clone();
    let name = name.unwrap_or_else(|| backup::name(&header));
    let mut upload = place.upload(&name).await?;
    let bar = progress::rows(header.facts.rows);
    let begun = tokio::time::Instant::now();
    if let Err(error) = pour(&mut arrival, first, &mut upload, &bar).await {
        // Why it failed matters more than what could not be taken away.
        drop(upload.abort().await);
        return Err(error);
    }
    upload.finish().await?;
    bar.finish();
    let arrived = arrival.finish()?;
    Ok(Report {
        place: place.to_string(),
        name,
        at: header.at.to_string(),
        bytes: arrived.bytes,
        rows: arrived.rows,
        duration_seconds: begun.elapsed().as_secs_f64(),
        removed: Vec::new(),
    })
}

async fn pour(arrival: &mut Arrival, first: Bytes, upload: &mut Upload, bar: &ProgressBar) -> Result<(), CliError> {
    upload.write(first).await?;
    while let Some(piece) = arrival.piece().await? {
        upload.write(piece).await?;
        bar.set_position(arrival.rows());
    }
    arrival.complete()
}

/// A backup that was made.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    place: String,
    name: String,
    at: String,
    bytes: u64,
    rows: u64,
    duration_seconds: f64,
    #[serde(default)]
    removed: Vec<String>,
}

impl Show for Report {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("backup", Cell::new(format!("{}/{}", self.place, self.name))),
            ("as of", moment(Some(&self.at))),
            ("size", Cell::new(indicatif::HumanBytes(self.bytes))),
            ("rows", Cell::new(indicatif::HumanCount(self.rows))),
            ("took", Cell::new(format!("{:.1} s", self.duration_seconds))),
        ];
        if !self.removed.is_empty() {
            rows.push(("removed", Cell::new(self.removed.join("\n"))));
        }
        fields(rows, look)
    }
}

const BACKUP: &str = "/admin/backup";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_like_a_backup_is_the_backups_own() {
        let place = |text: &str| ObjectUrl::from_str(text).unwrap();
        for (text, expected) in [
            ("-", Destination::Output),
            ("/data/backups", Destination::Place(place("/data/backups"), None)),
            ("s3://bucket/x", Destination::Place(place("s3://bucket/x"), None)),
            (
                "s3://bucket/x/y.backup",
                Destination::Place(place("s3://bucket/x"), Some("y.backup".to_owned())),
            ),
            ("y.backup", Destination::Place(place("."), Some("y.backup".to_owned()))),
        ] {
            assert_eq!(destination(text), Ok(expected), "{text}");
        }
        assert!(destination("ftp://x").is_err());
    }
}
