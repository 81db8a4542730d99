//! A call, as the model knows it.

use super::world::Nothing;
use crate::model::day::Day;
use crate::model::money::Quote;
use crate::model::usage::Totals;
use crate::record::Pending;

/// A call as the model knows it.
pub(super) struct Known {
    pub(super) day: Day,
    pub(super) model: String,
    pub(super) quote: Quote,
    pub(super) state: State,
}

pub(super) enum State {
    Open(Box<Pending<Nothing>>),
    Settled(Totals),
    Unknown(u64, Totals),
}

impl Known {
    pub(super) fn totals(&self) -> Totals {
        match &self.state {
            State::Open(_) => Totals::default(),
            State::Settled(totals) | State::Unknown(_, totals) => *totals,
        }
    }

    pub(super) fn reserved(&self) -> u64 {
        match &self.state {
            State::Open(_) => self.estimate(),
            State::Settled(_) | State::Unknown(..) => 0,
        }
    }

    pub(super) fn estimate(&self) -> u64 {
        self.quote.hold(self.day).money.unwrap().microunits
    }
}
