//! The log file: a second place for log lines, which begins anew when it is full.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use tracing_subscriber::fmt::MakeWriter;

/// A file of log lines. When it is full it is renamed to `<path>.1`, what was there to `.2`, and so on.
///
/// A line that cannot be written is lost here, and nothing else happens but one sentence on standard error: logs never
/// stop a call.
pub struct LogFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: FileRotate<AppendCount>,
    /// Whether the last line was lost. It is told once, not with every line.
    failing: bool,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The size, in bytes, at which a file is full. Its last line may pass it, since no line is cut.
    pub bytes: NonZeroUsize,
    /// How many files there are at most, the one that is written among them.
    pub files: NonZeroUsize,
}

impl LogFile {
    /// Opens the file at `path`, with its folder if need be. Only its owner may read it.
    ///
    /// # Errors
    /// The operating system's, where it cannot be opened for writing.
    pub fn open(path: &Path, keep: Keep) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(OWNER_ONLY);
        // The crate would hide why it cannot open it.
        let file = options.open(&path)?;
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
        let suffixes = AppendCount::new(keep.files.get() - 1);
        let limit = ContentLimit::BytesSurpassed(keep.bytes.get());
        let file = guarded(|| {
            let file = FileRotate::new(&path, suffixes, limit, Compression::None, Some(options));
            Ok(file)
        })?;
        Ok(Self {
            path,
            state: Mutex::new(State { file, failing: false }),
        })
    }

    fn append(&self, line: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // What was lost may have been begun: the next line does not go on with it.
        let begin: &[u8] = if state.failing { b"\n" } else { b"" };
        let written = guarded(|| state.file.write_all(begin).and_then(|()| state.file.write_all(line)));
        let failed = written.is_err();
        if let Err(error) = written
            && !state.failing
        {
            let told = format!("tollgate: LOG_FILE: {}: lines are lost: {error}\n", self.path.display());
            // Standard output has the line all the same. Where this cannot be told either, nobody is left to tell.
            drop(io::stderr().write_all(told.as_bytes()));
        }
        state.failing = failed;
    }
}

/// The crate asserts what it finds in the folder, which others can change.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_panic| {
        let what = "its folder changed while it was rotated";
        Err(io::Error::other(what))
    })
}

/// One line on its way to the file.
pub struct Line<'a>(&'a LogFile);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

/// Log lines name keys and addresses of clients.
const OWNER_ONLY: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(bytes: usize, files: usize) -> Keep {
        let number = |number| NonZeroUsize::new(number).unwrap();
        Keep {
            bytes: number(bytes),
            files: number(files),
        }
    }

    fn lines(file: &LogFile, range: std::ops::Range<u32>) {
        for number in range {
            // As the formatter does it: one write is one line.
            file.make_writer()
                .write_all(format!("line {number:03}\n").as_bytes())
                .unwrap();
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_makes_way_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::open(&folder.path().join("t.log"), keep(90, 3)).unwrap();

        lines(&file, 0..100);

        assert_eq!(names(folder.path()), ["t.log", "t.log.1", "t.log.2"]);
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text("t.log").ends_with("line 099\n"));
        for name in ["t.log", "t.log.1", "t.log.2"] {
            assert!(text(name).len() <= 90 + 9, "{name}");
            assert!(text(name).lines().all(|line| line.len() == 8), "no line is cut: {name}");
        }
    }

    #[test]
    fn one_file_is_enough_for_who_wants_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::open(&folder.path().join("t.log"), keep(20, 1)).unwrap();
        lines(&file, 0..10);
        assert_eq!(names(folder.path()), ["t.log"]);
    }

    #[test]
    fn a_new_process_goes_on_where_the_last_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/for it/t.log");
        lines(&LogFile::open(&path, keep(1000, 2)).unwrap(), 0..2);
        lines(&LogFile::open(&path, keep(1000, 2)).unwrap(), 2..3);
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 000\nline 001\nline 002\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(LogFile::open(folder.path(), keep(1000, 2)).is_err());
        let below_a_file = folder.path().join("t.log");
        fs::write(&below_a_file, "").unwrap();
        assert!(LogFile::open(&below_a_file.join("t.log"), keep(1000, 2)).is_err());
    }

    #[test]
    fn a_folder_that_is_taken_away_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let file = LogFile::open(&inner.join("t.log"), keep(20, 2)).unwrap();
        lines(&file, 0..2);
        fs::remove_dir_all(&inner).unwrap();
        fs::write(&inner, "in the way").unwrap();
        lines(&file, 2..20);
        fs::remove_file(&inner).unwrap();
        lines(&file, 20..30);
        assert!(fs::read_to_string(inner.join("t.log")).unwrap().ends_with("line 029\n"));
    }

    #[test]
    fn a_line_that_was_cut_short_does_not_run_into_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.log");
        let file = LogFile::open(&path, keep(1000, 2)).unwrap();
        fs::write(&path, "line 0").unwrap();
        file.state.lock().unwrap().failing = true;

        lines(&file, 1..3);

        assert_eq!(fs::read_to_string(&path).unwrap(), "line 0\nline 001\nline 002\n");
    }
}
