//! What can go wrong with a place of objects.

use std::error::Error;
use std::io::{self, ErrorKind};

use object_store::Error as StoreError;

/// What went wrong with a place of objects. None holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object, folder or bucket.
    #[error("{place} does not exist")]
    Missing {
        /// The place, or the object in it.
        place: String,
    },
    /// We may not do this there.
    #[error("{place} does not let us in: {reason}")]
    Denied {
        /// The place, or the object in it.
        place: String,
        /// What was said.
        reason: String,
    },
    /// There is no space left.
    #[error("{place} is full")]
    Full {
        /// The place, or the object in it.
        place: String,
    },
    /// No credentials are set for object storage.
    #[error("{place} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    NoCredentials {
        /// The place.
        place: String,
    },
    /// Anything else: it cannot be reached, or answered something else than it should.
    #[error("{place} failed: {reason}")]
    Failed {
        /// The place, or the object in it.
        place: String,
        /// What was said.
        reason: String,
    },
}

impl ObjectError {
    pub(super) fn of_store(place: String, error: &StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::Missing { place },
            StoreError::PermissionDenied { source, .. } | StoreError::Unauthenticated { source, .. } => Self::Denied {
                place,
                reason: innermost(source.as_ref()),
            },
            other => match io_error(other) {
                Some(error) => Self::of_io(place, error),
                None => Self::Failed {
                    place,
                    reason: innermost(other),
                },
            },
        }
    }

    pub(super) fn of_io(place: String, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing { place },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full { place },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied {
                place,
                reason: error.to_string(),
            },
            _ => Self::Failed {
                place,
                reason: error.to_string(),
            },
        }
    }
}

/// The error of the operating system behind another one.
fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The message at the root: those above it repeat it behind words of their own.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
