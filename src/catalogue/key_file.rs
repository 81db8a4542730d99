//! The MegaLLM proxy's key file: one upstream key on each line.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// Reads a key file.
///
/// Blocks on the disk.
///
/// # Errors
/// [`KeyFileError`]; none of them quotes the file.
pub fn read(path: &Path) -> Result<Vec<Secret>, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let mut file = File::open(path).map_err(unreadable)?.take(LARGEST + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(KeyFileError::TooLarge { path: path.to_owned() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyFileError::NotText { path: path.to_owned() })?;
    parse(text).map_err(|line| KeyFileError::NotAKey {
        path: path.to_owned(),
        line,
    })
}

/// The keys of a file's text, in its order. Blank lines, lines that begin with `#` and repeated keys are skipped, as are
/// spaces around a key and a byte order mark.
///
/// # Errors
/// The number, from 1, of the first line that no header can carry: it is something else than a key.
pub fn parse(text: &str) -> Result<Vec<Secret>, usize> {
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let key = line.trim();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(number);
        }
        if seen.insert(key) {
            keys.push(Secret::new(key.to_owned()));
        }
    }
    Ok(keys)
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The stamp of the file that stands at `path`; `None` where there is none.
///
/// Blocks on the disk.
///
/// # Errors
/// [`KeyFileError::Unreadable`] where it cannot even be looked at.
pub fn stamp(path: &Path) -> Result<Option<Stamp>, KeyFileError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(Stamp {
            modified: found.modified().ok(),
            bytes: found.len(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Why a key file cannot be used. Each names the variable, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system refused.
    #[error("KEY_FILE_PATH: {} cannot be read ({source}); make it readable, or name another file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is far larger than any list of keys.
    #[error("KEY_FILE_PATH: {} is larger than a mebibyte; name a file with one key on each line", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no text.
    #[error("KEY_FILE_PATH: {} is not UTF-8 text; name a file with one key on each line", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A line holds something else.
    #[error("KEY_FILE_PATH: line {line} of {} is not a key, which has visible ASCII characters only; correct it, or begin it with #", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Ten thousand keys of a hundred characters.
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn keys(content: &[u8]) -> Vec<String> {
        let keys = read(file(content).path()).unwrap();
        keys.iter().map(|key| key.expose().to_owned()).collect()
    }

    #[test]
    fn comments_and_blank_lines_of_the_shipped_example_are_not_keys() {
        let example = b"# MegaLLM API keys\n# one key a line\n\nsk-mega-1\n  # another comment\nsk-mega-2\n\n";
        assert_eq!(keys(example), ["sk-mega-1", "sk-mega-2"]);
    }

    #[test]
    fn a_repeated_key_is_one_account() {
        assert_eq!(keys(b"sk-1\nsk-2\nsk-1"), ["sk-1", "sk-2"]);
    }

    #[test]
    fn a_file_from_windows_reads_the_same() {
        assert_eq!(keys(b"\xef\xbb\xbfsk-1\r\n\r\n  sk-2\t\r\n"), ["sk-1", "sk-2"]);
    }

    #[test]
    fn an_empty_file_has_no_keys() {
        assert_eq!(keys(b""), [""; 0]);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_variable_and_never_quoted() {
        let cases: [(&[u8], &str); 3] = [
            (b"\xff\xfecanary", "is not UTF-8 text"),
            (b"sk-1\nsk canary\n", "line 2 of"),
            ("sk-canary-é".as_bytes(), "line 1 of"),
        ];
        for (content, why) in cases {
            let told = read(file(content).path()).unwrap_err().to_string();
            assert!(told.starts_with("KEY_FILE_PATH: ") && told.contains(why), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
        let large = vec![b'#'; usize::try_from(LARGEST).unwrap() + 1];
        assert!(matches!(read(file(&large).path()), Err(KeyFileError::TooLarge { .. })));
    }

    #[test]
    fn a_file_that_is_not_there_or_is_a_folder_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("keys.txt"), folder.path().to_owned()] {
            let told = read(&path).unwrap_err().to_string();
            assert!(told.contains(&path.display().to_string()), "{told}");
        }
    }

    #[test]
    fn a_stamp_changes_with_the_file_and_is_none_where_there_is_none() {
        let mut file = file(b"sk-1\n");
        let before = stamp(file.path()).unwrap();
        assert_eq!(stamp(file.path()).unwrap(), before);
        file.write_all(b"sk-2\n").unwrap();
        assert_ne!(stamp(file.path()).unwrap(), before);
        assert_eq!(stamp(Path::new("/nowhere/keys.txt")).unwrap(), None);
    }
}
