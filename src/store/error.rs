//! What can go wrong between us and the file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::model::job::ItemRef;

/// A read or a write of the open store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A row cannot be decoded, or contradicts another.
    #[error("the store holds something this version cannot read in {table}: {what}")]
    Corrupt {
        /// The table it stands in.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The disk is full, or so nearly full that nothing new is taken.
    #[error("the store's disk is full")]
    Full,
    /// The store is closed, or closing.
    #[error("the store is closed")]
    Closed,
    /// The file failed. Nothing more is written by this process.
    #[error("the store's file failed: {0}")]
    Io(String),
    /// A write panicked; it changed nothing.
    #[error("a write to the store failed inside; nothing was changed")]
    Panicked,
    /// Sealing or unsealing failed.
    #[error("sealing failed: {0}")]
    Seal(String),
}

impl StoreError {
    /// Whether the handle must not be written to again.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Full)
    }

    /// A row of `table` that cannot be what it is.
    pub(super) fn corrupt(table: &'static str, what: impl fmt::Display) -> Self {
        Self::Corrupt {
            table,
            what: what.to_string(),
        }
    }

    /// An index leads to an item, or an item to a job, that is not there.
    #[must_use]
    pub fn orphan(at: ItemRef) -> Self {
        Self::corrupt(
            "job_items.v1",
            format!("item {} of {} has lost a row", at.index, at.job),
        )
    }

    fn from_redb(error: &redb::Error) -> Self {
        match error {
            redb::Error::Io(io) if is_full(io) => Self::Full,
            redb::Error::DatabaseClosed => Self::Closed,
            other => Self::Io(other.to_string()),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Every error of the library goes through its one sum type.
macro_rules! from_redb {
    ($($error:ty),+) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::from_redb(&redb::Error::from(error))
            }
        }
    )+};
}

from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// A write was not done.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<R> {
    /// The write's own plan refused it; nothing was touched.
    #[error("refused")]
    Refused(R),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WriteError<std::convert::Infallible>> for StoreError {
    fn from(error: WriteError<std::convert::Infallible>) -> Self {
        match error {
            WriteError::Store(error) => error,
            WriteError::Refused(never) => match never {},
        }
    }
}

/// The store cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the file.
    #[error("another process holds {}, a server or another command: stop it, or wait for its end", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A folder stands where the file should be.
    #[error("{} is a folder; DATABASE_URL must name a file, for example {}/tollgate.redb", path.display(), path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not a redb file.
    #[error("{} is not a Tollgate store; DATABASE_URL must name a redb file or a path where none exists yet", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is a redb file, cut short or damaged.
    #[error("{} is damaged ({detail}); restore a backup, or move it away to start afresh", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the library said.
        detail: String,
    },
    /// A newer version of Tollgate wrote it.
    #[error("the store has schema {found}, this version knows up to {known}; run the newer version again")]
    Newer {
        /// The schema of the file.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
    },
    /// The master key does not open it.
    #[error(
        "the store was sealed under another master key; set API_KEY_ENCRYPTION_KEY (or ENCRYPTION_PASSPHRASE) to the one it was made with, or while rotating set API_KEY_ENCRYPTION_KEY_PREVIOUS (or ENCRYPTION_PASSPHRASE_PREVIOUS)"
    )]
    WrongKey,
    /// The log book's head does not match its own seal, or its last entry.
    #[error(
        "the log book's head does not verify: the file was changed outside Tollgate; restore a backup, or move it away to start afresh"
    )]
    Head,
    /// A new store was to be made where a volume is expected and none is mounted.
    #[error("{} would be on the root file system, which does not survive a deploy; mount a volume and put DATABASE_URL on it", path.display())]
    NotOnVolume {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be opened: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing the first rows failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for the data keys.
    #[error(transparent)]
    Entropy(#[from] crate::crypto::entropy::EntropyError),
}
