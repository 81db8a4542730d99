//! How an event looks on the wire.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::model::id::JobId;
use crate::model::job::event::{Happening, JobEvent};
use crate::model::job::{ItemState, Tally};

/// Events, each with its number as its id.
pub(super) fn events(id: JobId, events: &[(u64, JobEvent)]) -> Bytes {
    let mut text = String::with_capacity(events.len() * 384);
    for (seq, event) in events {
        let (label, data) = (event.what.label(), data(id, *seq, event));
        // JSON has no line break in it, and a String takes whatever is written.
        let _ = write!(text, "id: {seq}\nevent: {label}\ndata: {data}\n\n");
    }
    Bytes::from(text)
}

/// A comment, which every reader passes over.
pub(super) fn comment(text: &str) -> Bytes {
    Bytes::from(format!(": {text}\n\n"))
}

/// Why the stream ends before its job. It has no id: the reader goes on behind the last event.
pub(super) fn error(code: &str, message: &str) -> Bytes {
    let data = json!({ "error": { "code": code, "message": message } });
    Bytes::from(format!("event: error\ndata: {data}\n\n"))
}

fn data(id: JobId, seq: u64, event: &JobEvent) -> Value {
    let (index, state, attempts, error) = match &event.what {
        Happening::Job(state) => (None, state.label(), None, None),
        Happening::Item {
            index,
            state,
            attempts,
            error,
        } => (Some(*index), state.label(), Some(*attempts), error.as_deref()),
        Happening::Slow { index } => (Some(*index), ItemState::Running.label(), None, None),
    };
    json!({
        "job": id.to_string(),
        "seq": seq,
        "type": event.what.label(),
        "at": event.at.to_string(),
        "index": index,
        "state": state,
        "attempts": attempts,
        "error": error,
        "counts": counts(&event.tally),
        "failed_ratio": event.tally.failed_ratio(),
    })
}

fn counts(tally: &Tally) -> Value {
    let states = ItemState::ALL.into_iter();
    let mut counts: Map<_, _> = states
        .map(|state| (state.label().to_owned(), tally.of(state).into()))
        .collect();
    counts.insert("total".to_owned(), tally.total().into());
    Value::Object(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Timestamp;

    #[test]
    fn an_event_has_its_number_its_type_and_one_line_of_json() {
        let event = JobEvent {
            at: Timestamp::from_seconds(1_700_000_000),
            what: Happening::Item {
                index: 2,
                state: ItemState::Failed,
                attempts: 1,
                error: Some("50412".to_owned()),
            },
            tally: Tally::queued(3),
        };
        let text = events(JobId::from_bits(1), &[(7, event)]);
        let text = std::str::from_utf8(&text).unwrap();
        let data = text.strip_prefix("id: 7\nevent: item.failed\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap();
        assert_eq!(
            data,
            json!({
                "job": "job_00000000000000000000000000000001", "seq": 7, "type": "item.failed",
                "at": "2023-11-14T22:13:20Z", "index": 2, "state": "failed", "attempts": 1, "error": "50412",
                "counts": {
                    "queued": 3, "running": 0, "polling": 0, "succeeded": 0, "failed": 0, "unknown": 0, "dead": 0,
                    "cancelled": 0, "total": 3,
                },
                "failed_ratio": 0.0,
            })
        );
    }
}
