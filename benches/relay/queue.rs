//! The gate's line: handing a slot over and joining the line must not cost more the longer it is.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tollgate::admission::gate::{Capacity, Gate, Refused, Slot};
use tollgate::model::id::OwnerId;
use tollgate::model::lane::Lane;

use super::table::{Bound, Table, median};

type Waiting = Pin<Box<dyn Future<Output = Result<Slot<OwnerId>, Refused>>>>;

/// A gate with one slot, which is taken, and a line before it.
struct Queue {
    gate: Gate<OwnerId>,
    slot: Option<Slot<OwnerId>>,
    line: VecDeque<Waiting>,
}

impl Queue {
    fn of(length: usize) -> Self {
        let gate = Gate::new(Capacity {
            slots: NonZeroUsize::MIN,
            queue: usize::MAX,
            per_key: None,
        });
        let slot = gate.try_admit(OWNER).ok();
        let mut queue = Self {
            gate,
            slot,
            line: VecDeque::new(),
        };
        for _ in 0..length {
            queue.join();
        }
        queue
    }

    /// One more waiter at the end.
    fn join(&mut self) {
        let gate = self.gate.clone();
        let deadline = Instant::now() + Duration::from_hours(1);
        let mut waiting: Waiting = Box::pin(async move { gate.admit(OWNER, Lane::Interactive, deadline).await });
        // Its future joins the line when it is first asked.
        drop(poll(&mut waiting));
        self.line.push_back(waiting);
    }

    /// The slot goes to the first waiter, a new one joins, and the second one gives up.
    fn turn(&mut self) {
        self.slot = None;
        if let Some(mut first) = self.line.pop_front()
            && let Poll::Ready(Ok(slot)) = poll(&mut first)
        {
            self.slot = Some(slot);
        }
        self.join();
        drop(self.line.pop_front());
        self.join();
    }

    /// Nanoseconds of a turn.
    fn cost(&mut self) -> f64 {
        let begun = Instant::now();
        for _ in 0..TURNS {
            self.turn();
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
    }
}

pub(crate) fn measure(table: &mut Table) {
    let (mut short, mut long) = (Queue::of(100), Queue::of(100_000));
    let (mut costs, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        let before = short.cost();
        costs.push(before);
        ratios.push(long.cost() / before);
    }
    table.section("the queue: a hand-over, two that join, one that gives up");
    table.note(&format!("{:.0} ns with 100 waiters", median(&costs)));
    table.line(
        "with 100,000 waiters over with 100",
        median(&ratios),
        "",
        Bound::AtMost(3.0),
    );
}

fn poll(waiting: &mut Waiting) -> Poll<Result<Slot<OwnerId>, Refused>> {
    waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

const OWNER: OwnerId = OwnerId::from_bits(1);
const TURNS: u32 = 2000;
const ROUNDS: usize = 9;
