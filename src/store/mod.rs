//! The store: one redb file, one writer thread, group commit. The only folder that names `redb`.
//!
//! Each table lives in one file with its key layout, its codec and its queries. A change goes through [`Store::write`]
//! and is acknowledged after its commit; a read sees the last commit and never waits for the writer.

pub mod accounts;
pub mod audit;
pub mod ballast;
pub mod chain;
mod codec;
pub mod error;
pub mod exports;
pub mod file;
#[cfg(test)]
pub(crate) mod fixture;
mod found;
pub mod idempotency;
mod inspect;
pub mod jobs;
pub mod keys;
pub mod maintain;
mod meta;
pub mod models;
mod open;
pub mod raw;
pub mod rekeying;
pub mod restored;
pub mod schema;
pub mod sealed;
pub mod spending;
mod tables;
pub mod tasks;
pub mod upstreams;
pub mod usage;
pub mod webhooks;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use redb::{Database, ReadableDatabase};
use tokio_util::sync::CancellationToken;

pub use self::inspect::{Inspected, Inspection};
pub use self::open::{MasterKeys, Missing, OpenOptions, Opened, Origin};
pub use self::schema::{Reader, Rows};
pub use self::tables::Tables;
pub use self::writer::{Change, Job, Place, Receipt, Urgency, Write, unattended};

use self::error::{StoreError, WriteError};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::StoreId;
use crate::model::clock::Timestamp;

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// Taken away when the store closes, so that the file is closed cleanly whoever still holds a clone.
    database: ArcSwapOption<Database>,
    queue: Arc<writer::Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    keyring: Arc<Keyring>,
    id: StoreId,
    boot: u64,
    made_at: Timestamp,
}

impl Store {
    /// The data keys that seal and digest what the store holds.
    #[must_use]
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.inner.keyring
    }

    /// What the store is called in sealed rows.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.inner.id
    }

    /// How often the store was opened: intents of a lower boot are of a process that is gone.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.inner.boot
    }

    /// When the store was made.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        self.inner.made_at
    }

    /// Reads from one stable picture of the store. It blocks on the disk: keep it short.
    ///
    /// # Errors
    /// Whatever `read` returns, or [`StoreError::Closed`].
    pub fn read<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.inner.database.load_full().ok_or(StoreError::Closed)?;
        read(&mut Reader::new(database.begin_read()?))
    }

    /// The same, away from the threads that serve requests.
    ///
    /// # Errors
    /// As [`Store::read`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a read that runs; nothing is changed by it.
    pub async fn read_aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.read(read)).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Waits for a place in the writer's queue. With it, a write can be handed over without waiting.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the writer is gone.
    ///
    /// # Cancel safety
    /// Dropping the future, or the place, gives the place back.
    pub async fn place(&self) -> Result<Place, StoreError> {
        self.inner.queue.place().await
    }

    /// Writes, and waits until it is on the disk.
    ///
    /// # Errors
    /// [`WriteError`]: the plan's refusal, or the store's failure.
    ///
    /// # Cancel safety
    /// Dropped before a place came, nothing is written; later, the write is done all the same.
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Done, WriteError<W::Refusal>> {
        self.place().await?.submit(write).await
    }

    /// Makes a change that nothing can refuse, and waits until it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// As [`Store::write`].
    pub async fn change<C: Change>(&self, change: C) -> Result<C::Done, StoreError> {
        self.write(change).await.map_err(StoreError::from)
    }

    /// Hands over a write that completes one already done, without waiting: a settlement, also from a `Drop`.
    ///
    /// It takes no place in the queue; there is at most one for each write that had one.
    pub fn follow_up<W: Write>(&self, write: W) -> Receipt<W> {
        writer::submit(&self.inner.queue, write, None)
    }

    /// Fires when a commit failed: admission must end, and the process with it.
    #[must_use]
    pub fn failed(&self) -> &CancellationToken {
        self.inner.queue.failed()
    }

    /// Writes what is queued, ends the writer and closes the file. Blocks; later reads and writes get
    /// [`StoreError::Closed`].
    pub fn close(&self) {
        self.inner.queue.close();
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked outside of a write has nothing more to give back.
            drop(writer.join());
        }
        self.inner.database.store(None);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            drop(writer.join());
        }
    }
}

#[cfg(test)]
mod tests;
