//! A write on its way through the queue, and how its caller hears of it.

use tokio::sync::oneshot;

use super::{Urgency, Write};
use crate::store::error::{StoreError, WriteError};
use crate::store::tables::Tables;

/// A write with its answer, without its types: what the queue holds.
pub trait Job: Send {
    #[doc(hidden)]
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError>;
    #[doc(hidden)]
    fn urgency(&self) -> Urgency;
    #[doc(hidden)]
    fn acknowledge(self: Box<Self>) -> Option<Box<dyn Job>>;
    #[doc(hidden)]
    fn fail(self: Box<Self>, error: StoreError);
}

/// What comes of a write.
pub(super) type Answer<W> = Result<<W as Write>::Done, WriteError<<W as Write>::Refusal>>;

/// An answer, and the write that may have to follow it up if nobody hears the answer.
pub(super) type Told<W> = (Answer<W>, W);

/// The one kind of [`Job`].
pub(super) struct Task<W: Write> {
    write: W,
    answer: Option<Answer<W>>,
    caller: oneshot::Sender<Told<W>>,
}

impl<W: Write> Task<W> {
    pub(super) const fn new(write: W, caller: oneshot::Sender<Told<W>>) -> Self {
        Self {
            write,
            answer: None,
            caller,
        }
    }
}

impl<W: Write> Job for Task<W> {
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let plan = match self.write.plan(tables.view()) {
            Ok(plan) => plan,
            Err(WriteError::Refused(refusal)) => {
                self.answer = Some(Err(WriteError::Refused(refusal)));
                return Ok(());
            }
            Err(WriteError::Store(error)) => return Err(error),
        };
        self.answer = Some(Ok(self.write.apply(plan, tables)?));
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        self.write.urgency()
    }

    fn acknowledge(self: Box<Self>) -> Option<Box<dyn Job>> {
        let Self { write, answer, caller } = *self;
        let told = (answer.unwrap_or(Err(StoreError::Closed.into())), write);
        caller.send(told).err().and_then(follow_up)
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let Self { write, caller, .. } = *self;
        drop(caller.send((Err(WriteError::Store(error)), write)));
    }
}

/// What is to be written after a write whose answer nobody heard.
pub(super) fn follow_up<W: Write>((answer, mut write): Told<W>) -> Option<Box<dyn Job>> {
    answer.ok().and_then(|done| write.orphaned(done))
}

/// A write nobody will wait for, ready for the queue.
#[must_use]
pub fn unattended<W: Write>(write: W) -> Box<dyn Job> {
    Box::new(Task::new(write, oneshot::channel().0))
}
