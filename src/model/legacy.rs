//! A client key as the relay that Tollgate replaces kept it.

use super::clock::Timestamp;
use super::id::KeyId;
use super::key::Standing;
use super::secret::Secret;

/// A client key of jimeng-relay, on its way into the store. Its holder keeps using it as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyKey {
    /// Its identifier, which has the same form there and here.
    pub id: KeyId,
    /// The public half.
    pub access_key: String,
    /// The secret half, opened.
    pub secret: Secret,
    /// What the operator called it; empty if nothing.
    pub description: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// From when on it no longer verifies as active.
    pub expires_at: Option<Timestamp>,
    /// Active or revoked.
    pub standing: Standing,
    /// The key that this one replaced.
    pub rotation_of: Option<KeyId>,
}
