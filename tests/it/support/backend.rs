//! A disk that loses power: what was not synced is gone, and any call can be made to fail.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// A disk in memory. Clones are the same disk; [`Disk::image`] is what a machine finds after power loss.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    written: Vec<u8>,
    synced: Vec<u8>,
    syncs: u64,
    images: Vec<Vec<u8>>,
    keep_images: bool,
    failing: Option<Failure>,
}

/// What fails from the nth sync on.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at_sync: u64,
    kind: io::ErrorKind,
}

impl Disk {
    /// A disk that holds what another was left with.
    pub(crate) fn holding(image: Vec<u8>) -> Self {
        let state = State {
            written: image.clone(),
            synced: image,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// What power loss leaves at this moment.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.state().synced.clone()
    }

    /// What `kill -9` leaves at this moment: the page cache survives the process.
    pub(crate) fn page_cache(&self) -> Vec<u8> {
        self.state().written.clone()
    }

    /// From now on keeps what power loss would leave just before every sync.
    pub(crate) fn keep_images(&self) {
        self.state().keep_images = true;
    }

    /// What power loss would have left just before each sync since then.
    pub(crate) fn images(&self) -> Vec<Vec<u8>> {
        self.state().images.clone()
    }

    /// How many syncs there were.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The `nth` sync from now on, and everything after it, fails.
    pub(crate) fn fail_sync(&self, nth: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        state.failing = Some(Failure {
            at_sync: state.syncs + nth,
            kind,
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn check(&self) -> io::Result<()> {
        match self.failing {
            Some(Failure { at_sync, kind }) if self.syncs >= at_sync => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
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
        state.check()?;
        state.written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.keep_images {
            let image = state.synced.clone();
            state.images.push(image);
        }
        state.syncs += 1;
        state.check()?;
        state.synced = state.written.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.check()?;
        let start = offset as usize;
        let end = start + data.len();
        if state.written.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.written[start..end].copy_from_slice(data);
        Ok(())
    }
}
