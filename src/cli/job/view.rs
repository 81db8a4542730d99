//! Jobs as they are printed.

use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::output::Show;
use crate::cli::page::Page;
use crate::cli::table::{Column, Look, fields, moment, state, table, text};

/// A job in a list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobRow {
    id: String,
    owner: String,
    kind: String,
    queue: String,
    state: String,
    priority: u8,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    counts: Counts,
    failed_ratio: f64,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// How many items stand how.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    total: u32,
    queued: u32,
    running: u32,
    polling: u32,
    succeeded: u32,
    failed: u32,
    unknown: u32,
    dead: u32,
    cancelled: u32,
}

/// One job by itself; what it was submitted with is among what is added.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct JobDetail(JobRow);

/// An item of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ItemRow {
    index: u32,
    operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    state: String,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audit_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// What a newer server adds, and what no table shows.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Why an item failed.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    code: String,
    message: String,
}

/// An item that ran out of attempts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeadLetter {
    job: String,
    owner: String,
    queue: String,
    item: ItemRow,
}

/// What came of a change of dead letters.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Changed {
    jobs: Vec<JobRow>,
    skipped: Vec<Skipped>,
    #[serde(skip_serializing)]
    next_cursor: Option<String>,
}

/// A job with which it could not be done.
#[derive(Debug, Serialize, Deserialize)]
struct Skipped {
    id: String,
    reason: String,
}

impl Changed {
    /// Adds what came of the next ones, and says where those begin that are left.
    pub(super) fn add(&mut self, other: Self) -> Option<String> {
        self.jobs.extend(other.jobs);
        self.skipped.extend(other.skipped);
        other.next_cursor
    }
}

impl JobRow {
    /// Items that have ended, of all.
    fn progress(&self) -> String {
        let Counts {
            total,
            queued,
            running,
            polling,
            ..
        } = self.counts;
        format!("{}/{total}", total.saturating_sub(queued + running + polling))
    }

    fn failed(&self) -> String {
        format!("{:.1} %", self.failed_ratio * 100.0)
    }

    fn rows(&self) -> Vec<(&str, Cell)> {
        let counts = &self.counts;
        let named = [
            ("queued", counts.queued),
            ("running", counts.running),
            ("polling", counts.polling),
            ("succeeded", counts.succeeded),
            ("failed", counts.failed),
            ("unknown", counts.unknown),
            ("dead", counts.dead),
            ("cancelled", counts.cancelled),
        ];
        let there = named.iter().filter(|(_, number)| *number > 0);
        let items: Vec<String> = there.map(|(name, number)| format!("{number} {name}")).collect();
        vec![
            ("id", Cell::new(&self.id)),
            ("state", state(&self.state)),
            ("kind", Cell::new(&self.kind)),
            ("queue", Cell::new(&self.queue)),
            ("priority", Cell::new(self.priority)),
            ("owner", Cell::new(&self.owner)),
            ("items", Cell::new(format!("{} ({})", counts.total, items.join(", ")))),
            ("failed", Cell::new(self.failed())),
            ("created", moment(Some(&self.created_at))),
            ("started", moment(self.started_at.as_deref())),
            ("finished", moment(self.finished_at.as_deref())),
        ]
    }
}

impl Show for JobRow {
    fn text(&self, look: Look) -> String {
        fields(self.rows(), look)
    }
}

impl Show for JobDetail {
    fn text(&self, look: Look) -> String {
        let mut rows = self.0.rows();
        let told = self.0.more.iter().filter(|(_, value)| !value.is_null());
        rows.extend(told.map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str(), Cell::new(value))
        }));
        fields(rows, look)
    }
}

fn jobs(rows: &[JobRow], look: Look, none: &str) -> String {
    let columns = [
        Column::Word("CREATED"),
        Column::Word("JOB"),
        Column::Word("QUEUE"),
        Column::Word("STATE"),
        Column::Number("ENDED"),
        Column::Number("FAILED"),
        Column::Word("OWNER"),
    ];
    let row = |job: &JobRow| {
        vec![
            moment(Some(&job.created_at)),
            Cell::new(&job.id),
            Cell::new(&job.queue),
            state(&job.state),
            Cell::new(job.progress()),
            Cell::new(job.failed()),
            Cell::new(&job.owner),
        ]
    };
    table(&columns, rows.iter().map(row).collect(), look, none)
}

impl Show for Page<JobRow> {
    fn text(&self, look: Look) -> String {
        jobs(&self.items, look, "no jobs") + &self.rest()
    }
}

