//! An entry of the log book as a row of the table, and the line of JSON that is its one canonical form.

use std::collections::BTreeMap;

use serde_json::Value;

use super::column::Column;
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::money::Hold;
use crate::model::record::{Event, Intent, Reservation, Settlement};
use crate::store::audit::Logged;

/// What stands in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A number.
    Number(i64),
    /// A moment.
    Moment(Timestamp),
    /// A text.
    Text(String),
}

/// One entry. Columns of which it does not tell are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    cells: Vec<(Column, Cell)>,
}

impl Row {
    /// The row of an entry.
    #[must_use]
    pub fn of(logged: &Logged) -> Self {
        let mut row = Self {
            cells: Vec::with_capacity(20),
        };
        row.put(Column::Seq, logged.seq);
        row.put(Column::Time, logged.entry.at);
        row.put(Column::Event, logged.entry.event.label());
        row.put(Column::Digest, logged.digest);
        row.tell(&logged.entry.event);
        row.cells.sort_by_key(|(column, _)| *column);
        row
    }

    /// What stands in it, in the order of the columns.
    pub fn cells(&self) -> impl Iterator<Item = (Column, &Cell)> {
        self.cells.iter().map(|(column, cell)| (*column, cell))
    }

    /// Its canonical form: one JSON object without its line feed, as `line` writes it.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        line(self.cells().map(|(column, cell)| (column.name(), cell)))
    }

    fn put(&mut self, column: Column, cell: impl Into<Cell>) {
        self.cells.push((column, cell.into()));
    }

    fn put_some(&mut self, column: Column, cell: Option<impl Into<Cell>>) {
        if let Some(cell) = cell {
            self.put(column, cell);
        }
    }

    fn tell(&mut self, event: &Event) {
        match event {
            Event::Intent(intent) => self.intent(intent),
            Event::Settlement(settlement) => self.settlement(settlement),
            Event::Task(task) => {
                self.put(Column::Intent, task.intent);
                self.put(Column::TaskId, task.task_id.as_str());
                self.put(Column::State, task.state.label());
                self.put_some(Column::Code, task.code);
            }
            Event::Admin(action) => {
                self.put(Column::Actor, action.actor.as_str());
                self.put(Column::Action, action.action.as_str());
                self.put(Column::Target, action.target.as_str());
                self.put_some(Column::RequestId, action.request.map(|id| id.to_string()));
            }
            Event::Refusals(refusals) => {
                self.put(Column::Reason, refusals.reason.label());
                self.put(Column::Count, refusals.count);
                self.put(Column::Since, refusals.since);
            }
            Event::Pruned(pruned) => {
                self.put(Column::Through, pruned.through);
                self.put(Column::PrunedDigest, Digest::from_bytes(pruned.digest));
                self.put(Column::Count, pruned.count);
            }
            Event::Started(started) => {
                self.put(Column::Boot, started.boot);
                self.put(Column::Version, started.version.as_str());
                self.put(Column::Unknown, started.unknown);
            }
            Event::Resolved(resolution) => {
                self.put(Column::Intent, resolution.intent);
                self.put(Column::Actor, resolution.actor.as_str());
                self.put(Column::Outcome, resolution.outcome.label());
                self.put_some(Column::TaskId, resolution.task_id.as_deref());
            }
            Event::Rerouted(reroute) => {
                self.put(Column::Intent, reroute.intent);
                self.put(Column::Account, reroute.account.to_string());
            }
            Event::Consumed(consumed) => {
                self.put(Column::Intent, consumed.intent);
                self.put(Column::InputTokens, consumed.usage.input);
                self.put(Column::OutputTokens, consumed.usage.output);
                self.put(Column::Source, consumed.source.label());
            }
            Event::Charged(charge) => {
                self.put(Column::Intent, charge.intent);
                self.put(Column::InputTokens, charge.units.input);
                self.put(Column::OutputTokens, charge.units.output);
                self.put(Column::Source, charge.source.label());
                self.put(Column::CachedTokens, charge.units.cached);
                self.put(Column::Images, charge.units.images);
                self.put(Column::Seconds, charge.units.seconds);
                self.put(Column::Currency, charge.money.currency.as_str());
                self.put(Column::CostMicrounits, charge.money.microunits);
            }
            Event::Restored(restored) => {
                self.put(Column::Through, restored.through);
                self.put(Column::Epoch, restored.epoch);
                self.put(Column::RestoredAt, restored.restored_at);
                self.put(Column::BackupAt, restored.backup_at);
                self.put(Column::ThroughDigest, Digest::from_bytes(restored.digest));
                self.put_some(Column::Replaced, restored.replaced.map(|(seq, _)| seq));
                let digest = restored.replaced.map(|(_, digest)| Digest::from_bytes(digest));
                self.put_some(Column::ReplacedDigest, digest);
            }
        }
    }

    fn intent(&mut self, intent: &Intent) {
        self.put(Column::RequestId, intent.request.to_string());
        self.put_some(Column::ClientRequestId, intent.client_request.as_deref());
        self.put(Column::Owner, intent.owner.to_string());
        self.put_some(Column::Key, intent.key.map(|key| key.to_string()));
        self.put(Column::Operation, intent.operation.label());
        self.put(Column::Account, intent.account.to_string());
        self.put_some(Column::Model, intent.model.as_deref());
        self.put(Column::BodyDigest, Digest::from_bytes(intent.body_digest));
        self.put(Column::BodyBytes, intent.body_bytes);
        self.put_some(Column::Idempotency, intent.idempotency.map(Digest::from_bytes));
        if !intent.headers.is_empty() {
            let headers: BTreeMap<&str, &str> = intent
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            self.put(Column::Headers, serde_json::json!(headers).to_string());
        }
        self.put_some(Column::Peer, intent.peer.as_deref());
        if let Reservation::Held(Hold { money: Some(money), .. }) = intent.reservation {
            self.put(Column::Currency, money.currency.as_str());
            self.put(Column::ReservedMicrounits, money.microunits);
        }
    }

    fn settlement(&mut self, settlement: &Settlement) {
        self.put(Column::Intent, settlement.intent);
        self.put(Column::Account, settlement.account.to_string());
        self.put(Column::Outcome, settlement.outcome.label());
        self.put(Column::Reason, settlement.reason.label());
        self.put_some(Column::Status, settlement.status.map(u64::from));
        self.put_some(Column::Code, settlement.code);
        self.put_some(Column::TaskId, settlement.task_id.as_deref());
        self.put_some(Column::UpstreamRequestId, settlement.upstream_request.as_deref());
        self.put(Column::Attempts, u64::from(settlement.attempts));
        self.put(Column::ReplyBytes, settlement.reply_bytes);
        self.put(Column::DurationMicros, settlement.duration_micros);
    }
}

