//! What reached the imitation: counted when a body is whole, whether or not an answer follows.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName};
use serde::Serialize;

/// A snapshot of what reached the imitation. `GET /__seen` shows the same as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Requests whose body arrived whole. Pictures, films and the `/__…` routes do not count.
    pub total: u64,
    /// Requests that are being answered now.
    pub in_flight: usize,
    /// The most that were ever answered at once.
    pub peak_in_flight: usize,
    /// Requests whose caller hung up before the answer had ended.
    pub abandoned: u64,
    /// Requests by Volcengine action, or by path.
    pub actions: BTreeMap<String, u64>,
    /// Bodies by marker: the value of a `"marker"` field, or a word that begins with `marker-`.
    pub markers: BTreeMap<String, Marked>,
    /// Bodies whose marker was not counted because too many others were.
    pub markers_dropped: u64,
    /// The newest requests, oldest first, at most 10,000.
    pub recent: Vec<Sighting>,
}

impl Seen {
    /// How many requests named `action`, a Volcengine action or a path.
    #[must_use]
    pub fn action(&self, action: &str) -> u64 {
        self.actions.get(action).copied().unwrap_or(0)
    }

    /// How many bodies carried `marker`.
    #[must_use]
    pub fn marker(&self, marker: &str) -> u64 {
        self.markers.get(marker).map_or(0, |marked| marked.count)
    }
}

/// The bodies that carried one marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// How many there were.
    pub count: u64,
    /// Who sent the last one; `None` if no known account did.
    pub account: Option<Arc<str>>,
}

/// One request, without anything that could be a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// Volcengine action, or path.
    pub action: Arc<str>,
    /// The access key it named, or the name of its bearer key; `None` if unknown here.
    pub account: Option<Arc<str>>,
    /// The size of its body.
    pub body_bytes: usize,
    /// The names of its headers.
    pub headers: Vec<String>,
}

/// Who watches the requests go by.
#[derive(Debug, Default)]
pub(super) struct Witness {
    notes: Mutex<Notes>,
    in_flight: AtomicUsize,
    peak_in_flight: AtomicUsize,
    abandoned: AtomicU64,
}

#[derive(Debug, Default)]
struct Notes {
    total: u64,
    actions: BTreeMap<Arc<str>, u64>,
    markers: BTreeMap<Box<str>, Marked>,
    markers_dropped: u64,
    recent: VecDeque<Note>,
}

#[derive(Debug)]
struct Note {
    action: Arc<str>,
    account: Option<Arc<str>>,
    body_bytes: usize,
    /// Shared with the note before it when the names are the same, as they nearly always are.
    headers: Arc<[HeaderName]>,
}

