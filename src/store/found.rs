//! What stands at a path before it is opened: a store, nothing, or what a crash left of one in the making.

use std::fs::{self, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::error::OpenError;
use super::open::Missing;

/// What stands at a path, as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Redb,
    Nothing,
    /// What a crash left of a store in the making, by the look of it.
    Unfinished,
}

/// What stands at `path`, by its kind and its first bytes.
pub(super) fn classify(path: &Path) -> Result<Found, OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed(error)),
    };
    if kind.is_dir() {
        return Err(OpenError::Directory { path: path.to_owned() });
    }
    if kind.len() == 0 {
        return Ok(Found::Nothing);
    }
    let mut magic = [0; MAGIC.len()];
    let mut file = fs::File::open(path).map_err(failed)?;
    match file.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => Ok(Found::Redb),
        Ok(()) if magic == [0; MAGIC.len()] => Ok(Found::Unfinished),
        Ok(()) => Err(OpenError::Foreign { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::Foreign { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}

/// Empties a file that is what a crash left of a store in the making, so that it is made again.
///
/// redb writes its magic last, after a sync, and nothing behind its header before that. Its own `create` refuses such a
/// file.
pub(super) fn empty_unfinished(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > LARGEST_UNFINISHED {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    // Whoever makes it right now holds its lock.
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Busy { path: path.to_owned() },
        TryLockError::Error(source) => failed(source),
    })?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(failed)?;
    let blank = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let (magic, rest) = content.split_at(MAGIC.len().min(content.len()));
    if !blank(magic) || !rest.get(HEADER - MAGIC.len()..).is_none_or(blank) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    tracing::warn!(path = %path.display(), "a store was begun there but not finished: it holds nothing, and is made again");
    file.set_len(0).map_err(failed)
}

/// Makes sure the folder exists, and that a new store may stand in it.
pub(super) fn prepare_directory(path: &Path, missing: Missing) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    if missing == Missing::Refuse {
        return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(failed)?;
    if missing == Missing::CreateOnVolume {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
        if device(folder).map_err(failed)? == device(Path::new("/")).map_err(failed)? {
            return Err(OpenError::NotOnVolume { path: path.to_owned() });
        }
    }
    tracing::warn!(path = %path.display(), "no store there yet: a new one is made");
    // Nobody else reads what redb will put into it.
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(failed)
}

/// The first bytes of every redb file (redb's `docs/design.md`).
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// Where redb's header ends.
const HEADER: usize = 512;

/// redb begins a file with a mebibyte and a few pages.
const LARGEST_UNFINISHED: u64 = 4 * 1024 * 1024;