impl Show for Page<ItemRow> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Number("ITEM"),
            Column::Word("STATE"),
            Column::Number("ATTEMPTS"),
            Column::Word("OPERATION"),
            Column::Word("MODEL"),
            Column::Word("TASK"),
            Column::Number("AUDIT"),
            Column::Text("ERROR"),
        ];
        let row = |item: &ItemRow| {
            vec![
                Cell::new(item.index),
                state(&item.state),
                Cell::new(item.attempts),
                Cell::new(&item.operation),
                text(item.model.as_deref()),
                text(item.task_id.as_deref()),
                item.audit_id.map_or_else(|| text(None), Cell::new),
                error(item),
            ]
        };
        table(&columns, self.items.iter().map(row).collect(), look, "no items") + &self.rest()
    }
}

impl Show for Page<DeadLetter> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("DIED"),
            Column::Word("JOB"),
            Column::Number("ITEM"),
            Column::Word("QUEUE"),
            Column::Number("ATTEMPTS"),
            Column::Word("OPERATION"),
            Column::Text("ERROR"),
        ];
        let row = |letter: &DeadLetter| {
            vec![
                moment(letter.item.finished_at.as_deref()),
                Cell::new(&letter.job),
                Cell::new(letter.item.index),
                Cell::new(&letter.queue),
                Cell::new(letter.item.attempts),
                Cell::new(&letter.item.operation),
                error(&letter.item),
            ]
        };
        table(&columns, self.items.iter().map(row).collect(), look, "no dead letters") + &self.rest()
    }
}

fn error(item: &ItemRow) -> Cell {
    match &item.error {
        Some(Failure { code, message }) => Cell::new(format!("{code}: {message}")),
        None => text(None),
    }
}

impl Show for Changed {
    fn text(&self, look: Look) -> String {
        let mut text = jobs(&self.jobs, look, "no job was changed");
        if !self.skipped.is_empty() {
            let columns = [Column::Word("SKIPPED"), Column::Text("WHY")];
            let rows = self.skipped.iter();
            let rows = rows.map(|job| vec![Cell::new(&job.id), Cell::new(&job.reason)]);
            text.push('\n');
            text.push_str(&table(&columns, rows.collect(), look, ""));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::compact;
    use crate::cli::table::Colour;

    const PLAIN: Look = Look {
        colour: Colour::Plain,
        width: None,
    };

    fn job() -> Value {
        json!({
            "id": "job_1", "owner": "own_2", "kind": "batch", "queue": "default", "state": "partially_failed", "priority": 5,
            "created_at": "2026-02-24T10:00:00.25Z", "finished_at": "2026-02-24T10:01:00Z",
            "counts": {
                "total": 6, "queued": 0, "running": 0, "polling": 0, "succeeded": 5, "failed": 1, "unknown": 0, "dead": 0,
                "cancelled": 0
            },
            "failed_ratio": 1.0 / 6.0
        })
    }

    #[test]
    fn one_of_six_items_failed_is_printed_as_a_sixth() {
        let page: Page<JobRow> = serde_json::from_value(json!({"items": [job()], "next_cursor": "c2"})).unwrap();
        assert_eq!(
            page.text(PLAIN),
            "CREATED               JOB    QUEUE    STATE             ENDED  FAILED  OWNER
2026-02-24T10:00:00Z  job_1  default  partially_failed    6/6  16.7 %  own_2

There are more: --cursor c2
"
        );
    }

    #[test]
    fn a_job_by_itself_shows_what_it_was_submitted_with() {
        let mut job = job();
        job["max_attempts"] = json!(3);
        job["held"] = json!(false);
        let detail: JobDetail = serde_json::from_value(job).unwrap();
        let text = detail.text(PLAIN);
        for line in [
            "items         6 (5 succeeded, 1 failed)",
            "max_attempts  3",
            "started       -",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn what_was_skipped_says_why() {
        let mut whole = Changed::default();
        let skipped = json!({"jobs": [], "skipped": [{"id": "job_1", "reason": "it runs"}], "next_cursor": "c"});
        assert_eq!(
            whole.add(serde_json::from_value(skipped).unwrap()).as_deref(),
            Some("c")
        );
        assert_eq!(
            whole.text(PLAIN),
            "no job was changed\n\nSKIPPED  WHY\njob_1    it runs\n"
        );
        assert_eq!(
            compact(&whole),
            r#"{"jobs":[],"skipped":[{"id":"job_1","reason":"it runs"}]}"#
        );
    }
}
