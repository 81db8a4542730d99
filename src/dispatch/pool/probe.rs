//! The one place of an account for a call that finds out whether it serves again.

use std::sync::{Arc, Weak};

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
