//! The single writer: one thread, a bounded queue, group commit, acknowledgement after the commit.
//!
//! A batch forms by itself while the previous commit runs. A write is a plan, which reads and may refuse, and then an
//! apply, which only changes rows; so a refusal touches nothing. A panic or a failing row rolls the batch back and runs
//! each write alone, so that it never touches its neighbours. A failed commit is terminal: it may or may not be on the
//! disk, so nothing is written after it.

mod job;
mod queue;
mod thread;

use std::convert::Infallible;

pub use self::job::{Job, unattended};
pub use self::queue::{Place, Receipt};
pub(super) use self::queue::{Queue, submit};
pub(super) use self::thread::Writer;

use super::error::{StoreError, WriteError};
use super::schema::Rows;
use super::tables::Tables;

/// How soon a write is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it.
    Awaited,
    /// Nobody waits: it may ride with the next awaited write for up to a millisecond.
    Relaxed,
}

/// One change of the store.
///
/// `plan` and `apply` may run more than once, when a neighbour in the batch fails.
pub trait Write: Send + 'static {
    /// What the plan found and the apply needs.
    type Plan;
    /// What the writer's caller learns.
    type Done: Send + 'static;
    /// Why the plan may refuse.
    type Refusal: Send + 'static;

    /// Reads what it needs, and decides.
    ///
    /// # Errors
    /// [`WriteError::Refused`] leaves the store untouched.
    fn plan(&mut self, rows: &mut impl Rows) -> Result<Self::Plan, WriteError<Self::Refusal>>;

    /// Changes rows, and nothing else.
    ///
    /// # Errors
    /// [`StoreError`] rolls the whole batch back and runs its writes one by one.
    fn apply(&mut self, plan: Self::Plan, tables: &mut Tables<'_>) -> Result<Self::Done, StoreError>;

    /// How soon it is wanted.
    fn urgency(&self) -> Urgency {
        Urgency::Awaited
    }

    /// What is to be written next if it was committed but nobody waits for it any more.
    fn orphaned(&mut self, _done: Self::Done) -> Option<Box<dyn Job>> {
        None
    }
}

/// A write that nothing can refuse: an apply without a plan.
pub trait Change: Send + 'static {
    /// What the writer's caller learns.
    type Done: Send + 'static;

    /// Changes rows. It may run more than once, when a neighbour in the batch fails.
    ///
    /// # Errors
    /// As [`Write::apply`].
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Self::Done, StoreError>;

    /// How soon it is wanted.
    fn urgency(&self) -> Urgency {
        Urgency::Awaited
    }
}

impl<C: Change> Write for C {
    type Plan = ();
    type Done = C::Done;
    type Refusal = Infallible;

    fn plan(&mut self, _rows: &mut impl Rows) -> Result<(), WriteError<Infallible>> {
        Ok(())
    }

    fn apply(&mut self, (): (), tables: &mut Tables<'_>) -> Result<C::Done, StoreError> {
        Change::apply(self, tables)
    }

    fn urgency(&self) -> Urgency {
        Change::urgency(self)
    }
}
