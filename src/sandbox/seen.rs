//! What reached the imitation, as it is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

/// A snapshot of what reached the imitation. `GET /__seen` shows the same as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Requests whose body arrived whole. The `/__…` routes do not count.
    pub total: u64,
    /// Requests that are being answered now.
    pub in_flight: usize,
    /// The most that were ever answered at once.
    pub peak_in_flight: usize,
    /// Requests whose caller hung up before the answer had ended.
    pub abandoned: u64,
    /// Requests by Volcengine action, or by path (one of OpenAI's as it is below `/v1`, whatever the base path; a
    /// picture or film as `/media`).
    pub actions: BTreeMap<String, u64>,
    /// What `actions` says of tasks and of what they make, added up.
    pub traffic: Traffic,
    /// Requests by account, model and action. Once 10,000 combinations are known, new ones count as `other`.
    pub calls: Vec<Tally>,
    /// Requests by account, as far as they named a known one.
    pub accounts: BTreeMap<Arc<str>, Load>,
    /// The streams among the answers.
    pub streams: Streams,
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

    /// What `account` was asked, and is being asked.
    #[must_use]
    pub fn account(&self, account: &str) -> Load {
        self.accounts.get(account).copied().unwrap_or_default()
    }

    /// How many requests `account` was sent for `model`.
    #[must_use]
    pub fn calls(&self, account: &str, model: &str) -> u64 {
        let fits = |tally: &&Tally| tally.account.as_deref() == Some(account) && tally.model.as_deref() == Some(model);
        self.calls.iter().filter(fits).map(|tally| tally.count).sum()
    }

    /// The accounts that were sent `marker`, in order of arrival; `None` where no known account sent it.
    #[must_use]
    pub fn senders_of(&self, marker: &str) -> Vec<Option<&str>> {
        self.recent
            .iter()
            .filter(|sighting| sighting.marker.as_deref() == Some(marker))
            .map(|sighting| sighting.account.as_deref())
            .collect()
    }
}

/// The requests for tasks, and for what they make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Requests that begin a task.
    pub submits: u64,
    /// Requests that ask what became of one.
    pub queries: u64,
    /// Requests that stop one.
    pub cancels: u64,
    /// Requests for a picture or film, dead links among them.
    pub media: u64,
}

/// The requests of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The account that sent them; `None` if no known one did.
    pub account: Option<Arc<str>>,
    /// The value of `model`; `None` where the body had none.
    pub model: Option<Arc<str>>,
    /// Volcengine action, or path.
    pub action: Arc<str>,
    /// How many there were.
    pub count: u64,
}

/// The requests of one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// How many there were.
    pub total: u64,
    /// How many are being answered now.
    pub in_flight: usize,
    /// The most that were ever answered at once.
    pub peak_in_flight: usize,
}

/// The streamed answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Streams {
    /// How many were begun.
    pub begun: u64,
    /// How many are being sent now.
    pub open: usize,
    /// The most that were ever sent at once.
    pub peak_open: usize,
    /// How many ended as they were meant to, be it with a cut on purpose.
    pub ended: u64,
    /// How many the caller closed before their end.
    pub closed_by_caller: u64,
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
    /// The base path of one of OpenAI's routes, `/v1` or `/compatible-mode/v1`; else empty.
    pub base: &'static str,
    /// The access key it named, or the name of its bearer key; `None` if unknown here.
    pub account: Option<Arc<str>>,
    /// The value of `model`, if the body had one.
    pub model: Option<Arc<str>>,
    /// The marker in its body.
    pub marker: Option<Arc<str>>,
    /// The size of its body.
    pub body_bytes: usize,
    /// The names of its headers.
    pub headers: Vec<String>,
}
