//! From root to an ordinary user, once, before anything else runs.
//!
//! Platforms mount volumes that belong to root. So the image starts as root with `RUN_AS_UID` set, the store's files
//! are handed to that user, and the process becomes it.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, setgid, setuid};

/// As whom the process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It was not root, for example under `docker run --user`: nothing was changed.
    Kept,
    /// It was root, and is now this user and the group of the same number, with no other groups.
    Dropped {
        /// The user.
        uid: NonZeroU32,
    },
}

/// Why the process cannot go on as the user that `RUN_AS_UID` names.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// A file could not be looked at or given away.
    #[error(
        "RUN_AS_UID={uid}: {path} cannot be handed to that user: {source}; give it away by hand with chown, or start as that user and leave RUN_AS_UID unset"
    )]
    HandOver {
        /// The user.
        uid: NonZeroU32,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours has another name elsewhere, so giving it away could give away a stranger's file.
    #[error("RUN_AS_UID={uid}: {path} is a hard link to another file and is not handed over; replace it by a copy")]
    HardLink {
        /// The user.
        uid: NonZeroU32,
        /// The file.
        path: PathBuf,
    },
    /// The system refused the change of user.
    #[error(
        "RUN_AS_UID={uid}: {step} failed: {source}; start as that user (`--user {uid}`) and leave RUN_AS_UID unset"
    )]
    Change {
        /// The user.
        uid: NonZeroU32,
        /// The system call.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Hands the directory of `database` and our own files in it to `uid`, and becomes that user and the group of the same
/// number. Does nothing where the process is not root.
///
/// Call it before any thread is started, so before the runtime is built. A missing directory is made. Only the directory itself and the files that
/// Tollgate names are handed over; symbolic links are not followed; directories of the system and the working
/// directory stay root's, the files in them are handed over all the same.
///
/// # Errors
/// [`PrivilegeError`]; the process must then end, because it may be half changed.
pub fn run_as(uid: NonZeroU32, database: &Path) -> Result<Identity, PrivilegeError> {
    if !Uid::effective().is_root() {
        return Ok(Identity::Kept);
    }
    hand_over(database, uid)?;
    become_user(uid)?;
    Ok(Identity::Dropped { uid })
}

fn become_user(uid: NonZeroU32) -> Result<(), PrivilegeError> {
    let failed = |step| {
        move |errno: nix::Error| PrivilegeError::Change {
            uid,
            step,
            source: errno.into(),
        }
    };
    let user = Uid::from_raw(uid.get());
    leave_groups().map_err(failed("setgroups"))?;
    setgid(Gid::from_raw(uid.get())).map_err(failed("setgid"))?;
    setuid(user).map_err(failed("setuid"))?;
    if Uid::current() != user || Uid::effective() != user {
        return Err(failed("setuid")(nix::Error::EPERM));
    }
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
fn leave_groups() -> nix::Result<()> {
    nix::unistd::setgroups(&[])
}

/// Apple's systems keep group lists outside the kernel; Tollgate's images do not run there.
#[cfg(target_vendor = "apple")]
fn leave_groups() -> nix::Result<()> {
    Err(nix::Error::ENOSYS)
}

fn hand_over(database: &Path, uid: NonZeroU32) -> Result<(), PrivilegeError> {
    let parent = match database.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PrivilegeError::HandOver { uid, path, source }
    };
    let directory = match open_plain(parent) {
        Ok(directory) => directory,
        // The store would make it, but as a user who may not write beside it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(parent)
            .and_then(|()| open_plain(parent))
            .map_err(failed(parent))?,
        Err(error) => return Err(failed(parent)(error)),
    };
    let found = directory.metadata().map_err(failed(parent))?;
    if !is_shared(&found) {
        give(&directory, &found, uid).map_err(failed(parent))?;
    }
    for entry in fs::read_dir(parent).map_err(failed(parent))? {
        let entry = entry.map_err(failed(parent))?;
        if database
            .file_name()
            .is_some_and(|name| is_ours(name, &entry.file_name()))
        {
            hand_over_entry(&entry.path(), uid)?;
        }
    }
    Ok(())
}

fn hand_over_entry(path: &Path, uid: NonZeroU32) -> Result<(), PrivilegeError> {
    let failed = |source| PrivilegeError::HandOver {
        uid,
        path: path.to_owned(),
        source,
    };
    let file = match open_entry(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(()),
        // A temporary file of a server that runs already, which has just renamed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    if found.is_file() && found.nlink() > 1 {
        return Err(PrivilegeError::HardLink {
            uid,
            path: path.to_owned(),
        });
    }
    give(&file, &found, uid).map_err(failed)
}

/// Opens `path` if it is a file or a directory; from then on the open file counts, whatever its name leads to.
fn open_entry(path: &Path) -> io::Result<Option<File>> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        open_plain(path).map(Some)
    } else {
        Ok(None)
    }
}

/// Opens a file or directory, but never through a symbolic link, and without waiting for a pipe's other end.
fn open_plain(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
}

fn give(file: &File, found: &Metadata, uid: NonZeroU32) -> io::Result<()> {
    if found.uid() == uid.get() && found.gid() == uid.get() {
        return Ok(());
    }
    fchown(file, Some(uid.get()), Some(uid.get()))
}

