//! The control socket: how commands reach a running server that holds the store's lock.
//!
//! It is `<database>.control/tollgate.sock`, beside the database so that whoever can see the volume finds it, also from
//! another container. The directory is open to its owner alone, and the kernel names every peer's user.

mod client;
mod socket;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

pub use self::client::{ControlBody, call};
pub use self::socket::ControlSocket;

/// The directory of the control socket that belongs to `database`.
#[must_use]
pub fn directory_of(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(DIRECTORY_SUFFIX);
    name.into()
}

/// An open directory, so that what is done inside it cannot be diverted by renaming its path.
pub(super) struct Directory {
    pub(super) handle: File,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`; a symbolic link in its place is refused.
    ///
    /// # Errors
    /// The system's: `NotFound`, `NotADirectory` (also for a link), `PermissionDenied`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(path)?;
        Ok(Self {
            handle,
            path: path.to_owned(),
        })
    }

    /// A path to `name` inside. Where the system has `/proc` it is short whatever the directory's own path, because a
    /// socket's address has room for some 100 bytes only.
    pub(super) fn inside(&self, name: &str) -> PathBuf {
        let held = PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd()));
        if held.exists() {
            held.join(name)
        } else {
            self.path.join(name)
        }
    }
}

const DIRECTORY_SUFFIX: &str = ".control";
const SOCKET_NAME: &str = "tollgate.sock";

#[cfg(test)]
mod tests;
