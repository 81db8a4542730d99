//! The asynchronous tasks of the Volcengine side: born by a submit, finished by the clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::course::Ends;
use crate::model::clock::Timestamp;

/// The newest tasks, at most [`CAPACITY`]; older ones are forgotten as if they had run out.
#[derive(Debug)]
pub(super) struct Tasks {
    /// The number of the first task ever: ids count up from it.
    first: u64,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    forgotten: u64,
    tasks: VecDeque<Task>,
}

/// One task, as its submit described it.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The account that submitted it; nobody else can see it.
    pub(super) account: Option<Arc<str>>,
    /// The model family that was asked for.
    pub(super) req_key: Box<str>,
    /// When it was submitted.
    pub(super) submitted: Instant,
    /// How long it takes from then to its end.
    pub(super) duration: Duration,
    /// What becomes of it.
    pub(super) fate: Fate,
}

impl Task {
    fn state(&self, now: Instant) -> State {
        let age = now.duration_since(self.submitted);
        match self.fate {
            Fate::Cancelled => State::Cancelled,
            Fate::Runs(_) if age < self.duration / 3 => State::InQueue,
            Fate::Runs(Ends::Never) => State::Generating,
            Fate::Runs(_) if age < self.duration => State::Generating,
            Fate::Runs(Ends::Well) => State::Done,
            Fate::Runs(Ends::Failed(code)) => State::Failed(code),
            Fate::Runs(Ends::Expired) => State::Expired,
            Fate::Runs(Ends::NotFound) => State::NotFound,
        }
    }
}

/// Whether somebody stopped a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs to its end.
    Runs(Ends),
    /// It was cancelled while it waited.
    Cancelled,
}

/// Where a task stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits; can be cancelled.
    InQueue,
    /// Runs.
    Generating,
    /// Ended well.
    Done,
    /// Ended with this code.
    Failed(u32),
    /// Ended, and its result has run out.
    Expired,
    /// Nobody knows it, or no longer.
    NotFound,
    /// Ended by its owner.
    Cancelled,
}

impl State {
    /// The word for it in `data.status`. A failure is `done` too, though its answer has no data to say so.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::InQueue => "in_queue",
            Self::Generating => "generating",
            Self::Done | Self::Failed(_) => "done",
            Self::Expired => "expired",
            Self::NotFound => "not_found",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Tasks {
    /// No tasks yet. `now` makes the ids differ from those of an earlier run.
    pub(super) fn new(now: Timestamp) -> Self {
        let first = FIRST_ID.saturating_add(now.as_micros().unsigned_abs().saturating_mul(100) % ID_SPAN);
        Self {
            first,
            book: Mutex::default(),
        }
    }

    /// Keeps `task` and gives it its id of 19 digits.
    pub(super) fn add(&self, task: Task) -> u64 {
        let mut book = self.book();
        if book.tasks.len() == CAPACITY {
            book.tasks.pop_front();
            book.forgotten += 1;
        }
        book.tasks.push_back(task);
        let place = book.tasks.len() as u64 - 1;
        self.first + book.forgotten + place
    }

    /// The task `id` of `account` and its state at `now`; `None` if it is unknown, somebody else's or run out.
    pub(super) fn find(&self, id: &str, account: Option<&Arc<str>>, now: Instant) -> Option<(Task, State)> {
        let mut book = self.book();
        let task = self.locate(&mut book, id, account, now)?;
        Some((task.clone(), task.state(now)))
    }

    /// Cancels the task `id` of `account` if it still waits, and tells its state after that.
    pub(super) fn cancel(&self, id: &str, account: Option<&Arc<str>>, now: Instant) -> Option<State> {
        let mut book = self.book();
        let task = self.locate(&mut book, id, account, now)?;
        if task.state(now) == State::InQueue {
            task.fate = Fate::Cancelled;
        }
        Some(task.state(now))
    }

    fn locate<'a>(
        &self,
        book: &'a mut Book,
        id: &str,
        account: Option<&Arc<str>>,
        now: Instant,
    ) -> Option<&'a mut Task> {
        let place = id
            .parse::<u64>()
            .ok()?
            .checked_sub(self.first)?
            .checked_sub(book.forgotten)?;
        let task = book.tasks.get_mut(usize::try_from(place).ok()?)?;
        let visible = task.account.as_ref() == account && now.duration_since(task.submitted) < RESULT_LIFETIME;
        visible.then_some(task)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many tasks are remembered, about 20 MB.
const CAPACITY: usize = 100_000;
/// Volcengine's ids have 19 digits and begin with a 7.
const FIRST_ID: u64 = 7_000_000_000_000_000_000;
/// The room for ids before they would begin with an 8.
const ID_SPAN: u64 = 900_000_000_000_000_000;
/// After 12 hours Volcengine answers `not_found`.
const RESULT_LIFETIME: Duration = Duration::from_hours(12);

#[cfg(test)]
mod tests {
    use super::*;

