//! Who watches the requests go by: each is counted when its body is whole, whether or not an answer follows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName};

use super::call::Call;
use super::marker;
use super::seen::{Load, Marked, Seen, Sighting, Streams, Tally, Traffic};

/// Counts requests and the answers to them.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    total: u64,
    in_flight: usize,
    peak_in_flight: usize,
    abandoned: u64,
    streams: Streams,
    actions: BTreeMap<Arc<str>, u64>,
    models: BTreeSet<Arc<str>>,
    kinds: BTreeMap<Kind, u64>,
    accounts: BTreeMap<Arc<str>, Load>,
    markers: BTreeMap<Arc<str>, Marked>,
    markers_dropped: u64,
    recent: VecDeque<Note>,
}

/// What requests are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    account: Option<Arc<str>>,
    model: Option<Arc<str>>,
    action: Arc<str>,
}

#[derive(Debug)]
struct Note {
    kind: Kind,
    base: &'static str,
    marker: Option<Arc<str>>,
    body_bytes: usize,
    /// Shared with the note before it when the names are the same, as they nearly always are.
    headers: Arc<[HeaderName]>,
}

impl Witness {
    /// Counts a request, and opens a visit that lasts until its answer has ended.
    pub(super) fn note(self: &Arc<Self>, call: &Call) -> Visit {
        let marker = marker::find(&call.body);
        let mut notes = self.notes();
        notes.total += 1;
        notes.in_flight += 1;
        notes.peak_in_flight = notes.peak_in_flight.max(notes.in_flight);
        if let Some(account) = &call.account {
            let load = notes.accounts.entry(Arc::clone(account)).or_default();
            load.total += 1;
            load.in_flight += 1;
            load.peak_in_flight = load.peak_in_flight.max(load.in_flight);
        }
        let marker = marker.and_then(|marker| notes.mark(marker, call.account.as_ref()));
        let kind = notes.classify(call);
        notes.keep(
            Note {
                kind,
                base: call.base(),
                marker,
                body_bytes: call.body.len(),
                headers: Arc::default(),
            },
            &call.head.headers,
        );
        Visit {
            witness: Arc::clone(self),
            account: call.account.clone(),
            answer: Shape::Whole,
            end: End::Abandoned,
        }
    }

