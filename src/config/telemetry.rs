//! What is logged and who may read the metrics.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::reader::Reader;
use super::value::{self, KIBIBYTE, Wrong};
use crate::model::secret::Secret;

/// What is logged and who may read the metrics.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// The least severe level that is logged.
    pub level: LevelFilter,
    /// The shape of a line.
    pub format: LogFormat,
    /// The file that lines go to as well, as JSON; `None` is none.
    pub log_file: Option<LogFile>,
    /// The bearer token that `GET /metrics` wants. Without one, only private peers may read it.
    pub metrics_token: Option<Secret>,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, otherwise JSON.
    Automatic,
    /// One JSON object to a line.
    Json,
    /// For people.
    Text,
}

/// Where log lines go besides standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file. Whether it can be written is found out by whoever opens it.
    pub path: PathBuf,
    /// The size, in bytes, at which it is full and a new one is begun.
    pub max_bytes: NonZeroUsize,
    /// How many files are kept, the one that is written among them.
    pub max_files: NonZeroUsize,
}

impl LogFile {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let max_bytes = reader.value_or("LOG_MAX_BYTES", 5_000_000, value::memory_from::<KIBIBYTE>);
        let max_files = reader.value_or("LOG_MAX_FILES", DEFAULT_FILES, value::positive);
        Some(Self {
            path: PathBuf::from(reader.text("LOG_FILE")?),
            max_bytes: NonZeroUsize::new(max_bytes)?,
            max_files,
        })
    }
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        // jimeng-relay's switch. Other programs use the name for something else, so any other value is left alone.
        let debug = reader
            .text("DEBUG")
            .is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
        let default = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
        Self {
            level: reader.value_or("LOG_LEVEL", default, level),
            format: reader.value_or("LOG_FORMAT", LogFormat::Automatic, format),
            log_file: LogFile::read(reader),
            metrics_token: reader.secret("METRICS_TOKEN", |text| value::visible(Secret::new(text))),
        }
    }
}

/// A level in any case. `WARNING` and `CRITICAL` are Python's words, which two of the replaced systems used.
fn level(text: &str) -> Result<LevelFilter, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(LevelFilter::TRACE),
        "debug" => Ok(LevelFilter::DEBUG),
        "info" => Ok(LevelFilter::INFO),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "error" | "critical" => Ok(LevelFilter::ERROR),
        "off" => Ok(LevelFilter::OFF),
        _ => Err(Wrong::new(
            "is not a level",
            "set trace, debug, info, warn, error or off",
        )),
    }
}

fn format(text: &str) -> Result<LogFormat, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err(Wrong::new("is not a log format", "set json or text")),
    }
}

const DEFAULT_FILES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::vars::MapVars;

    fn level_of(vars: &MapVars) -> LevelFilter {
        Telemetry::read(&mut Reader::new(vars)).level
    }

    #[test]
    fn levels_are_read_in_any_case() {
        for (text, expected) in [
            ("INFO", LevelFilter::INFO),
            ("Warning", LevelFilter::WARN),
            ("debug", LevelFilter::DEBUG),
        ] {
            assert_eq!(level(text), Ok(expected));
        }
        assert!(level("loud").is_err());
    }

    #[test]
    fn jimeng_relays_debug_switch_counts_where_no_level_is_set() {
        assert_eq!(level_of(&MapVars::default().with("DEBUG", "true")), LevelFilter::DEBUG);
        assert_eq!(
            level_of(&MapVars::default().with("DEBUG", "true").with("LOG_LEVEL", "warn")),
            LevelFilter::WARN
        );
        assert_eq!(
            level_of(&MapVars::default().with("DEBUG", "express:*")),
            LevelFilter::INFO
        );
    }

    #[test]
    fn lines_go_to_a_file_only_where_one_is_named() {
        let read = |vars: MapVars| Telemetry::read(&mut Reader::new(&vars)).log_file;
        assert_eq!(read(MapVars::default().with("LOG_MAX_FILES", "3")), None);

        let file = read(MapVars::default().with("LOG_FILE", "logs/app.log")).unwrap();
        let (bytes, files) = (file.max_bytes.get(), file.max_files.get());
        assert_eq!((file.path, bytes, files), ("logs/app.log".into(), 5_000_000, 5));
    }

    #[test]
    fn a_log_file_that_could_hold_nothing_is_a_mistake() {
        for (name, text) in [
            ("LOG_MAX_BYTES", "0"),
            ("LOG_MAX_BYTES", "1000"),
            ("LOG_MAX_FILES", "0"),
        ] {
            let vars = MapVars::default().with(name, text);
            let mut reader = Reader::new(&vars);
            Telemetry::read(&mut reader);
            assert_eq!(reader.mistakes.len(), 1, "{name}={text}");
        }
    }
}
