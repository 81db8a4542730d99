//! A call's turn at an account, and what it holds there. Whoever is lost on the way gives it back.

use std::sync::{Arc, Weak};

use crate::model::id::AccountId;

/// A call's turn at an account, from the choice to the end of the attempt: as long as it lives, the account has one more
/// call in flight. Dropping it gives back its place, and that of a probe.
#[derive(Debug)]
#[must_use = "the account waits for how it ended"]
pub struct Turn {
    pub(super) account: AccountId,
    /// That of the account when it was chosen.
    pub(super) generation: u64,
    pub(super) _in_flight: InFlight,
    pub(super) _probe: Option<Probe>,
}

impl Turn {
    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }
}

/// The turns at one account. They are counted here rather than asked for: among a thousand accounts, finding the count of
/// each by its id would cost more than the choice.
#[derive(Debug, Default)]
pub(super) struct Turns(Arc<()>);

/// One call in flight.
#[derive(Debug)]
pub(super) struct InFlight(#[expect(dead_code, reason = "that it lives is what it says")] Arc<()>);

impl Turns {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(1)
    }

    /// One more.
    pub(super) fn begin(&self) -> InFlight {
        InFlight(Arc::clone(&self.0))
    }
}

/// A place for one probe. It is taken for as long as the [`Probe`] lives, so one that is lost gives it back.
#[derive(Debug, Default)]
pub(super) struct ProbePlace(Weak<()>);

/// What the probing call holds.
#[derive(Debug)]
pub(super) struct Probe(#[expect(dead_code, reason = "that it lives is what it says")] Arc<()>);

impl ProbePlace {
    /// Whether a probe is under way.
    pub(super) fn is_taken(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Begins a probe. Ask [`ProbePlace::is_taken`] first.
    pub(super) fn take(&mut self) -> Probe {
        let probe = Arc::new(());
        self.0 = Arc::downgrade(&probe);
        Probe(probe)
    }
}
