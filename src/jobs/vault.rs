//! What jobs hold that nobody else may read: sealed on the way in, opened on the way out.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::JobError;
use super::spec::Private;
use crate::crypto::entropy::Entropy;
use crate::crypto::seal::Place;
use crate::model::id::JobId;
use crate::model::job::item::ItemBody;
use crate::model::job::log::LogText;
use crate::model::job::{ItemRef, Job};
use crate::model::reply::{KeptReply, Reply};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::jobs::{self, item, log};

/// Seals and opens what the rows of jobs hold.
#[derive(Clone)]
pub struct Vault {
    store: Store,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// One over a store.
    #[must_use]
    pub const fn new(store: Store, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, entropy }
    }

    /// Seals metadata and webhook.
    ///
    /// # Errors
    /// [`JobError::Entropy`].
    pub fn seal_private(&self, id: JobId, private: &Private) -> Result<Vec<u8>, JobError> {
        self.seal(jobs::TABLE, &id.bits().to_be_bytes(), jobs::SEALED, private)
    }

    /// Opens them.
    ///
    /// # Errors
    /// [`JobError::Store`] when the row was changed outside Tollgate.
    pub fn open_private(&self, id: JobId, job: &Job) -> Result<Private, JobError> {
        self.open(jobs::TABLE, &id.bits().to_be_bytes(), jobs::SEALED, &job.private)
    }

    /// Seals what an item asks.
    ///
    /// # Errors
    /// [`JobError::Entropy`].
    pub fn seal_body(&self, at: ItemRef, body: &ItemBody) -> Result<Vec<u8>, JobError> {
        self.seal(item::BODIES, &item::place(at), item::BODY, body)
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`Vault::open_private`].
    pub fn open_body(&self, at: ItemRef, sealed: &[u8]) -> Result<ItemBody, JobError> {
        self.open(item::BODIES, &item::place(at), item::BODY, sealed)
    }

    /// Seals what an item was answered.
    ///
    /// # Errors
    /// [`JobError::Entropy`].
    pub fn seal_result(&self, at: ItemRef, reply: &Reply) -> Result<Vec<u8>, JobError> {
        self.seal(item::RESULTS, &item::place(at), item::RESULT, &KeptReply::from(reply))
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`Vault::open_private`].
    pub fn open_result(&self, at: ItemRef, sealed: &[u8]) -> Result<Reply, JobError> {
        let kept: KeptReply = self.open(item::RESULTS, &item::place(at), item::RESULT, sealed)?;
        Reply::try_from(kept).map_err(damaged)
    }

    /// Seals what a log line says.
    ///
    /// # Errors
    /// [`JobError::Entropy`].
    pub fn seal_line(&self, id: JobId, number: u64, text: &LogText) -> Result<Vec<u8>, JobError> {
        self.seal(log::TABLE, &log::place(id, number), log::SEALED, text)
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`Vault::open_private`].
    pub fn open_line(&self, id: JobId, number: u64, sealed: &[u8]) -> Result<LogText, JobError> {
        self.open(log::TABLE, &log::place(id, number), log::SEALED, sealed)
    }

    fn seal<T: Serialize>(&self, table: &str, record: &[u8], field: &str, value: &T) -> Result<Vec<u8>, JobError> {
        let plain = postcard::to_stdvec(value).map_err(damaged)?;
        let key = &self.store.keyring().seal;
        key.seal(&self.place(table, record, field), &plain, self.entropy.as_ref())
            .map_err(|_| JobError::Entropy)
    }

    fn open<T: DeserializeOwned>(&self, table: &str, record: &[u8], field: &str, sealed: &[u8]) -> Result<T, JobError> {
        let key = &self.store.keyring().seal;
        let plain = key.open(&self.place(table, record, field), sealed).map_err(damaged)?;
        postcard::from_bytes(&plain).map_err(damaged)
    }

    fn place<'a>(&self, table: &'a str, record: &'a [u8], field: &'a str) -> Place<'a> {
        Place::of_row(self.store.id(), table, record, field)
    }
}

fn damaged(error: impl std::fmt::Display) -> JobError {
    JobError::Store(StoreError::Seal(error.to_string()))
}
