//! The export of each day of the log book, once it has ended, to where it is kept for good.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio_util::task::TaskTracker;

use super::checkpoint::Checkpoint;
use super::name::{DayFile, Part};
use super::reading::{Piece, Reading, ReadingError};
use super::root::Root;
use crate::config::{AuditExport, Aws};
use crate::crypto::signing::CheckpointKey;
use crate::model::clock::Timestamp;
use crate::model::day::Day;
use crate::model::export::Format;
use crate::object::{ObjectError, ObjectStorage};
use crate::store::error::StoreError;
use crate::store::exports::{self, NoteProgress, Progress, Span};
use crate::store::{Rows, Store};
use crate::telemetry::metrics;

/// Why days are not exported.
#[derive(Debug, thiserror::Error)]
pub enum DailyError {
    /// The place cannot be written.
    #[error(transparent)]
    Place(#[from] ObjectError),
    /// The entries cannot be read.
    #[error(transparent)]
    Reading(#[from] ReadingError),
    /// The place has this day already, and other entries in it.
    #[error(
        "{place} holds {day} already, with other entries: another store writes there, or this one was put back; set \
         AUDIT_EXPORT_URL to a place of its own"
    )]
    Differs {
        /// The place.
        place: String,
        /// The day.
        day: Day,
    },
}

impl From<StoreError> for DailyError {
    fn from(error: StoreError) -> Self {
        Self::Reading(error.into())
    }
}

/// Exports days that have ended, in order and each once.
///
/// A day is begun in the store with the numbers of its entries, then its files are written, each whole or not at all,
/// then its checkpoint, and then the store notes that it is done. So a day that was interrupted is done again with the same
/// entries, and a day that has a checkpoint is never written differently.
pub struct Daily {
    store: Store,
    settings: AuditExport,
    aws: Aws,
    cleaning: TaskTracker,
    key: Arc<CheckpointKey>,
}

impl Daily {
    /// What exports the days of `store`. Among the tasks of `cleaning`, parts of a day that was given up are taken away:
    /// who ends the process waits for it.
    #[must_use]
    pub fn new(store: Store, settings: AuditExport, aws: Aws, cleaning: TaskTracker) -> Self {
        let key = Arc::new(CheckpointKey::derive(&store.keyring().id));
        Self {
            store,
            settings,
            aws,
            cleaning,
            key,
        }
    }

    /// Exports every day that has ended at `now` and is not exported yet; returns how many it was.
    ///
    /// # Errors
    /// [`DailyError`]: the next call begins with the day that failed.
    ///
    /// # Cancel safety
    /// A day that was dropped half-way is done again.
    pub async fn catch_up(&self, now: Timestamp) -> Result<u64, DailyError> {
        let done = self.export_until(now).await;
        match done {
            Ok(_) => metrics::exported(now.as_seconds()),
            Err(_) => metrics::export_failed(),
        }
        done
    }

    async fn export_until(&self, now: Timestamp) -> Result<u64, DailyError> {
        let ended = Day::of(now.minus(GRACE)).previous();
        let mut days = 0;
        while let Some((day, span)) = self.due(ended).await? {
            let place = ObjectStorage::open(&self.settings.url, &self.aws).await?;
            let place = place.cleaning_in(&self.cleaning);
            self.export(&place, day, &span).await?;
            let done = Progress::Done { day, last: span.last };
            self.store.change(NoteProgress(done)).await?;
            tracing::info!(
                day = %day,
                first = span.first,
                last = span.last,
                place = %place,
                "a day of the log book was exported"
            );
            days += 1;
        }
        Ok(days)
    }

    /// The next day to export, up to `ended`, noted as begun.
    async fn due(&self, ended: Day) -> Result<Option<(Day, Span)>, StoreError> {
        let found = self.store.read_aside(move |rows| next(rows, ended)).await?;
        let Some((day, span, progress)) = found else {
            return Ok(None);
        };
        let begun = Progress::Begun {
            day,
            first: span.first,
            last: span.last,
        };
        if progress != Some(begun) {
            self.store.change(NoteProgress(begun)).await?;
        }
        let expected = progress.map_or(span.first, |progress| progress.through() + 1);
        if expected < span.first {
            tracing::error!(
                first = expected,
                last = span.first - 1,
                "entries of the log book were removed before they were exported"
            );
        }
        Ok(Some((day, span)))
    }