    fn task(submitted: Instant) -> Task {
        Task {
            account: None,
            req_key: "jimeng_t2i_v40".into(),
            submitted,
            duration: Duration::from_secs(3),
            fate: Fate::Runs(Ends::Well),
        }
    }

    fn state(tasks: &Tasks, id: u64, now: Instant) -> Option<State> {
        tasks.find(&id.to_string(), None, now).map(|(_, state)| state)
    }

    #[test]
    fn a_task_waits_a_third_of_its_time_and_is_gone_after_twelve_hours() {
        let tasks = Tasks::new(Timestamp::from_seconds(1_771_927_200));
        let start = Instant::now();
        let id = tasks.add(task(start));
        assert_eq!(id.to_string().len(), 19);
        assert_eq!(state(&tasks, id, start), Some(State::InQueue));
        assert_eq!(
            state(&tasks, id, start + Duration::from_secs(1)),
            Some(State::Generating)
        );
        assert_eq!(state(&tasks, id, start + Duration::from_secs(3)), Some(State::Done));
        assert_eq!(state(&tasks, id, start + Duration::from_hours(12)), None);
    }

    #[test]
    fn only_a_waiting_task_can_be_cancelled() {
        let tasks = Tasks::new(Timestamp::EPOCH);
        let start = Instant::now();
        let (early, late) = (tasks.add(task(start)), tasks.add(task(start)));
        assert_eq!(tasks.cancel(&early.to_string(), None, start), Some(State::Cancelled));
        assert_eq!(
            tasks.cancel(&late.to_string(), None, start + Duration::from_secs(2)),
            Some(State::Generating)
        );
    }

    #[test]
    fn a_task_ends_as_it_was_told_to_or_never() {
        let tasks = Tasks::new(Timestamp::EPOCH);
        let start = Instant::now();
        let ended = |ends| {
            let id = tasks.add(Task {
                fate: Fate::Runs(ends),
                ..task(start)
            });
            let before = state(&tasks, id, start + Duration::from_secs(2));
            assert_eq!(before, Some(State::Generating), "{ends:?}");
            state(&tasks, id, start + Duration::from_hours(11)).unwrap()
        };
        assert_eq!(ended(Ends::Failed(50511)), State::Failed(50511));
        assert_eq!(ended(Ends::Expired), State::Expired);
        assert_eq!(ended(Ends::NotFound), State::NotFound);
        assert_eq!(ended(Ends::Never), State::Generating);
    }

    #[test]
    fn the_oldest_tasks_are_forgotten_and_the_others_keep_their_ids() {
        let tasks = Tasks::new(Timestamp::EPOCH);
        let start = Instant::now();
        let first = tasks.add(task(start));
        let second = tasks.add(task(start));
        let last = (2..=CAPACITY).map(|_| tasks.add(task(start))).last().unwrap();
        assert_eq!(state(&tasks, first, start), None);
        assert_eq!(state(&tasks, second, start), Some(State::InQueue));
        assert_eq!(state(&tasks, last, start), Some(State::InQueue));
    }
}
