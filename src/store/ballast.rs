//! A file that only takes space, beside the store.
//!
//! A full disk leaves redb unable even to delete. Dropping the ballast at start gives it room to prune.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

/// The ballast of one store.
#[derive(Clone, Debug)]
pub struct Ballast {
    path: PathBuf,
    bytes: u64,
}

/// How the disk under the store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that we may still write.
    pub available: u64,
}

impl Ballast {
    /// The ballast of the store at `store`; `bytes` of 0 means that none is kept.
    #[must_use]
    pub fn beside(store: &Path, bytes: u64) -> Self {
        let mut name = store.as_os_str().to_owned();
        name.push(".reserve");
        Self {
            path: PathBuf::from(name),
            bytes,
        }
    }

    /// How the disk stands.
    ///
    /// # Errors
    /// The operating system's, where the folder cannot be asked.
    pub fn room(&self) -> io::Result<Room> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let stat = statvfs(folder)?;
        Ok(Room {
            available: stat.blocks_available().saturating_mul(stat.fragment_size()),
        })
    }

    /// Whether so little room is left that nothing new may be taken.
    #[must_use]
    pub const fn is_short(room: Room) -> bool {
        room.available < SHORT_OF_ROOM
    }

    /// Gives its space back, if it is there. Returns whether it was.
    ///
    /// # Errors
    /// The operating system's, where the file cannot be removed.
    pub fn drop_off(&self) -> io::Result<Dropped> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(Dropped::Yes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Dropped::WasNotThere),
            Err(error) => Err(error),
        }
    }

    /// Takes its space, if it is not there in full and the disk has room for it and as much again.
    ///
    /// # Errors
    /// The operating system's; a ballast that could not be taken in full is removed.
    pub fn take(&self) -> io::Result<()> {
        if self.bytes == 0 {
            return self.drop_off().map(drop);
        }
        if fs::metadata(&self.path).is_ok_and(|found| found.len() == self.bytes) {
            return Ok(());
        }
        if self.room()?.available < self.bytes.saturating_mul(2) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&self.path)?;
        allocate(&file, self.bytes).inspect_err(|_| drop(self.drop_off()))
    }
}

/// Whether a ballast was there to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It was, and its space is free now.
    Yes,
    /// There was none.
    WasNotThere,
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    nix::fcntl::posix_fallocate(file, 0, length)?;
    Ok(())
}

/// Below this, redb may fail in the middle of a commit: it grows its file by regions.
const SHORT_OF_ROOM: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ballast_takes_its_space_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::beside(&folder.path().join("t.redb"), 65_536);
        ballast.take().unwrap();
        assert_eq!(
            fs::metadata(folder.path().join("t.redb.reserve")).unwrap().len(),
            65_536
        );
        assert_eq!(ballast.drop_off().unwrap(), Dropped::Yes);
        assert_eq!(ballast.drop_off().unwrap(), Dropped::WasNotThere);
    }

    #[test]
    fn a_disk_with_a_megabyte_left_is_short_of_room() {
        assert!(Ballast::is_short(Room { available: 1_048_576 }));
        assert!(!Ballast::is_short(Room {
            available: 1_073_741_824
        }));
    }
}
