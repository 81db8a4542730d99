//! The guard of a place in line.

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::line::{Outcome, State, Ticket};
use super::{Gate, Key, Refused, Slot};
use crate::model::lane::Lane;

/// A place in line, and at its end a slot. It owns what was handed to it, so its drop gives that back.
pub(super) struct Waiting<K: Key> {
    gate: Gate<K>,
    key: K,
    lane: Lane,
    /// Empty once the waiting is over.
    ticket: Option<Ticket>,
}

impl<K: Key> Waiting<K> {
    /// Owns what `ticket` stands for.
    pub(super) fn new(gate: Gate<K>, key: K, lane: Lane, ticket: Ticket) -> Self {
        Self {
            gate,
            key,
            lane,
            ticket: Some(ticket),
        }
    }

    /// Answers once, when the waiting has ended; until then `context` is woken when it does.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Slot<K>, Refused>> {
        let Some(ticket) = self.ticket else {
            return Poll::Pending;
        };
        let bell = Some(context.waker().clone());
        let state = self.gate.enter().line.attend(ticket, bell);
        match state {
            State::Waiting(_) => Poll::Pending,
            State::Ended(outcome) => {
                self.ticket = None;
                Poll::Ready(self.conclude(outcome))
            }
        }
    }

    /// Leaves the line because the deadline came; a slot handed over at the last moment is taken all the same.
    pub(super) fn give_up(mut self) -> Result<Slot<K>, Refused> {
        let Some(ticket) = self.ticket.take() else {
            // The answer was given already: there is no second one.
            return Err(Refused::Closed);
        };
        let now = Instant::now();
        let mut entrance = self.gate.enter();
        let state = entrance.line.leave(ticket);
        let retry_after = entrance.line.retry_after(self.key, self.lane, now);
        drop(entrance);
        match state {
            State::Waiting(_) => Err(Refused::TimedOut { retry_after }),
            State::Ended(outcome) => self.conclude(outcome),
        }
    }

    fn conclude(&self, outcome: Outcome) -> Result<Slot<K>, Refused> {
        match outcome {
            Outcome::Handed => Ok(Slot::new(self.gate.clone(), self.key)),
            Outcome::Dismissed => Err(Refused::Closed),
        }
    }
}

impl<K: Key> Drop for Waiting<K> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let state = self.gate.enter().line.leave(ticket);
        match state {
            State::Ended(Outcome::Handed) => self.gate.release(self.key),
            State::Ended(Outcome::Dismissed) | State::Waiting(_) => {}
        }
    }
}
