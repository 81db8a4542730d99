//! Files: who may read and write them, and how much room is left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::finding::{Check, Finding};
use crate::config::Config;
use crate::store::ballast::{Ballast, Room};

/// Whether this user can work with the store's files, and nobody else can read what is secret in them.
pub(super) fn permissions(config: &Config, store: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(may_use(store));
    let secrets = [store, Path::new(".env"), &config.megallm.key_file];
    findings.extend(secrets.into_iter().filter_map(others_may_read));
    if let Some(log) = &config.telemetry.log_file {
        findings.extend(may_write_beside(&log.path, "LOG_FILE"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            Check::Permissions,
            "this user alone reads and writes the store",
        ));
    }
    findings
}

fn may_use(store: &Path) -> Option<Finding> {
    let read_and_write = AccessFlags::R_OK | AccessFlags::W_OK;
    if store.exists() && access(store, read_and_write).is_err() {
        return Some(Finding::problem(
            Check::Permissions,
            format!("{} cannot be read and written by this user", store.display()),
            "run as its owner, give it to this user with chown, or start as root with RUN_AS_UID",
        ));
    }
    may_write_beside(store, "the store")
}

fn may_write_beside(path: &Path, what: &str) -> Option<Finding> {
    let folder = standing_folder(path);
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_err().then(|| {
        Finding::problem(
            Check::Permissions,
            format!(
                "{} cannot be written by this user, but {what} belongs there",
                folder.display()
            ),
            "give the folder to this user with chown, start as root with RUN_AS_UID, or name another path",
        )
    })
}

/// A file with secrets that others than its owner may read; `None` where there is no such file.
fn others_may_read(path: &Path) -> Option<Finding> {
    let found = fs::metadata(path).ok()?;
    let mode = found.permissions().mode();
    (found.is_file() && mode & OTHERS != 0).then(|| {
        let path = path.display();
        Finding::warning(
            Check::Permissions,
            format!("others than its owner may use {path} (mode {:03o})", mode & 0o777),
            format!("chmod 600 {path}"),
        )
    })
}

/// Whether the disk has room for what comes.
pub(super) fn room(config: &Config, store: &Path) -> Finding {
    let reserve = config.store.reserve_bytes;
    let in_folder = standing_folder(store).join("store");
    match Ballast::beside(&in_folder, reserve).room() {
        Ok(room) => judge(room, reserve, holds_a_reserve(store)),
        Err(error) => Finding::warning(
            Check::Disk,
            format!("the room beside {} cannot be told: {error}", store.display()),
            "check that the volume is mounted",
        ),
    }
}

/// Whether the reserve of the store stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserve {
    Kept,
    Missing,
}

fn holds_a_reserve(store: &Path) -> Reserve {
    let mut name = store.as_os_str().to_owned();
    name.push(".reserve");
    if Path::new(&name).exists() {
        Reserve::Kept
    } else {
        Reserve::Missing
    }
}

fn judge(room: Room, reserve: u64, kept: Reserve) -> Finding {
    let free = room.available >> 20;
    if Ballast::is_short(room) {
        return Finding::problem(
            Check::Disk,
            format!("{free} MiB are free: new calls are refused"),
            "enlarge the volume, or lower AUDIT_MAX_BYTES and restart, so that the oldest records go",
        );
    }
    if kept == Reserve::Missing && room.available < reserve.saturating_mul(2) {
        return Finding::warning(
            Check::Disk,
            format!("{free} MiB are free: too little to keep STORE_RESERVE_BYTES"),
            "enlarge the volume, or lower STORE_RESERVE_BYTES",
        );
    }
    Finding::ok(Check::Disk, format!("{free} MiB are free"))
}

/// The nearest folder above `path` that exists.
fn standing_folder(path: &Path) -> &Path {
    let mut folders = path.ancestors().skip(1);
    folders.find(|folder| folder.is_dir()).unwrap_or_else(|| Path::new("."))
}

/// The bits of a mode that concern the group and everybody.
const OTHERS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Status;

    #[test]
    fn a_full_disk_is_a_problem_and_one_without_room_for_the_reserve_a_warning() {
        let mebibytes = |number: u64| Room {
            available: number << 20,
        };
        let status = |free, kept| judge(mebibytes(free), 64 << 20, kept).status;
        assert_eq!(status(4, Reserve::Kept), Status::Problem);
        assert_eq!(status(100, Reserve::Missing), Status::Warning);
        assert_eq!(status(100, Reserve::Kept), Status::Ok);
        assert_eq!(status(128, Reserve::Missing), Status::Ok);
    }

    #[test]
    fn a_file_that_others_may_read_is_named_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.txt");
        assert_eq!(others_may_read(&path), None);

        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let found = others_may_read(&path).unwrap();

        assert_eq!(found.status, Status::Warning);
        assert_eq!(found.fix.unwrap(), format!("chmod 600 {}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(others_may_read(&path), None);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            others_may_read(folder.path()),
            None,
            "a folder is locked by such a command"
        );
    }

    #[test]
    fn a_folder_that_is_not_made_yet_is_judged_by_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(standing_folder(&folder.path().join("a/b/t.redb")), folder.path());
        assert_eq!(standing_folder(Path::new("t.redb")), Path::new("."));
    }
}
