//! Why a command failed, each as one sentence for the person who typed it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use http::StatusCode;

use crate::app::StartError;
use crate::backup::BackupError;
use crate::config::Mistakes;
use crate::object::ObjectError;
use crate::server::privilege::PrivilegeError;

/// Why a command failed. It never holds a token or a secret key.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments contradict each other in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// The environment or `.env` cannot be used.
    #[error(transparent)]
    Config(#[from] Mistakes),
    /// The process cannot become the user that it should.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The store cannot be opened, or the server cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The operating system gave no threads or no signal handler.
    #[error("cannot start: {0}")]
    System(io::Error),
    /// The store is held, and whoever holds it does not answer.
    #[error(
        "another process holds {} and answers on no control socket ({reason}); try again when it has started or ended",
        database.display()
    )]
    Held {
        /// The store.
        database: PathBuf,
        /// Why its socket did not answer.
        reason: io::Error,
    },
    /// The conversation broke down.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// The server's address, or what stands for it.
        server: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server refused, in its own words.
    #[error("{code}: {message}")]
    Refused {
        /// The stable code, such as `VALIDATION_FAILED`.
        code: String,
        /// The explanation.
        message: String,
    },
    /// The answer is not Tollgate's.
    #[error("the answer with status {status} is not Tollgate's ({what}); does --url name a Tollgate server?")]
    Foreign {
        /// The answer's status.
        status: StatusCode,
        /// What is wrong with it.
        what: String,
    },
    /// A file that the command reads or writes failed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log file cannot be written.
    #[error(
        "LOG_FILE: {} cannot be written: {source}; name a file where this user may write, such as one on the volume, or unset it",
        path.display()
    )]
    LogFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of client keys cannot be imported.
    #[error("{}: {reason}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A backup did not arrive whole.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The place of a backup failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Standard output failed.
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] crate::crypto::entropy::EntropyError),
}

impl CliError {
    /// Whether the reader of our output left, as `head` does: no failure of ours.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The process's exit code: 2 for a wrong command line, 1 for everything else.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// The innermost cause of `error`: the outer ones say only that something failed.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
