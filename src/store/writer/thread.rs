//! The writer thread: it commits a batch, and tells those that wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{CommitError, Database};

use super::job::Job;
use super::queue::Queue;
use crate::crypto::keyring::Keyring;
use crate::model::clock::Clock;
use crate::store::chain::Chain;
use crate::store::error::StoreError;
use crate::store::tables::{Finished, Tables};
use crate::telemetry::metrics;

/// The writer thread's own state.
pub(in crate::store) struct Writer {
    pub(in crate::store) queue: Arc<Queue>,
    pub(in crate::store) database: Arc<Database>,
    pub(in crate::store) chain: Chain,
    pub(in crate::store) keyring: Arc<Keyring>,
    pub(in crate::store) clock: Arc<dyn Clock>,
}

enum Trial {
    Committed,
    RolledBack(StoreError),
    Fatal(StoreError),
}

impl Writer {
    /// Writes batches until the queue is closed and empty, or a commit fails.
    pub(in crate::store) fn run(mut self) {
        let mut end = StoreError::Closed;
        while let Some(batch) = self.queue.next_batch() {
            if let Err(error) = self.write(batch) {
                tracing::error!(error = %error, "the store failed: nothing more is written, the process must end");
                end = error;
                self.queue.failed().cancel();
                break;
            }
        }
        self.queue.abandon(&end);
    }

    fn write(&mut self, mut batch: Vec<Box<dyn Job>>) -> Result<(), StoreError> {
        metrics::audit_batch(batch.len());
        match self.attempt(&mut batch) {
            Trial::Committed => {
                for job in batch {
                    if let Some(next) = job.acknowledge() {
                        self.queue.push(next, None);
                    }
                }
                Ok(())
            }
            Trial::RolledBack(error) => {
                if batch.len() == 1 {
                    fail_all(batch, &error);
                    return Ok(());
                }
                tracing::warn!(error = %error, writes = batch.len(), "a write failed: its batch is run one by one");
                let mut rest = batch.into_iter();
                while let Some(job) = rest.next() {
                    if let Err(error) = self.write(vec![job]) {
                        fail_all(rest, &error);
                        return Err(error);
                    }
                }
                Ok(())
            }
            Trial::Fatal(error) => {
                fail_all(batch, &error);
                Err(error)
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Job>]) -> Trial {
        let begun = self.clock.monotonic();
        let txn = match self.database.begin_write() {
            Ok(txn) => txn,
            Err(error) => return Trial::Fatal(error.into()),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut tables = Tables::new(&txn, self.chain.clone(), self.clock.wall());
            for job in batch {
                job.run(&mut tables)?;
            }
            tables.finish()
        }));
        let Finished { chain, keys } = match outcome {
            Ok(Ok(Some(finished))) => finished,
            Ok(Ok(None)) => {
                // Every plan refused: there is nothing to commit.
                return match txn.abort() {
                    Ok(()) => Trial::Committed,
                    Err(error) => Trial::Fatal(error.into()),
                };
            }
            Ok(Err(error)) if error.is_fatal() => return Trial::Fatal(error),
            Ok(Err(error)) => return Trial::RolledBack(error),
            Err(_panic) => return Trial::RolledBack(StoreError::Panicked),
        };
        match txn.commit() {
            Ok(()) => {
                self.chain = chain;
                // Before anything is made with them: whoever reads it finds its key.
                if let Some(keys) = keys {
                    self.keyring.install(&keys);
                }
                metrics::audit_commit(self.clock.monotonic().duration_since(begun));
                Trial::Committed
            }
            Err(error @ CommitError::TransactionPoisoned) => Trial::RolledBack(StoreError::Io(error.to_string())),
            Err(error) => Trial::Fatal(error.into()),
        }
    }
}

fn fail_all(jobs: impl IntoIterator<Item = Box<dyn Job>>, error: &StoreError) {
    for job in jobs {
        job.fail(error.clone());
    }
}
