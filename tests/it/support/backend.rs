//! A disk that loses power: what was not synced is gone, any call can be made to fail, and syncs can be held up.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// A disk in memory. Clones are the same disk; [`Disk::image`] is what a machine finds after power loss.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when a gate opens.
    opened: Condvar,
}

#[derive(Default)]
struct State {
    written: Vec<u8>,
    synced: Vec<u8>,
    syncs: u64,
    /// Writes, changes of length and syncs together.
    changes: u64,
    failing: Option<Failure>,
    watcher: Option<Watcher>,
    /// Whether syncs are held up, and how many wait.
    gate_closed: bool,
    held: u64,
}

type Watcher = Box<dyn FnMut(Crash) + Send>;

/// From when on every change fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Sync { nth: u64, kind: io::ErrorKind },
    Change { nth: u64, kind: io::ErrorKind },
}

/// What power loss leaves at one moment.
pub(crate) struct Crash {
    /// Nothing of what was not synced.
    pub(crate) lost: Vec<u8>,
    /// Some sectors of what was not synced, chosen by a generator that the number of the sync seeds.
    pub(crate) torn: Vec<u8>,
}

/// What power loss would have left just before each sync of a disk.
#[derive(Clone, Default)]
pub(crate) struct Images(Arc<Mutex<Vec<Vec<u8>>>>);

/// Holds up every sync of a disk until it is opened, or dropped.
#[derive(Debug)]
pub(crate) struct Gate(Disk);

impl Disk {
    /// A disk that holds what another was left with.
    pub(crate) fn holding(image: Vec<u8>) -> Self {
        let state = State {
            written: image.clone(),
            synced: image,
            ..State::default()
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            opened: Condvar::new(),
        }))
    }

    /// What power loss leaves at this moment.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.state().synced.clone()
    }

    /// What `kill -9` leaves at this moment: the page cache survives the process.
    pub(crate) fn page_cache(&self) -> Vec<u8> {
        self.state().written.clone()
    }

    /// From now on tells what power loss would leave just before every sync.
    ///
    /// It is told on the thread that syncs: until it returns, nothing more becomes durable.
    pub(crate) fn before_every_sync(&self, watcher: impl FnMut(Crash) + Send + 'static) {
        self.state().watcher = Some(Box::new(watcher));
    }

    /// From now on keeps what power loss would leave just before every sync.
    pub(crate) fn keep_images(&self) -> Images {
        let images = Images::default();
        let kept = Arc::clone(&images.0);
        self.before_every_sync(move |crash| kept.lock().unwrap().extend([crash.lost, crash.torn]));
        images
    }

    /// The `nth` sync from now on, and everything after it, fails.
    pub(crate) fn fail_sync(&self, nth: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        let nth = state.syncs + nth;
        state.failing = Some(Failure::Sync { nth, kind });
    }

    /// The `nth` change from now on (a write, a new length or a sync), and everything after it, fails.
    pub(crate) fn fail_change(&self, nth: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        let nth = state.changes + nth;
        state.failing = Some(Failure::Change { nth, kind });
    }

    /// How often it was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Holds up every sync from now on.
    pub(crate) fn hold_syncs(&self) -> Gate {
        self.state().gate_closed = true;
        Gate(self.clone())
    }

    /// Lets every sync through again, whoever holds the gate.
    pub(crate) fn release(&self) {
        self.state().gate_closed = false;
        self.0.opened.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl Images {
    /// Those that were taken so far.
    pub(crate) fn taken(&self) -> Vec<Vec<u8>> {
        let images = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(images.len() >= 4, "nothing was synced");
        images
    }
}

impl Gate {
    /// Whether a sync waits.
    pub(crate) fn holds_one(&self) -> bool {
        self.0.state().held > 0
    }

    /// Lets every sync through.
    pub(crate) fn open(self) {
        drop(self);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl State {
    fn change(&mut self) -> io::Result<()> {
        self.changes += 1;
        match self.failing {
            Some(Failure::Sync { nth, kind }) if self.syncs >= nth => Err(kind.into()),
            Some(Failure::Change { nth, kind }) if self.changes >= nth => Err(kind.into()),
            _ => Ok(()),
        }
    }

    /// The synced bytes with about half of the sectors that were written since.
    fn torn(&self) -> Vec<u8> {
        let mut torn = self.synced.clone();
        torn.resize(self.written.len(), 0);
        let mut random = self.syncs.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for (old, new) in torn.chunks_mut(SECTOR).zip(self.written.chunks(SECTOR)) {
            if old != new {
                // xorshift64: any generator does, as long as it is the same in every run.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                if random & 1 == 1 {
                    old.copy_from_slice(new);
                }
            }
        }
        torn
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("syncs", &self.syncs)
            .finish_non_exhaustive()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let state = self.state();
        let bytes = state
            .written
            .get(start..start + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.written.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.held += 1;
        let mut state = self.0.opened.wait_while(state, |state| state.gate_closed).unwrap();
        state.held -= 1;
        if let Some(mut watcher) = state.watcher.take() {
            watcher(Crash {
                lost: state.synced.clone(),
                torn: state.torn(),
            });
            state.watcher = Some(watcher);
        }
        state.syncs += 1;
        state.change()?;
        state.synced = state.written.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let start = usize::try_from(offset).unwrap();
        let end = start + data.len();
        if state.written.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.written[start..end].copy_from_slice(data);
        Ok(())
    }
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