impl Witness {
    /// Counts a request, and opens a visit that lasts until its answer has ended.
    pub(super) fn note(
        self: &Arc<Self>,
        action: &str,
        account: Option<&Arc<str>>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Visit {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak_in_flight.fetch_max(in_flight, Ordering::Relaxed);
        let marker = marker(body);
        let mut notes = self.notes();
        notes.total += 1;
        if let Some(marker) = marker {
            notes.mark(marker, account);
        }
        let action = notes.count(action);
        notes.keep(action, account, headers, body.len());
        Visit {
            witness: Arc::clone(self),
            end: End::Abandoned,
        }
    }

    /// Everything noted so far.
    pub(super) fn snapshot(&self) -> Seen {
        let notes = self.notes();
        Seen {
            total: notes.total,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            peak_in_flight: self.peak_in_flight.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            actions: notes
                .actions
                .iter()
                .map(|(action, count)| (action.to_string(), *count))
                .collect(),
            markers: notes
                .markers
                .iter()
                .map(|(marker, marked)| (marker.to_string(), marked.clone()))
                .collect(),
            markers_dropped: notes.markers_dropped,
            recent: notes.recent.iter().map(Note::show).collect(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn mark(&mut self, marker: &str, account: Option<&Arc<str>>) {
        if let Some(marked) = self.markers.get_mut(marker) {
            marked.count += 1;
            marked.account = account.cloned();
        } else if self.markers.len() < MAX_MARKERS {
            self.markers.insert(
                marker.into(),
                Marked {
                    count: 1,
                    account: account.cloned(),
                },
            );
        } else {
            self.markers_dropped += 1;
        }
    }

    /// Adds one to `action`; once too many different ones are known, new ones share a name.
    fn count(&mut self, action: &str) -> Arc<str> {
        let known = self.actions.len() < MAX_ACTIONS || self.actions.contains_key(action);
        let action = if known && action.len() <= MAX_ACTION_BYTES {
            action
        } else {
            OTHER
        };
        let name = match self.actions.get_key_value(action) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(action),
        };
        *self.actions.entry(Arc::clone(&name)).or_default() += 1;
        name
    }

    fn keep(&mut self, action: Arc<str>, account: Option<&Arc<str>>, headers: &HeaderMap, body_bytes: usize) {
        let shared = self
            .recent
            .back()
            .map(|note| &note.headers)
            .filter(|names| names.iter().eq(headers.keys()));
        let names = shared.map_or_else(|| headers.keys().cloned().collect(), Arc::clone);
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Note {
            action,
            account: account.cloned(),
            body_bytes,
            headers: names,
        });
    }
}

impl Note {
    fn show(&self) -> Sighting {
        Sighting {
            action: Arc::clone(&self.action),
            account: self.account.clone(),
            body_bytes: self.body_bytes,
            headers: self.headers.iter().map(HeaderName::to_string).collect(),
        }
    }
}

/// A request that is being answered. Dropped before [`Visit::finish`], it counts as abandoned.
#[derive(Debug)]
pub(super) struct Visit {
    witness: Arc<Witness>,
    end: End,
}

/// How a [`Visit`] ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Answered,
    Abandoned,
}

impl Visit {
    /// The answer has ended, be it with a cut on purpose.
    pub(super) fn finish(mut self) {
        self.end = End::Answered;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.witness.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.end == End::Abandoned {
            self.witness.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The first marker in `body`, found without parsing it.
fn marker(body: &[u8]) -> Option<&str> {
    let mut rest = body;
    while let Some(start) = rest.iter().position(|&byte| byte == b'm') {
        rest = rest.get(start..)?;
        if let Some(after) = rest.strip_prefix(b"marker") {
            let found = match after.first() {
                Some(b'-') => Some(word(rest)).filter(|found| *found != b"marker-"),
                Some(b'"') => field_value(after).map(word).filter(|found| !found.is_empty()),
                _ => None,
            };
            if let Some(found) = found {
                return std::str::from_utf8(found).ok();
            }
        }
        rest = rest.get(1..)?;
    }
    None
}

/// What follows `" : "`, the text between a field's name and its value.
fn field_value(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start()
        .strip_prefix(b"\"")
}

/// The letters, digits, `-`, `_` and `.` that `text` begins with, cut at a length that keeps memory bounded.
fn word(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"-_.".contains(byte)));
    text.get(..end.unwrap_or(text.len()).min(MAX_MARKER_BYTES))
        .unwrap_or_default()
}

/// How many different markers are counted.
const MAX_MARKERS: usize = 200_000;
const MAX_MARKER_BYTES: usize = 64;
/// How many different actions and paths are counted.
const MAX_ACTIONS: usize = 256;
const MAX_ACTION_BYTES: usize = 128;
/// The name of actions that are too many or too long.
const OTHER: &str = "other";
/// How many requests are listed one by one.
const MAX_RECENT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_field_or_a_word() {
        assert_eq!(marker(br#"{"prompt":"a cat marker-17, please"}"#), Some("marker-17"));
        assert_eq!(marker(br#"{"name":"m","marker" : "abc_1"}"#), Some("abc_1"));
        assert_eq!(
            marker(br#"{"marker":7,"prompt":"marker marker- marker-x"}"#),
            Some("marker-x")
        );
        assert_eq!(marker(b"no mark"), None);
    }

    #[test]
    fn memory_stays_bounded_whatever_arrives() {
        let witness = Arc::new(Witness::default());
        for number in 0..=MAX_RECENT {
            witness
                .note(&format!("/{number}"), None, &HeaderMap::new(), b"")
                .finish();
        }
        witness.note(&"x".repeat(1000), None, &HeaderMap::new(), b"").finish();
        let seen = witness.snapshot();
        assert_eq!(seen.total, 10_002);
        assert_eq!(seen.recent.len(), MAX_RECENT);
        assert_eq!(seen.actions.len(), MAX_ACTIONS + 1);
    }

    #[test]
    fn a_visit_that_is_dropped_was_abandoned() {
        let witness = Arc::new(Witness::default());
        let first = witness.note("CVProcess", None, &HeaderMap::new(), b"");
        let second = witness.note("CVProcess", None, &HeaderMap::new(), b"");
        first.finish();
        drop(second);
        let seen = witness.snapshot();
        assert_eq!((seen.in_flight, seen.peak_in_flight, seen.abandoned), (0, 2, 1));
    }
}