    async fn export(&self, place: &ObjectStorage, day: Day, span: &Span) -> Result<(), DailyError> {
        let name = DayFile {
            day,
            part: Part::Checkpoint,
        };
        let name = name.to_string();
        let held = held(place, &name).await?;
        let mut root = None;
        if held.is_some() {
            let all = Reading::new(self.store.clone(), Format::Ndjson, span.first, span.last);
            let all = all.map_err(ReadingError::from)?.root().await?;
            if held != Some(self.signed(day, span, &all)) {
                return Err(DailyError::Differs {
                    place: place.to_string(),
                    day,
                });
            }
            root = Some(all);
        }
        for format in &self.settings.formats {
            let part = Part::Rows(*format);
            let file = DayFile { day, part }.to_string();
            let is_there = match (&held, place.head(&file).await) {
                (None, _) | (_, Err(ObjectError::Missing { .. })) => false,
                (Some(_), Ok(_)) => true,
                (Some(_), Err(error)) => return Err(error.into()),
            };
            if !is_there {
                root = Some(self.write(place, &file, *format, span).await?);
            }
        }
        if let (None, Some(root)) = (held, root) {
            place.put(&name, self.signed(day, span, &root).into()).await?;
        }
        Ok(())
    }

    /// The text of a day's checkpoint.
    fn signed(&self, day: Day, span: &Span, root: &Root) -> String {
        let checkpoint = Checkpoint::of_day(self.store.id(), day, span, root.digest());
        checkpoint.sign(&self.key).to_string()
    }

    async fn write(&self, place: &ObjectStorage, file: &str, format: Format, span: &Span) -> Result<Root, DailyError> {
        let reading = Reading::new(self.store.clone(), format, span.first, span.last);
        let mut reading = reading.map_err(ReadingError::from)?;
        let mut upload = place.upload(file).await?;
        let written = async {
            let mut root = Root::new();
            while let Some(piece) = reading.next().await? {
                let bytes = match piece {
                    Piece::Bytes(bytes) => bytes,
                    Piece::Last(bytes, all) => {
                        root = all;
                        bytes
                    }
                };
                upload.write(bytes.into()).await?;
            }
            Ok::<_, DailyError>(root)
        };
        match written.await {
            Ok(root) => {
                upload.finish().await?;
                Ok(root)
            }
            Err(error) => {
                if let Err(left) = upload.abort().await {
                    tracing::warn!(error = %left, "parts of an export that was given up may be left");
                }
                Err(error)
            }
        }
    }
}

/// The next day that has entries which are not exported, with how far the export has come.
fn next(rows: &mut impl Rows, ended: Day) -> Result<Option<(Day, Span, Option<Progress>)>, StoreError> {
    let progress = exports::progress(rows)?;
    if let Some(Progress::Begun { day, first, last }) = progress
        && let Some(span) = exports::span(rows, first, last)?
    {
        return Ok(Some((day, span, progress)));
    }
    // What was begun and is no longer whole goes on with what is left of it.
    let (from, earliest) = match progress {
        None => (1, None),
        Some(Progress::Begun { day, first, .. }) => (first, Some(day)),
        Some(Progress::Done { day, last }) => (last + 1, Some(day.next())),
    };
    let from = from.max(exports::first_kept(rows)?);
    let Some(at) = exports::moment(rows, from)? else {
        return Ok(None);
    };
    // An entry of a day to come was written by a clock that was ahead: it goes with those around it.
    let seeming = Day::of(at).min(ended);
    let day = earliest.map_or(seeming, |earliest| earliest.max(seeming));
    if day > ended {
        return Ok(None);
    }
    let span = exports::until(rows, from, day.ends_at())?;
    Ok(span.map(|span| (day, span, progress)))
}

/// The text of an object that is small, if it is there.
async fn held(place: &ObjectStorage, name: &str) -> Result<Option<String>, ObjectError> {
    let mut stream = match place.read(name).await {
        Ok(stream) => stream,
        Err(ObjectError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    while let Some(piece) = stream.try_next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LARGEST_CHECKPOINT {
            break;
        }
    }
    Ok(Some(String::from_utf8_lossy(&Bytes::from(bytes)).into_owned()))
}

/// How long after midnight a day counts as ended: writes that were taken before it are on the disk by then.
const GRACE: Duration = Duration::from_mins(1);

/// Far above what a checkpoint takes.
const LARGEST_CHECKPOINT: usize = 64 << 10;
