//! Client keys as the first version wrote them: their limits knew no requests and no tokens.

use std::num::NonZeroU32;

use serde::Deserialize;

use super::KeyRow;
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::id::{KeyId, OwnerId};
use crate::model::key::{ApiKey, Limits, Schemes, Scopes, Standing};

/// The version byte of such a row.
pub(super) const VERSION: u8 = 1;

/// One client key.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Row {
    key: Key,
    bearer: Digest,
    sealed: Vec<u8>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Key {
    id: KeyId,
    owner: OwnerId,
    /// The public half: `access_key`.
    public: String,
    description: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Option<Timestamp>,
    standing: Standing,
    rotation_of: Option<KeyId>,
    scopes: Scopes,
    schemes: Schemes,
    models: Option<Vec<String>>,
    concurrency: Option<NonZeroU32>,
    queue: Option<u32>,
}

impl From<Row> for KeyRow {
    fn from(row: Row) -> Self {
        let key = row.key;
        Self {
            key: ApiKey {
                id: key.id,
                owner: key.owner,
                access_key: key.public,
                description: key.description,
                created_at: key.created_at,
                updated_at: key.updated_at,
                expires_at: key.expires_at,
                standing: key.standing,
                rotation_of: key.rotation_of,
                scopes: key.scopes,
                schemes: key.schemes,
                models: key.models,
                limits: Limits {
                    concurrency: key.concurrency,
                    queue: key.queue,
                    ..Limits::default()
                },
            },
            bearer: row.bearer,
            sealed: row.sealed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::{Scheme, Scope};
    use crate::store::codec;
    use crate::store::keys::{TABLE, decode};

    #[test]
    fn a_row_of_the_first_version_is_read_with_the_limits_it_had() {
        let row = Row {
            key: Key {
                id: KeyId::from_bits(7),
                owner: OwnerId::from_bits(7),
                public: "ak_a".to_owned(),
                description: "first".to_owned(),
                created_at: Timestamp::from_seconds(1),
                updated_at: Timestamp::from_seconds(2),
                expires_at: None,
                standing: Standing::Revoked(Timestamp::from_seconds(3)),
                rotation_of: None,
                scopes: Scopes::of([Scope::Relay]),
                schemes: Schemes::of([Scheme::Signed]),
                models: Some(vec!["m".to_owned()]),
                concurrency: NonZeroU32::new(3),
                queue: None,
            },
            bearer: crate::crypto::digest::DigestKey::from_bytes([0; 32].into()).of("t", &[]),
            sealed: vec![1, 2, 3],
        };
        let bytes = codec::encode_as(TABLE, VERSION, &row).unwrap();

        let read = decode(&bytes).unwrap();

        assert_eq!(read.key.limits.concurrency, NonZeroU32::new(3));
        assert_eq!(read.key.limits.tokens_per_minute, None);
        assert_eq!((read.key.description.as_str(), read.sealed), ("first", vec![1, 2, 3]));
    }
}