/// One JSON object of the named cells, in the order given, without spaces and without a line feed.
///
/// It depends on nothing but what stands in the row, so that the row of a Parquet file gives the same bytes as the line
/// of an NDJSON file.
pub(super) fn line<'a>(cells: impl IntoIterator<Item = (&'a str, &'a Cell)>) -> Vec<u8> {
    let mut line = Vec::with_capacity(512);
    let mut separator = b'{';
    for (name, cell) in cells {
        line.push(separator);
        separator = b',';
        line.extend_from_slice(Value::from(name).to_string().as_bytes());
        line.push(b':');
        let value = match cell {
            Cell::Number(number) => Value::from(*number),
            Cell::Moment(moment) => Value::from(moment.to_string()),
            Cell::Text(text) => Value::from(text.as_str()),
        };
        line.extend_from_slice(value.to_string().as_bytes());
    }
    if separator == b'{' {
        line.push(b'{');
    }
    line.push(b'}');
    line
}

/// A number beyond 2^63, which nothing here counts to, stays at that.
impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for Cell {
    fn from(moment: Timestamp) -> Self {
        Self::Moment(moment)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Digest> for Cell {
    fn from(digest: Digest) -> Self {
        Self::Text(digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_row_tells_what_its_entry_tells_and_leaves_out_what_it_does_not() {
        let entries = sample::entries();
        let (intent, settlement) = (&entries[0], &entries[1]);
        assert_eq!(
            String::from_utf8(Row::of(intent).line()).unwrap(),
            format!(
                r#"{{"seq":1,"time":"2026-02-24T10:00:00Z","event":"intent","digest":"{}","request_id":"req_{}","owner":"own_{}","operation":"chat_completions","account":"acc_{}","body_digest":"{}","body_bytes":42}}"#,
                "01".repeat(32),
                "0".repeat(32),
                "0000000000000001",
                "0000000000000007",
                "09".repeat(32),
            )
        );
        let line: Value = serde_json::from_slice(&Row::of(settlement).line()).unwrap();
        assert_eq!(line["intent"], 1);
        assert_eq!(line["outcome"], "succeeded");
        assert_eq!(line.get("task_id"), None);
    }

    #[test]
    fn cells_stand_in_the_order_of_the_columns() {
        for logged in sample::entries() {
            let row = Row::of(&logged);
            assert!(row.cells().map(|(column, _)| column).is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn every_column_is_told_by_some_entry_with_what_it_is_to_hold() {
        use super::super::column::Kind;
        let mut told: Vec<Column> = Vec::new();
        for logged in sample::entries() {
            for (column, cell) in Row::of(&logged).cells() {
                let kind = match cell {
                    Cell::Number(_) => Kind::Number,
                    Cell::Moment(_) => Kind::Moment,
                    Cell::Text(_) => Kind::Text,
                };
                assert_eq!(kind, column.kind(), "{column:?}");
                told.push(column);
            }
        }
        told.sort_unstable();
        told.dedup();
        assert_eq!(told, Column::ALL);
    }

    #[test]
    fn a_line_is_json_whatever_its_texts_are() {
        let text = Cell::from("a \"quoted\"\n\u{1b}[2J line 你");
        let line = line([("text", &text), ("number", &Cell::from(-7_i64))]);
        assert!(!line.contains(&b'\n'));
        let read: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["text"], "a \"quoted\"\n\u{1b}[2J line 你");
        assert_eq!(read["number"], -7);
        assert_eq!(super::line([]), b"{}");
    }
}
