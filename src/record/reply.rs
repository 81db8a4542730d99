//! The reply to a call with an idempotency key, as it is kept: sealed, at the place of its intent.

use super::Recorder;
use crate::crypto::seal::Place;
use crate::model::reply::{KeptReply, Reply};
use crate::store::error::StoreError;
use crate::store::idempotency;

impl Recorder {
    pub(super) fn seal(&self, intent: u64, reply: &Reply) -> Option<Vec<u8>> {
        let kept = postcard::to_stdvec(&KeptReply::from(reply)).ok()?;
        self.store
            .keyring()
            .seal
            .seal(&self.reply_place(&intent.to_be_bytes()), &kept, self.entropy.as_ref())
            .ok()
    }

    pub(super) fn unseal(&self, intent: u64, sealed: &[u8]) -> Result<Reply, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| StoreError::Seal(error.to_string());
        let place = intent.to_be_bytes();
        let kept = self
            .store
            .keyring()
            .seal
            .open(&self.reply_place(&place), sealed)
            .map_err(|e| damaged(&e))?;
        let kept: KeptReply = postcard::from_bytes(&kept).map_err(|e| damaged(&e))?;
        Reply::try_from(kept).map_err(|e| damaged(&e))
    }

    fn reply_place<'a>(&self, record: &'a [u8]) -> Place<'a> {
        Place::of_row(self.store.id(), idempotency::REPLIES, record, idempotency::REPLY)
    }
}
