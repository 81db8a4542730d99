//! How log lines look on the wire.

use std::collections::BTreeMap;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{Any, ParseError, ParseFromJSON, ParseResult};
use poem_openapi::{Enum, Object};
use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::raw::raw_type;
use crate::jobs::logs::Lines;
use crate::model::clock::Timestamp;
use crate::model::job::log::{LogHead, LogLevel, LogLine, LogText};
use crate::store::jobs::log::Summary;

/// How bad a line is.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename = "LogLevel", remote = "LogLevel", rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// As it should be.
    Info,
    /// Odd, but the work goes on.
    Warning,
    /// A part of the work failed.
    Error,
    /// All of it did.
    Critical,
}

/// A line that a client writes.
#[derive(Debug, Object)]
#[oai(rename = "PostedLogLine", deny_unknown_fields)]
pub struct PostedLine {
    /// How bad it is.
    pub level: Level,
    /// What part of the work it is about, 1 to 64 characters, such as `workflow`, `agent`, `tool`, `database`, `api` or
    /// `retry`.
    pub category: String,
    /// What happened, at most 8 KiB.
    pub message: String,
    /// More about it, at most 16 KiB.
    pub details: Option<Any<Value>>,
    /// The step of the work, at most 256 bytes.
    pub step: Option<String>,
    /// The agent that did it, at most 256 bytes.
    pub agent_name: Option<String>,
    /// The concept it was done for, at most 256 bytes.
    pub concept_id: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// When it happened; when it came, unless told.
    pub at: Option<String>,
}

/// Lines that a client writes: one, or several.
#[derive(Debug)]
pub enum PostedLines {
    /// The line itself.
    One(Box<PostedLine>),
    /// As `{"lines": […]}`.
    Many(LogBatch),
}

/// Several lines.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct LogBatch {
    /// 1 to 1000 of them.
    pub lines: Vec<PostedLine>,
}

/// How many lines were taken.
#[derive(Debug, Object)]
#[oai(rename = "AcceptedLogLines")]
pub struct AcceptedLines {
    /// All of them.
    pub accepted: usize,
}

/// A line of a job's log.
#[derive(Debug, Object)]
#[oai(rename = "LogLine", skip_serializing_if_is_none)]
pub struct LogLineView {
    /// Its number, from 1 within its job.
    pub seq: u64,
    /// When it happened.
    pub at: String,
    /// How bad it is.
    pub level: Level,
    /// What part of the work it is about.
    pub category: String,
    /// What happened.
    pub message: String,
    /// More about it.
    pub details: Option<Any<Value>>,
    /// The step of the work.
    pub step: Option<String>,
    /// The agent that did it.
    pub agent_name: Option<String>,
    /// The concept it was done for.
    pub concept_id: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// Some lines of a job's log.
#[derive(Debug, Object)]
pub struct LogPage {
    /// In the order in which they came.
    pub items: Vec<LogLineView>,
    /// How many there are of those that were asked for.
    pub total: u64,
    /// Always null: a log is paged through with `offset`.
    pub next_cursor: Option<String>,
}

/// What a job's log comes to.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct LogSummary {
    /// How many lines there are.
    pub total: u64,
    /// How many of each level.
    pub by_level: BTreeMap<String, u64>,
    /// How many of each category: the 100 that have the most.
    pub by_category: BTreeMap<String, u64>,
    /// When the earliest happened.
    pub first_at: Option<String>,
    /// When the latest happened.
    pub last_at: Option<String>,
    /// How long they took together, in milliseconds.
    pub total_duration_ms: u64,
}

impl PostedLines {
    /// The lines, each within its bounds. Those that do not say when they happened did `now`.
    ///
    /// # Errors
    /// [`ApiError`], with the field that is wrong.
    pub fn read(self, now: Timestamp) -> Result<Vec<LogLine>, ApiError> {
        match self {
            Self::One(line) => Ok(vec![line.read("", now)?]),
            Self::Many(LogBatch { lines }) if (1..=MOST_LINES).contains(&lines.len()) => {
                let numbered = lines.into_iter().enumerate();
                numbered
                    .map(|(index, line)| line.read(&format!("lines[{index}]."), now))
                    .collect()
            }
            Self::Many(_) => Err(ApiError::validation(format!("lines has 1 to {MOST_LINES} lines")).about("lines")),
        }
    }
}

impl PostedLine {
    fn read(self, place: &str, now: Timestamp) -> Result<LogLine, ApiError> {
        let wrong = |field: &str, what: &str| Err(ApiError::validation(what).about(format!("{place}{field}")));
        if !(1..=MOST_CATEGORY).contains(&self.category.chars().count()) {
            return wrong("category", "category has 1 to 64 characters");
        }
        if self.message.len() > MOST_MESSAGE {
            return wrong("message", "message has at most 8192 bytes");
        }
        let details = self.details.map(|Any(details)| details.to_string());
        if details.as_ref().is_some_and(|details| details.len() > MOST_DETAILS) {
            return wrong("details", "details has at most 16384 bytes as JSON");
        }
        let names = [
            ("step", &self.step),
            ("agent_name", &self.agent_name),
            ("concept_id", &self.concept_id),
        ];
        for (field, name) in names {
            if name.as_ref().is_some_and(|name| name.len() > MOST_NAME) {
                return wrong(field, "it has at most 256 bytes");
            }
        }
        if self.duration_ms.is_some_and(|duration| duration > MOST_DURATION_MS) {
            return wrong("duration_ms", "duration_ms is at most 9223372036854775807");
        }
        let at = match self.at.as_deref().map(str::parse) {
            None => now,
            Some(Ok(at)) => at,
            Some(Err(_)) => return wrong("at", "at is an RFC 3339 time such as 2026-02-24T10:00:00Z"),
        };
        Ok(LogLine {
            head: LogHead {
                at,
                level: self.level.into(),
                category: self.category,
                duration_ms: self.duration_ms,
            },
            text: LogText {
                message: self.message,
                details,
                step: self.step,
                agent_name: self.agent_name,
                concept_id: self.concept_id,
            },
        })
    }
}

