//! A disk in memory that outlives its store, and whose syncs can be held back or made to fail.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    syncs: u64,
    failing: Option<io::ErrorKind>,
    latch: Latch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Latch {
    #[default]
    Open,
    /// The next sync waits.
    Shut,
    /// A sync waits.
    Held,
}

impl Disk {
    /// How many syncs there were.
    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// From now on every sync fails.
    pub(super) fn fail(&self, kind: io::ErrorKind) {
        self.state().failing = Some(kind);
    }

    /// Holds the next sync until [`Disk::release`].
    pub(super) fn hold(&self) {
        self.state().latch = Latch::Shut;
    }

    /// Waits until a sync is held.
    pub(super) fn until_held(&self) {
        let changed = &self.0.1;
        let held = changed.wait_while(self.state(), |state| state.latch != Latch::Held);
        drop(held.unwrap());
    }

    /// Lets the held sync, and all later ones, through.
    pub(super) fn release(&self) {
        self.state().latch = Latch::Open;
        self.0.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.state().bytes[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.latch == Latch::Shut {
            state.latch = Latch::Held;
            self.0.1.notify_all();
            state = self.0.1.wait_while(state, |state| state.latch == Latch::Held).unwrap();
        }
        state.syncs += 1;
        state.failing.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        self.state().bytes[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}
