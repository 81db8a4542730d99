//! The server's half of the control socket.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use poem::Addr;
use tokio::net::{UnixListener, UnixStream};

use super::{Directory, SOCKET_NAME, directory_of};
use crate::model::origin::Origin;
use crate::server::acceptor::Accept;
use crate::server::connection::Peer;

/// The bound control socket. Dropping it removes it from its directory.
///
/// Whoever binds it holds the store's lock, and drops it before the lock is released: so there is never more than one,
/// and what a killed server left behind is stale.
pub struct ControlSocket {
    listener: UnixListener,
    directory: Directory,
    owner: u32,
}

impl ControlSocket {
    /// Binds the control socket of `database`, in a directory made if it is missing, and removes a stale one.
    ///
    /// Call it inside a runtime and with the store's lock held.
    ///
    /// # Errors
    /// The system's, or a sentence when something that is not ours stands in the place of the directory or the socket.
    /// A server can do its work without a control socket: log it as a warning.
    pub fn bind(database: &Path) -> io::Result<Self> {
        let owner = Uid::effective().as_raw();
        let directory = private_directory(&directory_of(database), owner)?;
        let address = directory.inside(SOCKET_NAME);
        remove_stale(&address)?;
        let listener = UnixListener::bind(&address)?;
        let socket = Self {
            listener,
            directory,
            owner,
        };
        fs::set_permissions(&address, Permissions::from_mode(0o600))?;
        Ok(socket)
    }

    fn address(&self) -> PathBuf {
        self.directory.inside(SOCKET_NAME)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.address()) {
            tracing::warn!(%error, "the control socket could not be removed");
        }
    }
}

impl Accept for ControlSocket {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if admits(self.owner, uid) {
                let remote = Addr::custom("control", format!("uid {uid}"));
                return Ok((
                    stream,
                    Peer::new(Origin::Control { uid }, Addr::custom("control", SOCKET_NAME), remote),
                ));
            }
            tracing::warn!(uid, "a process of another user was turned away from the control socket");
        }
    }
}

/// Whether a process of user `peer` may command a server of user `owner`: its own user may, and root.
pub(super) fn admits(owner: u32, peer: u32) -> bool {
    peer == owner || peer == 0
}

fn private_directory(path: &Path, owner: u32) -> io::Result<Directory> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let directory = Directory::open(path).map_err(|error| {
        let reason = format!(
            "{} must be a directory and not a symbolic link: {error}",
            path.display()
        );
        io::Error::new(error.kind(), reason)
    })?;
    let found = directory.handle.metadata()?;
    if found.uid() != owner {
        // Only root can take it over, after an earlier start under another user.
        fchown(&directory.handle, Some(owner), None).map_err(|error| {
            let reason = format!(
                "{} belongs to uid {}, not to ours ({owner})",
                path.display(),
                found.uid()
            );
            io::Error::new(error.kind(), reason)
        })?;
    }
    directory.handle.set_permissions(Permissions::from_mode(PRIVATE))?;
    Ok(directory)
}

fn remove_stale(address: &Path) -> io::Result<()> {
    match fs::symlink_metadata(address) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(address),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{SOCKET_NAME} in the control directory is not a socket: remove it"),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Open to its owner alone.
const PRIVATE: u32 = 0o700;