impl LogPage {
    /// What was found.
    #[must_use]
    pub fn new(found: Lines) -> Self {
        Self {
            items: found.items.into_iter().map(LogLineView::new).collect(),
            total: found.total,
            next_cursor: None,
        }
    }
}

impl LogLineView {
    fn new((seq, LogLine { head, text }): (u64, LogLine)) -> Self {
        Self {
            seq,
            at: head.at.to_string(),
            level: head.level.into(),
            category: head.category,
            message: text.message,
            details: text
                .details
                .and_then(|details| serde_json::from_str(&details).ok())
                .map(Any),
            step: text.step,
            agent_name: text.agent_name,
            concept_id: text.concept_id,
            duration_ms: head.duration_ms,
        }
    }
}

impl LogSummary {
    /// What the lines come to.
    #[must_use]
    pub fn new(summary: Summary) -> Self {
        let levels = LogLevel::ALL.into_iter().zip(summary.levels);
        let mut categories: Vec<_> = summary.categories.into_iter().collect();
        categories.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        categories.truncate(MOST_CATEGORIES);
        Self {
            total: summary.total,
            by_level: levels.map(|(level, count)| (level.label().to_owned(), count)).collect(),
            by_category: categories.into_iter().collect(),
            first_at: summary.first_at.map(|at| at.to_string()),
            last_at: summary.last_at.map(|at| at.to_string()),
            total_duration_ms: summary.duration_ms,
        }
    }
}

raw_type!(
    PostedLines,
    required true,
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        one_of: vec![LogBatch::schema_ref(), PostedLine::schema_ref()],
        ..MetaSchema::new("object")
    }));
    fn register(registry: &mut Registry) {
        LogBatch::register(registry);
        PostedLine::register(registry);
    }
);

impl ParseFromJSON for PostedLines {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        if value.as_ref().is_some_and(|value| value.get("lines").is_some()) {
            let batch = LogBatch::parse_from_json(value).map_err(ParseError::propagate)?;
            return Ok(Self::Many(batch));
        }
        let line = PostedLine::parse_from_json(value).map_err(ParseError::propagate)?;
        Ok(Self::One(Box::new(line)))
    }
}

/// Most lines of one request.
const MOST_LINES: usize = 1000;

/// Most characters of a category.
const MOST_CATEGORY: usize = 64;

/// Most bytes of a message, of details, and of each of the names.
const MOST_MESSAGE: usize = 8 << 10;
const MOST_DETAILS: usize = 16 << 10;
const MOST_NAME: usize = 256;
/// What the document's 64 bits with a sign hold.
const MOST_DURATION_MS: u64 = i64::MAX.unsigned_abs();

/// Most categories that a summary tells of: they are free text.
const MOST_CATEGORIES: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_771_927_200);

    fn read(body: Value) -> Result<Vec<LogLine>, ApiError> {
        let posted = PostedLines::parse_from_json(Some(body));
        posted
            .map_err(|error| ApiError::validation(error.into_message()))
            .and_then(|posted| posted.read(NOW))
    }

    fn line(field: &str, value: Value) -> Value {
        let mut line = json!({ "level": "info", "category": "tool", "message": "searched" });
        line[field] = value;
        line
    }

    #[test]
    fn one_line_and_a_batch_of_lines_are_read() {
        let one = read(line("duration_ms", json!(12))).unwrap();
        assert_eq!((one[0].head.at, one[0].head.duration_ms), (NOW, Some(12)));
        let many =
            json!({ "lines": [line("details", json!({ "hits": 3 })), line("at", json!("2026-02-24T10:00:00Z"))] });
        let many = read(many).unwrap();
        assert_eq!(many[0].text.details.as_deref(), Some(r#"{"hits":3}"#));
        assert_eq!(many[1].head.at.to_string(), "2026-02-24T10:00:00Z");
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_its_place() {
        let wrong = [
            ("level", json!("loud")),
            ("category", json!("")),
            ("category", json!("x".repeat(65))),
            ("message", json!("x".repeat(8193))),
            ("details", json!("x".repeat(16_384))),
            ("step", json!("x".repeat(257))),
            ("at", json!("yesterday")),
            ("duration_ms", json!(-1)),
            ("duration_ms", json!(1_u64 << 63)),
            ("colour", json!("red")),
        ];
        for (field, value) in wrong {
            assert!(read(line(field, value)).is_err(), "{field}");
        }
        let error = read(json!({ "lines": [line("step", json!("a")), line("at", json!("never"))] }));
        assert!(format!("{error:?}").contains("lines[1].at"));
        for count in [0, 1001] {
            assert!(read(json!({ "lines": vec![line("step", json!("a")); count] })).is_err());
        }
    }

    #[test]
    fn a_summary_tells_of_every_level_and_of_the_commonest_categories() {
        let summary = LogSummary::new(Summary {
            levels: [0, 3, 0, 1, 0],
            categories: (0..200).map(|number| (format!("c{number}"), number)).collect(),
            ..Summary::default()
        });
        assert_eq!(summary.by_level["critical"], 0);
        assert_eq!(summary.by_category.len(), 100);
        assert!(summary.by_category.contains_key("c199"));
        assert!(!summary.by_category.contains_key("c99"));
    }
}
