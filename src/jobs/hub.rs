//! Telling those who watch a job that something of it changed. What changed is read from the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::id::JobId;

/// Who watches which job. Clones share it.
#[derive(Clone, Default)]
pub struct Hub {
    watched: Arc<Mutex<HashMap<JobId, watch::Sender<()>>>>,
}

/// One watch on a job.
pub struct Watch {
    id: JobId,
    heard: watch::Receiver<()>,
    hub: Hub,
}

impl Hub {
    /// Watches a job. What was committed before is not told of: read the store first, or after.
    #[must_use]
    pub fn watch(&self, id: JobId) -> Watch {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = watched.entry(id).or_insert_with(|| watch::channel(()).0).subscribe();
        Watch {
            id,
            heard,
            hub: self.clone(),
        }
    }

    /// Tells that a change of a job was committed.
    pub fn touch(&self, id: JobId) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&id) {
            sender.send_replace(());
        }
    }
}

impl Watch {
    /// Waits for the next change since the last time, or since the watch began.
    ///
    /// # Cancel safety
    /// A change that comes while nobody waits is heard the next time.
    pub async fn changed(&mut self) {
        if self.heard.changed().await.is_err() {
            // The hub keeps the sender as long as this watch lives.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.hub.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            watched.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_hears_of_changes_of_its_own_job_and_leaves_nothing_behind() {
        let hub = Hub::default();
        let (one, other) = (JobId::from_bits(1), JobId::from_bits(2));
        let mut watch = hub.watch(one);
        hub.touch(other);
        hub.touch(one);
        watch.changed().await;
        assert!(!watch.heard.has_changed().unwrap());
        drop(watch);
        assert!(hub.watched.lock().unwrap().is_empty());
    }
}
