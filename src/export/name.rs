//! The names of a day's files.

use std::fmt;
use std::str::FromStr;

use crate::model::day::Day;
use crate::model::export::Format;

/// One of a day's files, shown and parsed as its name: `audit-2026-02-24.parquet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayFile {
    /// The day.
    pub day: Day,
    /// What it holds.
    pub part: Part,
}

/// What a day's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The signed checkpoint: written last, so that a day that has one is whole.
    Checkpoint,
    /// The rows.
    Rows(Format),
}

impl fmt::Display for DayFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extension = match self.part {
            Part::Checkpoint => "checkpoint",
            Part::Rows(format) => format.label(),
        };
        write!(f, "audit-{}.{extension}", self.day)
    }
}

/// A name that is not one of a day's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseNameError;

impl FromStr for DayFile {
    type Err = ParseNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (day, extension) = name
            .strip_prefix("audit-")
            .and_then(|rest| rest.split_once('.'))
            .ok_or(ParseNameError)?;
        let part = match extension {
            "checkpoint" => Part::Checkpoint,
            format => Part::Rows(format.parse().map_err(|_| ParseNameError)?),
        };
        Ok(Self {
            day: day.parse().map_err(|_| ParseNameError)?,
            part,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_what_it_shows_and_nothing_else() {
        for name in [
            "audit-2026-02-24.parquet",
            "audit-2026-02-24.ndjson",
            "audit-2026-02-24.checkpoint",
        ] {
            assert_eq!(name.parse::<DayFile>().unwrap().to_string(), name);
        }
        for name in [
            "audit-2026-02-24",
            "audit-2026-2-24.ndjson",
            "2026-02-24.ndjson",
            "audit-2026-02-24.ndjson.tmp",
        ] {
            assert_eq!(name.parse::<DayFile>(), Err(ParseNameError), "{name}");
        }
    }
}
