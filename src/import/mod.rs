//! Reading what the replaced systems left behind. Nothing there is ever changed.

pub mod jimeng;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Whether the file at `path` is an SQLite database, by its first bytes.
///
/// # Errors
/// Those of opening and reading it. A file shorter than the mark is simply none.
pub fn is_sqlite(path: &Path) -> io::Result<bool> {
    let mut found = [0; MAGIC.len()];
    match File::open(path)?.read_exact(&mut found) {
        Ok(()) => Ok(found == *MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first bytes of every SQLite database (its file format, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_sqlite_file_is_known_by_its_first_bytes() {
        for (content, is) in [(&b"SQLite format 3\0..."[..], true), (b"redb\x1a", false), (b"", false)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(content).unwrap();
            assert_eq!(is_sqlite(file.path()).unwrap(), is);
        }
        assert!(is_sqlite(Path::new("/nowhere/at/all")).is_err());
    }
}
