//! Client keys as earlier versions wrote them: what has changed since then is their limits.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

use super::KeyRow;
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::model::id::{KeyId, OwnerId};
use crate::model::key::{ApiKey, Limits, Schemes, Scopes, Standing};

/// The version byte of rows whose limits are [`First`].
pub(super) const FIRST: u8 = 1;

/// The version byte of rows whose limits are [`Second`].
pub(super) const SECOND: u8 = 2;

/// One client key, whose limits are `L`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Row<L> {
    key: Key<L>,
    bearer: Digest,
    sealed: Vec<u8>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Key<L> {
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
    limits: L,
}

/// Limits of the first version: they knew no requests and no tokens.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct First {
    concurrency: Option<NonZeroU32>,
    queue: Option<u32>,
}

/// Limits of the second: they knew no budget.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Second {
    first: First,
    requests_per_minute: Option<NonZeroU32>,
    requests_per_day: Option<NonZeroU32>,
    tokens_per_minute: Option<NonZeroU64>,
}

impl From<First> for Limits {
    fn from(limits: First) -> Self {
        Self {
            concurrency: limits.concurrency,
            queue: limits.queue,
            ..Self::default()
        }
    }
}

impl From<Second> for Limits {
    fn from(limits: Second) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            requests_per_day: limits.requests_per_day,
            tokens_per_minute: limits.tokens_per_minute,
            ..Self::from(limits.first)
        }
    }
}

impl<L: Into<Limits>> From<Row<L>> for KeyRow {
    fn from(row: Row<L>) -> Self {
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
                limits: key.limits.into(),
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

    fn row<L>(limits: L) -> Row<L> {
        Row {
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
                limits,
            },
            bearer: crate::crypto::digest::DigestKey::from_bytes([0; 32].into()).of("t", &[]),
            sealed: vec![1, 2, 3],
        }
    }

    const LIMITS: First = First {
        concurrency: NonZeroU32::new(3),
        queue: None,
    };

    #[test]
    fn a_row_of_the_first_version_is_read_with_the_limits_it_had() {
        let bytes = codec::encode_as(TABLE, FIRST, &row(LIMITS)).unwrap();

        let read = decode(&bytes).unwrap();

        assert_eq!(read.key.limits.concurrency, NonZeroU32::new(3));
        assert_eq!(read.key.limits.tokens_per_minute, None);
        assert_eq!((read.key.description.as_str(), read.sealed), ("first", vec![1, 2, 3]));
    }

    #[test]
    fn a_row_of_the_second_version_is_read_with_the_limits_it_had_and_without_a_budget() {
        let limits = Second {
            first: LIMITS,
            requests_per_minute: None,
            requests_per_day: NonZeroU32::new(9),
            tokens_per_minute: NonZeroU64::new(5),
        };
        let bytes = codec::encode_as(TABLE, SECOND, &row(limits)).unwrap();

        let limits = decode(&bytes).unwrap().key.limits;

        assert_eq!(
            (limits.concurrency, limits.requests_per_day, limits.tokens_per_minute),
            (NonZeroU32::new(3), NonZeroU32::new(9), NonZeroU64::new(5))
        );
        assert_eq!(limits.budget, None);
    }
}
