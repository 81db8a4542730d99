//! The guard of a slot.

use std::fmt;

use super::{Gate, Key};

/// A slot in use. Dropping it gives it straight to the next waiter.
#[must_use = "a slot that is dropped is given back"]
pub struct Slot<K: Key> {
    /// Empty once the slot is detached.
    gate: Option<Gate<K>>,
    key: K,
}

impl<K: Key> Slot<K> {
    /// The guard of a slot that the line has already given to `key`.
    pub(super) fn new(gate: Gate<K>, key: K) -> Self {
        Self { gate: Some(gate), key }
    }

    /// Whose slot it is.
    #[must_use]
    pub fn key(&self) -> K {
        self.key
    }

    /// Keeps the slot taken, beyond this guard, until [`Gate::release`] is called with the key that this returns.
    #[must_use = "the slot stays taken until its key is released"]
    pub fn detach(mut self) -> K {
        self.gate = None;
        self.key
    }
}

impl<K: Key> Drop for Slot<K> {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.release(self.key);
        }
    }
}

impl<K: Key> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
