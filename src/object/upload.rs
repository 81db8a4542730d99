//! An object that is being written.

use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use object_store::WriteMultipart;
use tempfile::NamedTempFile;

use super::error::ObjectError;

/// An object that is being written. It has its name when [`Upload::finish`] returns, and not before: one that is
/// dropped leaves no file, but may leave parts in a bucket, which [`Upload::abort`] takes away.
///
/// Holds at most [`PARTS_IN_FLIGHT`] + 1 parts of [`PART_BYTES`] in memory.
#[derive(Debug)]
pub struct Upload {
    shown: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A file beside the one that it will be. `None` while, or because, a write failed.
    File {
        staged: Option<NamedTempFile>,
        target: PathBuf,
    },
    Parts(WriteMultipart),
}

impl Upload {
    pub(super) fn file(shown: String, staged: NamedTempFile, target: PathBuf) -> Self {
        let staged = Some(staged);
        Self {
            shown,
            state: State::File { staged, target },
        }
    }

    pub(super) fn parts(shown: String, parts: WriteMultipart) -> Self {
        Self {
            shown,
            state: State::Parts(parts),
        }
    }

    /// Writes the next bytes; waits while too many parts are under way.
    ///
    /// # Errors
    /// [`ObjectError`]; nothing more can be written then.
    ///
    /// # Cancel safety
    /// Not cancel-safe: afterwards the object can only be given up.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        match &mut self.state {
            State::File { staged, .. } => {
                let mut file = staged.take().ok_or_else(|| given_up(&self.shown))?;
                let write = move || file.write_all(&bytes).map(|()| file);
                *staged = Some(blocking(&self.shown, write).await?);
                Ok(())
            }
            State::Parts(parts) => {
                let free = parts.wait_for_capacity(PARTS_IN_FLIGHT).await;
                free.map_err(|error| ObjectError::of_store(self.shown.clone(), &error))?;
                parts.put(bytes);
                Ok(())
            }
        }
    }

    /// Gives the object its name, replacing one that had it, once everything is on disk or with the server.
    ///
    /// # Errors
    /// [`ObjectError`]; the name is then as it was.
    pub async fn finish(self) -> Result<(), ObjectError> {
        let Self { shown, state } = self;
        match state {
            State::File { staged, target } => {
                let staged = staged.ok_or_else(|| given_up(&shown))?;
                blocking(&shown, move || {
                    staged.as_file().sync_all()?;
                    staged.persist(&target)?;
                    let folder = target.parent().unwrap_or(&target);
                    std::fs::File::open(folder)?.sync_all()
                })
                .await
            }
            State::Parts(parts) => {
                let finished = parts.finish().await.map(drop);
                finished.map_err(|error| ObjectError::of_store(shown, &error))
            }
        }
    }

    /// Gives the object up, and takes away what was written of it.
    ///
    /// # Errors
    /// [`ObjectError`] where its parts may still be in the bucket.
    pub async fn abort(self) -> Result<(), ObjectError> {
        match self.state {
            State::File { .. } => Ok(()),
            State::Parts(parts) => {
                let aborted = parts.abort().await;
                aborted.map_err(|error| ObjectError::of_store(self.shown, &error))
            }
        }
    }
}

fn given_up(shown: &str) -> ObjectError {
    ObjectError::Failed {
        place: shown.to_owned(),
        reason: "an earlier write failed".to_owned(),
    }
}

/// Runs what waits for a disk on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    shown: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ObjectError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    done.map_err(|error| ObjectError::of_io(shown.to_owned(), &error))
}

/// The size of one part in bytes: S3 takes at most 10,000, which makes 80 GB.
pub(super) const PART_BYTES: usize = 8 << 20;
/// How many parts may be under way at once.
const PARTS_IN_FLIGHT: usize = 2;
