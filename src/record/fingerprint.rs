//! What an idempotency key is called, and what a repeat of it must agree with, under one digest key or another.

use std::sync::Arc;

use crate::crypto::digest::{Digest, DigestKey};
use crate::model::call::{Call, IdempotencyKey};
use crate::model::clock::Timestamp;
use crate::model::id::OwnerId;
use crate::store::Reader;
use crate::store::error::StoreError;
use crate::store::idempotency::{self, KeyUse};

/// What tells a repeat of a call from another call with its idempotency key.
#[derive(Clone, Debug)]
pub(super) struct Fingerprint {
    under: Arc<DigestKey>,
    pub(super) digest: Digest,
}

impl Fingerprint {
    pub(super) fn of(call: &Call, under: &Arc<DigestKey>) -> Self {
        let parts = [call.operation.label().as_bytes(), &call.body];
        Self {
            under: Arc::clone(under),
            digest: under.of("idempotent request", &parts),
        }
    }

    /// The same under another digest key. A body can be long: it is not read twice without need.
    pub(super) fn under(&self, key: &Arc<DigestKey>, call: &Call) -> Self {
        if Arc::ptr_eq(&self.under, key) {
            self.clone()
        } else {
            Self::of(call, key)
        }
    }
}

/// What an owner's idempotency key is called under a key.
pub(super) fn named(under: &DigestKey, owner: OwnerId, key: &IdempotencyKey) -> Digest {
    under.of("idempotency key", &[&owner.bits().to_be_bytes(), key.as_bytes()])
}

/// The use of an idempotency key that has not expired, and the place of the name that it was found by.
pub(super) fn in_use(
    rows: &mut Reader,
    names: &[Digest],
    now: Timestamp,
) -> Result<Option<(usize, KeyUse)>, StoreError> {
    for (place, name) in names.iter().enumerate() {
        if let Some(usage) = idempotency::get(rows, name)?.filter(|usage| usage.expires_at > now) {
            return Ok(Some((place, usage)));
        }
    }
    Ok(None)
}
