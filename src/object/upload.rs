//! An object that is being written.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use object_store::WriteMultipart;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ObjectError;

/// An object that is being written. It has its name when [`Upload::finish`] returns, and not before: one that failed or
/// is dropped leaves no file, and its parts are taken out of a bucket in the background, for `CLEANING` at most.
///
/// Holds at most `PARTS_IN_FLIGHT` + 1 parts of `PART_BYTES` in memory.
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
    /// Parts in a bucket. `None` once they are finished or given up.
    Parts {
        parts: Option<WriteMultipart>,
        cleaning: TaskTracker,
    },
}

impl Upload {
    pub(super) fn file(shown: String, staged: NamedTempFile, target: PathBuf) -> Self {
        let staged = Some(staged);
        Self {
            shown,
            state: State::File { staged, target },
        }
    }

    /// One of parts, which `cleaning` takes away where it is given up.
    pub(super) fn parts(shown: String, parts: WriteMultipart, cleaning: TaskTracker) -> Self {
        let parts = Some(parts);
        Self {
            shown,
            state: State::Parts { parts, cleaning },
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
            State::Parts { parts, .. } => {
                let parts = parts.as_mut().ok_or_else(|| given_up(&self.shown))?;
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
    ///
    /// # Cancel safety
    /// Dropped, it goes on in the background: the object is whole or not there.
    pub async fn finish(mut self) -> Result<(), ObjectError> {
        match &mut self.state {
            State::File { staged, target } => {
                let staged = staged.take().ok_or_else(|| given_up(&self.shown))?;
                let target = std::mem::take(target);
                blocking(&self.shown, move || {
                    staged.as_file().sync_all()?;
                    staged.persist(&target)?;
                    let folder = target.parent().unwrap_or(&target);
                    std::fs::File::open(folder)?.sync_all()
                })
                .await
            }
            State::Parts { parts, cleaning } => {
                let parts = parts.take().ok_or_else(|| given_up(&self.shown))?;
                // It gives up its parts itself where it fails.
                let finished = carried(cleaning, parts.finish()).await;
                let finished = finished.ok_or_else(|| given_up(&self.shown))?;
                finished
                    .map(drop)
                    .map_err(|error| ObjectError::of_store(self.shown.clone(), &error))
            }
        }
    }

    /// Gives the object up, and takes away what was written of it.
    ///
    /// # Errors
    /// [`ObjectError`] where its parts may still be in the bucket.
    ///
    /// # Cancel safety
    /// Dropped, it goes on in the background.
    pub async fn abort(mut self) -> Result<(), ObjectError> {
        match &mut self.state {
            State::File { .. } => Ok(()),
            State::Parts { parts, cleaning } => {
                let Some(parts) = parts.take() else { return Ok(()) };
                let aborted = carried(cleaning, parts.abort()).await;
                let aborted = aborted.ok_or_else(|| given_up(&self.shown))?;
                aborted.map_err(|error| ObjectError::of_store(self.shown.clone(), &error))
            }
        }
    }
}

/// Takes away the parts of an object that was neither finished nor given up: a call that wrote it was cancelled.
impl Drop for Upload {
    fn drop(&mut self) {
        let State::Parts { parts, cleaning } = &mut self.state else {
            return;
        };
        if let (Some(parts), Ok(runtime)) = (parts.take(), Handle::try_current()) {
            let shown = std::mem::take(&mut self.shown);
            let clean = async move {
                let aborted = tokio::time::timeout(CLEANING, parts.abort()).await;
                if !matches!(aborted, Ok(Ok(()))) {
                    tracing::warn!(object = shown, "parts of an object that was given up may be left");
                }
            };
            cleaning.spawn_on(clean, &runtime);
        }
    }
}

/// Does a work to its end. When nobody waits for it any more, it goes on among the tasks for [`CLEANING`] at most.
async fn carried<T: Send + 'static>(tasks: &TaskTracker, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let alone = CancellationToken::new();
    let _waiting = alone.clone().drop_guard();
    let patience = async move {
        alone.cancelled().await;
        tokio::time::sleep(CLEANING).await;
    };
    let task = async move {
        tokio::select! {
            done = work => Some(done),
            () = patience => None,
        }
    };
    tasks.spawn(task).await.ok().flatten()
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
/// How long the parts of an object that was given up are tried to be taken away: a process that ends waits for it.
const CLEANING: Duration = Duration::from_secs(5);