/// Whether a directory serves more than Tollgate, by whatever path it was reached.
fn is_shared(directory: &Metadata) -> bool {
    SHARED.iter().any(|path| {
        fs::metadata(path).is_ok_and(|shared| shared.dev() == directory.dev() && shared.ino() == directory.ino())
    })
}

/// Whether `entry` is a file that Tollgate keeps for the database `name`: itself, its ballast, its control directory,
/// or a temporary file of its making.
fn is_ours(name: &OsStr, entry: &OsStr) -> bool {
    match entry.as_encoded_bytes().strip_prefix(name.as_encoded_bytes()) {
        Some(b"" | b".reserve" | b".control") => true,
        Some(suffix) => suffix.starts_with(b".") && suffix.ends_with(b".tmp"),
        None => false,
    }
}

/// Directories that are not a store's own: the working directory, `/`, `/tmp` and others of the system.
const SHARED: [&str; 14] = [
    ".", "/", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp",
];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;
    use crate::server::control::ControlSocket;

    const SOMEONE: NonZeroU32 = NonZeroU32::new(12_345).unwrap();

    fn owner(path: &Path) -> (u32, u32) {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    }

    #[test]
    fn our_files_are_known_by_the_database_and_nothing_else_is_ours() {
        let ours = [
            "t.redb",
            "t.redb.reserve",
            "t.redb.control",
            "t.redb.tmp",
            "t.redb.backup.tmp",
        ];
        let theirs = ["t", "t.redb2", "t.redb.bak", "u.redb", "x.tmp", "t.redbtmp"];

        for name in ours {
            assert!(is_ours(OsStr::new("t.redb"), OsStr::new(name)), "{name}");
        }
        for name in theirs {
            assert!(!is_ours(OsStr::new("t.redb"), OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn system_directories_and_the_working_directory_are_never_given_away() {
        for path in ["/", "/tmp", "/tmp/..", ".", "/etc", "/usr/../tmp"] {
            assert!(is_shared(&fs::metadata(path).unwrap()), "{path}");
        }
        let own = tempfile::tempdir().unwrap();
        assert!(!is_shared(&fs::metadata(own.path()).unwrap()));
    }

    #[test]
    fn a_missing_directory_is_made_and_handed_over() {
        if !Uid::effective().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();

        hand_over(&home.path().join("absent/t.redb"), SOMEONE).unwrap();

        assert_eq!(owner(&home.path().join("absent")), (12_345, 12_345));
        assert_eq!(owner(home.path()), (0, 0));
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_an_error_in_a_sentence() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        symlink("/etc", &link).unwrap();

        let error = hand_over(&link.join("t.redb"), SOMEONE).unwrap_err().to_string();

        assert!(
            error.contains("RUN_AS_UID=12345") && error.contains("cannot be handed"),
            "{error}"
        );
    }

    #[test]
    fn a_process_that_is_not_root_keeps_its_user() {
        if !Uid::effective().is_root() {
            assert_eq!(run_as(SOMEONE, Path::new("/nowhere/t.redb")).unwrap(), Identity::Kept);
        }
    }

    #[test]
    fn only_our_own_files_change_hands() {
        if !Uid::effective().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for name in ["t.redb", "t.redb.reserve", "t.redb.tmp", "stranger", "target"] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir(at("t.redb.control")).unwrap();
        fs::write(at("t.redb.control").join("inside"), "").unwrap();
        symlink(at("target"), at("t.redb.link.tmp")).unwrap();

        hand_over(&at("t.redb"), SOMEONE).unwrap();

        for name in ["", "t.redb", "t.redb.reserve", "t.redb.tmp", "t.redb.control"] {
            assert_eq!(owner(&at(name)), (12_345, 12_345), "{name}");
        }
        for name in ["stranger", "target", "t.redb.link.tmp", "t.redb.control/inside"] {
            assert_eq!(owner(&at(name)), (0, 0), "{name}");
        }
    }

    #[test]
    fn a_hard_link_is_not_given_away() {
        if !Uid::effective().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let precious = home.path().join("precious");
        fs::write(&precious, "").unwrap();
        fs::hard_link(&precious, home.path().join("t.redb")).unwrap();

        assert!(matches!(
            hand_over(&home.path().join("t.redb"), SOMEONE),
            Err(PrivilegeError::HardLink { .. })
        ));
        assert_eq!(owner(&precious), (0, 0));
    }

    /// A process can do this only once, so the test starts itself again and lets that process do it.
    #[test]
    fn root_becomes_the_named_user_for_good_and_owns_its_store() {
        if let Some(database) = std::env::var_os(CHILD) {
            let database = PathBuf::from(database);
            assert_eq!(run_as(SOMEONE, &database).unwrap(), Identity::Dropped { uid: SOMEONE });
            assert!(setuid(Uid::from_raw(0)).is_err());
            fs::write(&database, "mine").unwrap();
            // Changing the user makes `/proc/self` root's; the control socket is bound through it all the same.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            let _context = runtime.enter();
            assert!(ControlSocket::bind(&database).is_ok());
            return;
        }
        if !Uid::effective().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("t.redb");

        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "server::privilege::tests::root_becomes_the_named_user_for_good_and_owns_its_store",
            ])
            .env(CHILD, &database)
            .output()
            .unwrap();

        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert_eq!(owner(&database), (12_345, 12_345));
    }

    const CHILD: &str = "TOLLGATE_TEST_PRIVILEGE_DATABASE";
}
