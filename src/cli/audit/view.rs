//! Entries of the log book as they are printed.

use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::output::{Show, compact};
use crate::cli::page::Page;
use crate::cli::table::{Column, Look, fields, moment, table};

/// One entry. What it says depends on its event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EntryView {
    /// Its number; they rise without a gap.
    pub(super) id: u64,
    /// When it was written.
    pub(super) at: String,
    event: String,
    digest: String,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

impl EntryView {
    /// Everything it says on one line; what is empty is left out.
    fn summary(&self) -> String {
        let facts = self.facts.iter().filter(|(_, value)| !is_empty(value));
        let facts: Vec<String> = facts.map(|(name, value)| format!("{name}={}", plain(value))).collect();
        facts.join(" ")
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A value without quotes where it needs none. What could move a terminal's cursor stays escaped.
fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text)
            if text
                .chars()
                .all(|char| !char.is_control() && !char.is_whitespace() && char != '"') =>
        {
            text.to_owned()
        }
        _ => compact(value),
    }
}

impl Show for Page<EntryView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Number("ID"),
            Column::Word("AT"),
            Column::Word("EVENT"),
            Column::Text("WHAT"),
        ];
        let row = |entry: &EntryView| {
            vec![
                Cell::new(entry.id),
                moment(Some(&entry.at)),
                Cell::new(&entry.event),
                Cell::new(entry.summary()),
            ]
        };
        let text = table(&columns, self.items.iter().map(row).collect(), look, "no entries");
        text + &self.rest()
    }
}

/// One line of `audit tail`; its columns are wide enough for what usually stands in them.
impl Show for EntryView {
    fn text(&self, _: Look) -> String {
        let at = moment(Some(&self.at)).content();
        format!("{:>8}  {at:<20}  {:<10}  {}\n", self.id, self.event, self.summary())
    }
}

/// What `audit resolve` is answered with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Resolved(Map<String, Value>);

impl Show for Resolved {
    fn text(&self, look: Look) -> String {
        let rows = self.0.iter().filter(|(_, value)| !is_empty(value));
        fields(
            rows.map(|(name, value)| (name.as_str(), Cell::new(plain(value))))
                .collect(),
            look,
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::table::Colour;

    const PLAIN: Look = Look {
        colour: Colour::Plain,
        width: None,
    };

    fn entry() -> EntryView {
        serde_json::from_value(json!({
            "id": 12, "digest": "abcd", "at": "2026-02-24T10:00:00.5Z", "event": "settlement", "intent": 11,
            "outcome": "succeeded", "task_id": null, "note": "two words\u{1b}[2J", "headers": []
        }))
        .unwrap()
    }

    #[test]
    fn an_entry_is_one_line_and_cannot_move_the_cursor() {
        assert_eq!(
            entry().text(PLAIN),
            "      12  2026-02-24T10:00:00Z  settlement  intent=11 note=\"two words\\u001b[2J\" outcome=succeeded\n"
        );
    }

    #[test]
    fn entries_are_a_table() {
        let page = Page {
            items: vec![entry()],
            next_cursor: None,
        };
        assert_eq!(
            page.text(PLAIN),
            "ID  AT                    EVENT       WHAT
12  2026-02-24T10:00:00Z  settlement  intent=11 note=\"two words\\u001b[2J\" outcome=succeeded
"
        );
    }

    #[test]
    fn json_begins_with_what_every_entry_has() {
        assert!(
            compact(&entry())
                .starts_with(r#"{"id":12,"at":"2026-02-24T10:00:00.5Z","event":"settlement","digest":"abcd","#)
        );
    }
}
