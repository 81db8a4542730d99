//! Why a process cannot start. Each says what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::auth::KeyError;
use crate::backup::BackupError;
use crate::catalogue::CurateError;
use crate::import::jimeng::ReadError;
use crate::jobs::JobError;
use crate::object::ObjectError;
use crate::store::error::{OpenError, StoreError};
use crate::upstream::volcengine::InvalidAddress;

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed while it was read for the first time.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upstream's address makes no URL.
    #[error("VOLC_SCHEME and VOLC_HOST: {0}")]
    Address(#[from] InvalidAddress),
    /// The machine's certificates cannot be read.
    #[error("the machine's CA certificates cannot be read ({0}); install ca-certificates")]
    Certificates(#[source] io::Error),
    /// What is defined cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CurateError),
    /// Another metrics recorder was there first.
    #[error("the metrics recorder: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The old database cannot be looked at.
    #[error("{} cannot be read: {source}", path.display())]
    Legacy {
        /// The old database.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its keys cannot be read.
    #[error("the keys of {} cannot be imported: {source}", path.display())]
    Import {
        /// The old database.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// A backup cannot be restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The backup cannot be fetched.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The jobs of a restored store cannot be held.
    #[error("the jobs of the restored store cannot be held: {0}")]
    Hold(#[from] JobError),
    /// Its keys cannot be written.
    #[error("the imported keys cannot be written: {0}")]
    Keys(#[from] KeyError),
    /// The listener or the signals cannot be had.
    #[error("cannot listen: {0}; HOST and PORT say where")]
    Bind(#[source] io::Error),
    /// The store failed while serving.
    #[error("the store failed: the process had to end; the log names the cause")]
    StoreFailed,
    /// A task of the start failed.
    #[error("the start was interrupted inside Tollgate")]
    Interrupted,
}

impl StartError {
    /// The store's file, where another process holds it: it may be about to end, or can be spoken to.
    #[must_use]
    pub fn busy(&self) -> Option<&Path> {
        match self {
            Self::Open(OpenError::Busy { path }) => Some(path),
            _ => None,
        }
    }
}