    /// Everything noted so far.
    pub(super) fn snapshot(&self) -> Seen {
        let notes = self.notes();
        let tally = |(kind, count): (&Kind, &u64)| Tally {
            account: kind.account.clone(),
            model: kind.model.clone(),
            action: Arc::clone(&kind.action),
            count: *count,
        };
        Seen {
            total: notes.total,
            in_flight: notes.in_flight,
            peak_in_flight: notes.peak_in_flight,
            abandoned: notes.abandoned,
            actions: notes
                .actions
                .iter()
                .map(|(action, count)| (action.to_string(), *count))
                .collect(),
            traffic: notes.traffic(),
            calls: notes.kinds.iter().map(tally).collect(),
            accounts: notes.accounts.clone(),
            streams: notes.streams,
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn mark(&mut self, marker: &str, account: Option<&Arc<str>>) -> Option<Arc<str>> {
        let known = self.markers.get_key_value(marker).map(|(name, _)| Arc::clone(name));
        if known.is_none() && self.markers.len() >= MAX_MARKERS {
            self.markers_dropped += 1;
            return None;
        }
        let name = known.unwrap_or_else(|| Arc::from(marker));
        let bodies = self.markers.entry(Arc::clone(&name)).or_insert(Marked {
            count: 0,
            account: None,
        });
        bodies.count += 1;
        bodies.account = account.cloned();
        Some(name)
    }

    /// Adds one to the kind of `call`; once too many different kinds are known, new ones share names.
    fn classify(&mut self, call: &Call) -> Kind {
        let mut kind = Kind {
            account: call.account.clone(),
            model: call.model.as_deref().map(|model| self.model(model)),
            action: self.action(call.action()),
        };
        if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(&kind) {
            kind.model = kind.model.map(|_| Arc::from(OTHER));
            kind.action = Arc::from(OTHER);
        }
        *self.kinds.entry(kind.clone()).or_default() += 1;
        kind
    }

    fn traffic(&self) -> Traffic {
        let sum = |actions: &[&str]| actions.iter().filter_map(|action| self.actions.get(*action)).sum();
        Traffic {
            submits: sum(&["CVSync2AsyncSubmitTask", "CVSubmitTask"]),
            queries: sum(&["CVSync2AsyncGetResult", "CVGetResult"]),
            cancels: sum(&["CVCancelTask"]),
            media: sum(&["/media"]),
        }
    }

    /// Adds one to `action`.
    fn action(&mut self, action: &str) -> Arc<str> {
        let known = self.actions.len() < MAX_ACTIONS || self.actions.contains_key(action);
        let action = if known && action.len() <= MAX_NAME_BYTES {
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

    fn model(&mut self, model: &str) -> Arc<str> {
        if let Some(known) = self.models.get(model) {
            return Arc::clone(known);
        }
        if self.models.len() >= MAX_MODELS || model.len() > MAX_NAME_BYTES {
            return Arc::from(OTHER);
        }
        let name = Arc::<str>::from(model);
        self.models.insert(Arc::clone(&name));
        name
    }

    fn keep(&mut self, mut note: Note, headers: &HeaderMap) {
        let shared = self
            .recent
            .back()
            .map(|note| &note.headers)
            .filter(|names| names.iter().eq(headers.keys()));
        note.headers = shared.map_or_else(|| headers.keys().cloned().collect(), Arc::clone);
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(note);
    }
}

impl Note {
    fn show(&self) -> Sighting {
        Sighting {
            action: Arc::clone(&self.kind.action),
            base: self.base,
            account: self.kind.account.clone(),
            model: self.kind.model.clone(),
            marker: self.marker.clone(),
            body_bytes: self.body_bytes,
            headers: self.headers.iter().map(HeaderName::to_string).collect(),
        }
    }
}

/// A request that is being answered. Dropped before [`Visit::finish`], it counts as abandoned.
#[derive(Debug)]
pub(super) struct Visit {
    witness: Arc<Witness>,
    account: Option<Arc<str>>,
    answer: Shape,
    end: End,
}

/// How a [`Visit`] is answered.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Whole,
    Stream,
}

/// How a [`Visit`] ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Answered,
    Abandoned,
}

impl Visit {
    /// The answer is a stream, which begins now.
    pub(super) fn stream(&mut self) {
        self.answer = Shape::Stream;
        let streams = &mut self.witness.notes().streams;
        streams.begun += 1;
        streams.open += 1;
        streams.peak_open = streams.peak_open.max(streams.open);
    }

    /// The answer has ended, be it with a cut on purpose.
    pub(super) fn finish(mut self) {
        self.end = End::Answered;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut notes = self.witness.notes();
        notes.in_flight -= 1;
        if let Some(load) = self.account.as_ref().and_then(|name| notes.accounts.get_mut(name)) {
            load.in_flight -= 1;
        }
        if self.end == End::Abandoned {
            notes.abandoned += 1;
        }
        if self.answer == Shape::Stream {
            notes.streams.open -= 1;
            match self.end {
                End::Answered => notes.streams.ended += 1,
                End::Abandoned => notes.streams.closed_by_caller += 1,
            }
        }
    }
}

/// How many different markers are counted.
const MAX_MARKERS: usize = 200_000;
/// How many different actions and paths are counted.
const MAX_ACTIONS: usize = 256;
/// How many different models are counted.
const MAX_MODELS: usize = 1000;
/// How many combinations of account, model and action are counted.
const MAX_KINDS: usize = 10_000;
const MAX_NAME_BYTES: usize = 128;
/// The name of actions, paths and models that are too many or too long.
const OTHER: &str = "other";
/// How many requests are listed one by one.
const MAX_RECENT: usize = 10_000;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn call(path: &str, account: Option<&str>, body: &str) -> Call {
        let (head, ()) = Request::post(path).body(()).unwrap().into_parts();
        let body = Bytes::from(body.to_owned());
        Call::new(head, body, tokio::time::Instant::now(), account.map(Arc::from))
    }

    #[test]
    fn memory_stays_bounded_whatever_arrives() {
        let witness = Arc::new(Witness::default());
        for number in 0..=MAX_RECENT {
            let body = format!(r#"{{"model":"m{number}"}}"#);
            witness.note(&call(&format!("/{number}"), None, &body)).finish();
        }
        witness
            .note(&call(&format!("/{}", "x".repeat(1000)), None, ""))
            .finish();
        let seen = witness.snapshot();
        assert_eq!(seen.total, 10_002);
        assert_eq!(seen.recent.len(), MAX_RECENT);
        assert_eq!(seen.actions.len(), MAX_ACTIONS + 1);
        assert!(seen.calls.len() <= MAX_KINDS + 2);
        assert_eq!(seen.calls.iter().map(|tally| tally.count).sum::<u64>(), seen.total);
    }

    #[test]
    fn requests_are_told_apart_by_account_model_and_operation() {
        let witness = Arc::new(Witness::default());
        for (path, account, body) in [
            ("/v1/embeddings", "a", r#"{"model":"m","input":"marker-1"}"#),
            ("/compatible-mode/v1/embeddings", "a", r#"{"model":"m","input":"x"}"#),
            ("/v1/embeddings", "b", r#"{"model":"n","input":"marker-1"}"#),
        ] {
            witness.note(&call(path, Some(account), body)).finish();
        }
        let seen = witness.snapshot();
        assert_eq!(
            (seen.calls("a", "m"), seen.calls("a", "n"), seen.calls("b", "n")),
            (2, 0, 1)
        );
        assert_eq!(seen.action("/v1/embeddings"), 3);
        assert_eq!(seen.senders_of("marker-1"), [Some("a"), Some("b")]);
        let bases: Vec<_> = seen.recent.iter().map(|sighting| sighting.base).collect();
        assert_eq!(bases, ["/v1", "/compatible-mode/v1", "/v1"]);
    }

    #[test]
    fn a_visit_that_is_dropped_was_abandoned() {
        let witness = Arc::new(Witness::default());
        let first = witness.note(&call("/?Action=CVProcess", Some("a"), ""));
        let second = witness.note(&call("/?Action=CVProcess", Some("a"), ""));
        first.finish();
        drop(second);
        let seen = witness.snapshot();
        assert_eq!((seen.in_flight, seen.peak_in_flight, seen.abandoned), (0, 2, 1));
        let load = Load {
            total: 2,
            in_flight: 0,
            peak_in_flight: 2,
        };
        assert_eq!(seen.account("a"), load);
    }

    #[test]
    fn a_stream_ends_or_is_closed_by_its_caller() {
        let witness = Arc::new(Witness::default());
        let mut ended = witness.note(&call("/v1/chat/completions", None, ""));
        let mut left = witness.note(&call("/v1/chat/completions", None, ""));
        ended.stream();
        left.stream();
        assert_eq!(witness.snapshot().streams.open, 2);
        ended.finish();
        drop(left);
        let streams = Streams {
            begun: 2,
            open: 0,
            peak_open: 2,
            ended: 1,
            closed_by_caller: 1,
        };
        assert_eq!(witness.snapshot().streams, streams);
    }
}
