//! How a job stands, and how that follows from its items.

use serde::{Deserialize, Serialize};

use super::item::ItemState;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobState {
    /// Nothing of it was taken yet.
    Queued,
    /// Some of it was.
    Running,
    /// Every item succeeded.
    Succeeded,
    /// Some items succeeded, others did not.
    PartiallyFailed,
    /// No item succeeded.
    Failed,
    /// Cancelled before it ended.
    Cancelled,
    /// No item succeeded, and at least one ran out of attempts.
    Dead,
    /// Kept from running until an operator releases it.
    Held,
}

/// How many items of a job are in which state. They add up to the number of its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally([u32; ItemState::ALL.len()]);

impl JobState {
    /// Every state, for closed label sets.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::PartiallyFailed,
        Self::Failed,
        Self::Cancelled,
        Self::Dead,
        Self::Held,
    ];

    /// Its name in JSON and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::PartiallyFailed => "partially_failed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Held => "held",
        }
    }

    /// The state that `label` names.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.label() == label)
    }

    /// Whether nothing of it will change unless somebody asks for a retry.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Held)
    }

    /// Its place in keys.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl Tally {
    /// That of a new job with this many items.
    #[must_use]
    pub fn queued(items: u32) -> Self {
        let mut tally = Self::default();
        tally.add(ItemState::Queued, items);
        tally
    }

    /// How many are in a state.
    #[must_use]
    pub const fn of(&self, state: ItemState) -> u32 {
        let [queued, running, polling, succeeded, failed, unknown, dead, cancelled] = self.0;
        match state {
            ItemState::Queued => queued,
            ItemState::Running => running,
            ItemState::Polling => polling,
            ItemState::Succeeded => succeeded,
            ItemState::Failed => failed,
            ItemState::Unknown => unknown,
            ItemState::Dead => dead,
            ItemState::Cancelled => cancelled,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Counts an item that went from one state to another.
    pub fn moved(&mut self, from: ItemState, to: ItemState) {
        if let Some(count) = self.0.get_mut(from as usize) {
            *count = count.saturating_sub(1);
        }
        self.add(to, 1);
    }

    fn add(&mut self, state: ItemState, items: u32) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_add(items);
        }
    }

    /// Failed and dead items of all, from 0 to 1: one of six is 0.1667, and one of six that is tried again is 0.
    #[must_use]
    pub fn failed_ratio(&self) -> f64 {
        match self.total() {
            0 => 0.0,
            total => f64::from(self.of(ItemState::Failed) + self.of(ItemState::Dead)) / f64::from(total),
        }
    }

    /// Whether any item was taken.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.of(ItemState::Queued) < self.total()
    }

    /// How a job with these items has ended, if every item has.
    #[must_use]
    pub fn outcome(&self, cancelled: bool) -> Option<JobState> {
        let open: u32 = ItemState::ALL
            .into_iter()
            .filter(|state| !state.is_finished())
            .map(|state| self.of(state))
            .sum();
        if open > 0 {
            return None;
        }
        let (succeeded, total) = (self.of(ItemState::Succeeded), self.total());
        Some(match succeeded {
            all if all == total => JobState::Succeeded,
            _ if cancelled && self.of(ItemState::Cancelled) > 0 => JobState::Cancelled,
            0 if self.of(ItemState::Dead) > 0 => JobState::Dead,
            0 if self.of(ItemState::Cancelled) == total => JobState::Cancelled,
            0 => JobState::Failed,
            _ => JobState::PartiallyFailed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(states: &[ItemState]) -> Tally {
        let mut tally = Tally::queued(u32::try_from(states.len()).unwrap());
        for state in states {
            tally.moved(ItemState::Queued, *state);
        }
        tally
    }

    #[test]
    fn one_of_six_items_failed_is_a_sixth() {
        use ItemState::{Failed, Succeeded};
        let tally = ended(&[Succeeded, Succeeded, Failed, Succeeded, Succeeded, Succeeded]);
        assert!((tally.failed_ratio() * 100.0 - 16.7).abs() < 0.05);
        assert_eq!(tally.outcome(false), Some(JobState::PartiallyFailed));
    }

    #[test]
    fn a_job_ends_when_its_last_item_has_and_as_its_items_did() {
        use ItemState::{Cancelled, Dead, Failed, Polling, Succeeded, Unknown};
        assert_eq!(ended(&[Succeeded, Polling]).outcome(false), None);
        assert_eq!(ended(&[Succeeded, Succeeded]).outcome(false), Some(JobState::Succeeded));
        assert_eq!(ended(&[Failed, Unknown]).outcome(false), Some(JobState::Failed));
        assert_eq!(ended(&[Failed, Dead]).outcome(false), Some(JobState::Dead));
        assert_eq!(
            ended(&[Succeeded, Dead]).outcome(false),
            Some(JobState::PartiallyFailed)
        );
        assert_eq!(ended(&[Succeeded, Cancelled]).outcome(true), Some(JobState::Cancelled));
        assert_eq!(ended(&[Succeeded, Succeeded]).outcome(true), Some(JobState::Succeeded));
    }

    #[test]
    fn every_state_has_its_own_code_and_label() {
        for (code, state) in JobState::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.code()), code);
            assert_eq!(JobState::from_label(state.label()), Some(state));
        }
    }
}
