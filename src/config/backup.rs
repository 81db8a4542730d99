//! Backups that are made without being asked for.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::aws::Aws;
use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::object_url::ObjectUrl;

/// Backups that are made without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// `BACKUP_URL`: the place they go to.
    pub url: ObjectUrl,
    /// `BACKUP_EVERY`: from one to the next; zero for those only that are asked for.
    pub every: Duration,
    /// `BACKUP_KEEP`: how many of this store are kept there; the oldest go.
    pub keep: NonZeroUsize,
}

impl Backup {
    /// What the variables say; nothing without a place.
    pub(super) fn read(reader: &mut Reader<'_>, aws: &Aws) -> Option<Self> {
        let every = reader.value_or("BACKUP_EVERY", DAY, every);
        let keep = reader.value("BACKUP_KEEP", value::positive);
        let url = aws.place(reader, "BACKUP_URL", "/data/backups")?;
        Some(Self {
            url,
            every,
            keep: keep.unwrap_or(KEPT),
        })
    }
}

fn every(text: &str) -> Result<Duration, Wrong> {
    match value::duration(text)? {
        length if length.is_zero() || length >= LEAST => Ok(length),
        _ => Err(Wrong::new(
            "is too short",
            "set at least 1m, or 0 for no backups but those that are asked for",
        )),
    }
}

const DAY: Duration = Duration::from_hours(24);
const LEAST: Duration = Duration::from_mins(1);
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(6);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapVars;

    fn read(vars: &MapVars) -> (Option<Backup>, Vec<String>) {
        let mut reader = Reader::new(vars);
        let aws = Aws::read(&mut reader);
        let backup = Backup::read(&mut reader, &aws);
        let wrong = reader.mistakes.into_iter().map(|mistake| mistake.variable).collect();
        (backup, wrong)
    }

    #[test]
    fn a_place_is_all_that_daily_backups_need() {
        let (backup, wrong) = read(&MapVars::default().with("BACKUP_URL", "/data/backups"));
        let backup = backup.unwrap();
        assert_eq!((backup.every, backup.keep.get(), wrong.len()), (DAY, 7, 0));
        assert_eq!(read(&MapVars::default()), (None, vec![]));
    }

    #[test]
    fn a_bucket_needs_credentials() {
        let vars = MapVars::default().with("BACKUP_URL", "s3://bucket/x");
        assert_eq!(read(&vars).1, ["BACKUP_URL"]);
        let vars = vars.with("AWS_ACCESS_KEY_ID", "id").with("AWS_SECRET_ACCESS_KEY", "x");
        assert_eq!(read(&vars).1, [""; 0]);
    }

    #[test]
    fn what_would_back_up_all_the_time_or_keep_nothing_is_refused() {
        let with = |name, text| read(&MapVars::default().with(name, text)).1;
        assert_eq!(with("BACKUP_EVERY", "5s"), ["BACKUP_EVERY"]);
        assert_eq!(with("BACKUP_KEEP", "0"), ["BACKUP_KEEP"]);
        assert_eq!(with("BACKUP_URL", "ftp://x"), ["BACKUP_URL"]);
        assert_eq!(with("BACKUP_EVERY", "0"), [""; 0]);
    }
}
