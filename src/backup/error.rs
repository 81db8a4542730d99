//! Why a backup could not be made, read or restored. Each is a sentence for the operator.

use std::path::PathBuf;

use crate::crypto::entropy::EntropyError;
use crate::object::ObjectError;
use crate::store::error::{OpenError, StoreError};

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another one is being made.
    #[error("a backup is being made already; try again when it has ended")]
    Busy,
    /// Nobody said where to.
    #[error("BACKUP_URL is not set, so there is no place to back up to")]
    NoPlace,
    /// The place failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The store could not be read, or the new one not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new store could not be made, or the old one not be taken.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Whoever made it or took it went away before its end.
    #[error("the backup was interrupted before its end")]
    Interrupted,
    /// It does not begin as our backups do.
    #[error("this is not a backup of Tollgate")]
    Foreign,
    /// Its format is younger than this program.
    #[error("the backup has format {found}, and this version reads up to {known}; restore it with a newer Tollgate")]
    NewerFormat {
        /// Its format.
        found: u16,
        /// Ours.
        known: u16,
    },
    /// Its rows are younger than this program.
    #[error("the backup has schema {found}, and this version knows up to {known}; restore it with a newer Tollgate")]
    NewerSchema {
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// It was made under another master key.
    #[error(
        "the backup was made with another master key or passphrase; set the one that was in force then \
         (API_KEY_ENCRYPTION_KEY or ENCRYPTION_PASSPHRASE)"
    )]
    WrongKey,
    /// It ends too early.
    #[error("the backup ends after {bytes} bytes, in the middle: it is cut short")]
    Truncated {
        /// How long it is.
        bytes: u64,
    },
    /// A frame's tag does not hold, or it says something impossible.
    #[error("the backup is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The rebuilt log book does not hold together.
    #[error("the backup's log book is broken at entry {at}: {why}")]
    Broken {
        /// The entry.
        at: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// It is not a file.
    #[error("{} is a folder: name one of the backups in it", path.display())]
    Folder {
        /// What was named.
        path: PathBuf,
    },
    /// There is a store, and nobody said that it may be replaced.
    #[error("{} holds a store; stop the server and say --force to replace it (it is kept beside)", path.display())]
    Occupied {
        /// The store.
        path: PathBuf,
    },
    /// A server, or another command, has the store open.
    #[error("another process holds {}: stop the server first", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// A file beside the store failed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
