//! Where items wait: a queue's name, its mode and its counts, and what is taken first.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Hold;
use super::item::{Item, ItemState};

/// The name of a queue: 1 to 64 of `a-z`, `0-9`, `_`, `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueName(Arc<str>);

/// A text that cannot name a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a queue's name has 1 to 64 of a-z, 0-9, _ and -")]
pub struct ParseQueueNameError;

/// Which items of a queue are taken first: 0 to 9, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Priority(u8);

/// Whether items of a queue are taken, and whether new ones are let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueMode {
    /// Both.
    #[default]
    Open,
    /// New ones are let in, none are taken.
    Paused,
    /// None are let in; what is there is finished.
    Draining,
}

/// How one queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// What is done with its items.
    pub mode: QueueMode,
    /// How many items are in which standing; of those that have ended, those whose job is still kept.
    counts: [u64; Standing::ALL.len()],
    /// Items that came to wait, since the store was made: new ones and those that were put back.
    pub enqueued: u64,
    /// Items that left the wait, since the store was made: taken or cancelled. The backlog is the difference.
    pub taken: u64,
    /// Items that ended, since the store was made.
    pub ended: u64,
}

/// Where an item is, as an operator counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// It may be taken at once.
    Ready,
    /// Its time has not come.
    Delayed,
    /// It waits for its next attempt.
    Retrying,
    /// Its job is held.
    Held,
    /// A worker has it.
    Running,
    /// Its task is polled.
    Polling,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// Its outcome is unknown.
    Unknown,
    /// It ran out of attempts.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl QueueName {
    /// The queue of calls that name none.
    #[must_use]
    pub fn default_queue() -> Self {
        Self(Arc::from("default"))
    }

    /// The queue of images and videos that are asked for in OpenAI's shapes. It always exists.
    #[must_use]
    pub fn media() -> Self {
        Self(Arc::from("media"))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueName {
    type Err = ParseQueueNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(Arc::from(text))).ok_or(ParseQueueNameError)
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Priority {
    /// The lowest and the highest.
    pub const RANGE: std::ops::RangeInclusive<u8> = 0..=9;

    /// One of 0 to 9.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        Self::RANGE.contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    /// In the middle.
    fn default() -> Self {
        Self(5)
    }
}

impl QueueMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Open, Self::Paused, Self::Draining];

    /// Its name in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Draining => "draining",
        }
    }
}

impl Standing {
    /// Every standing, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Ready,
        Self::Delayed,
        Self::Retrying,
        Self::Held,
        Self::Running,
        Self::Polling,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Where an item is.
    #[must_use]
    pub const fn of(item: &Item) -> Self {
        match item.state {
            ItemState::Queued if matches!(item.hold, Hold::Held) => Self::Held,
            ItemState::Queued if item.wake_at.is_none() => Self::Ready,
            ItemState::Queued if item.attempts == 0 => Self::Delayed,
            ItemState::Queued => Self::Retrying,
            ItemState::Running => Self::Running,
            ItemState::Polling => Self::Polling,
            ItemState::Succeeded => Self::Succeeded,
            ItemState::Failed => Self::Failed,
            ItemState::Unknown => Self::Unknown,
            ItemState::Dead => Self::Dead,
            ItemState::Cancelled => Self::Cancelled,
        }
    }

    /// Its name in JSON and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Running => "running",
            Self::Polling => "polling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it still waits to be taken.
    #[must_use]
    pub const fn is_backlog(self) -> bool {
        matches!(self, Self::Ready | Self::Delayed | Self::Retrying | Self::Held)
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Unknown | Self::Dead | Self::Cancelled
        )
    }
}

impl QueueRow {
    /// How many items stand so.
    #[must_use]
    pub fn of(&self, standing: Standing) -> u64 {
        self.counts.get(standing as usize).copied().unwrap_or(0)
    }

    /// How many items wait to be taken.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        let waiting = Standing::ALL.into_iter().filter(|standing| standing.is_backlog());
        waiting.map(|standing| self.of(standing)).sum()
    }

    /// Counts items that went from one standing to another; from nowhere when they are new, to nowhere when they are
    /// forgotten.
    pub fn moved(&mut self, from: Option<Standing>, to: Option<Standing>, items: u64) {
        if from == to {
            return;
        }
        if let Some(count) = from.and_then(|from| self.counts.get_mut(from as usize)) {
            *count = count.saturating_sub(items);
        }
        if let Some(count) = to.and_then(|to| self.counts.get_mut(to as usize)) {
            *count += items;
        }
        let waited = from.is_some_and(Standing::is_backlog);
        let waits = to.is_some_and(Standing::is_backlog);
        if waits && !waited {
            self.enqueued += items;
        }
        if waited && !waits {
            self.taken += items;
        }
        if to.is_some_and(Standing::is_finished) && !from.is_some_and(Standing::is_finished) {
            self.ended += items;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_in_small_letters() {
        assert!("roadmap_workflow-2".parse::<QueueName>().is_ok());
        for text in ["", "Default", "a b", "a:4", "ü", &"x".repeat(65)] {
            assert!(text.parse::<QueueName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_backlog_is_what_came_minus_what_left() {
        let mut row = QueueRow::default();
        row.moved(None, Some(Standing::Ready), 5);
        row.moved(Some(Standing::Ready), Some(Standing::Running), 3);
        row.moved(Some(Standing::Running), Some(Standing::Retrying), 1);
        row.moved(Some(Standing::Retrying), Some(Standing::Ready), 1);
        row.moved(Some(Standing::Running), Some(Standing::Succeeded), 2);
        assert_eq!(row.backlog(), 3);
        assert_eq!(row.backlog(), row.enqueued - row.taken);
        assert_eq!((row.enqueued, row.taken, row.ended), (6, 3, 2));
    }
}
