//! Client keys: the credentials that Tollgate issues.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::id::{KeyId, OwnerId};
use super::money::Budget;

/// One thing a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// The data plane: submits, calls, queries and reads.
    Relay,
    /// Durable jobs.
    Jobs,
    /// The admin plane.
    Admin,
}

/// How a key's holder may prove that it holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scheme {
    /// Volcengine's HMAC-SHA256 or AWS's SigV4: the secret stays with the client.
    Signed,
    /// The secret itself in a header.
    Bearer,
}

/// A small closed set, kept as bits so that subset checks are one operation.
macro_rules! flags {
    ($(#[$doc:meta])* $set:ident of $item:ident { $($variant:ident = $bit:literal as $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub struct $set(u8);

        impl $item {
            /// Every member, in a stable order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name on the wire.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }

            /// The member that `label` names.
            #[must_use]
            pub fn from_label(label: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.label() == label)
            }

            const fn bit(self) -> u8 {
                match self { $(Self::$variant => $bit),+ }
            }
        }

        impl $set {
            /// The set of these members.
            #[must_use]
            pub fn of(items: impl IntoIterator<Item = $item>) -> Self {
                Self(items.into_iter().fold(0, |bits, item| bits | item.bit()))
            }

            /// Every member.
            #[must_use]
            pub fn all() -> Self {
                Self::of($item::ALL.iter().copied())
            }

            /// Whether `item` is in the set.
            #[must_use]
            pub const fn has(self, item: $item) -> bool {
                self.0 & item.bit() != 0
            }

            /// Whether every member of this set is in `other`.
            #[must_use]
            pub const fn is_within(self, other: Self) -> bool {
                self.0 & !other.0 == 0
            }

            /// Whether it has no member.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Its members, in a stable order.
            pub fn iter(self) -> impl Iterator<Item = $item> {
                $item::ALL.iter().copied().filter(move |item| self.has(*item))
            }

            /// Its bits, for associated data and digests.
            #[must_use]
            pub const fn bits(self) -> u8 {
                self.0
            }
        }

        impl fmt::Debug for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.iter().map($item::label)).finish()
            }
        }
    };
}

flags!(
    /// What a key may be used for.
    Scopes of Scope { Relay = 1 as "relay", Jobs = 2 as "jobs", Admin = 4 as "admin" }
);
flags!(
    /// How a key's holder may prove that it holds it.
    Schemes of Scheme { Signed = 1 as "signed", Bearer = 2 as "bearer" }
);

/// Limits of one key, each `None` where the server's own default holds.
///
/// Only what this version enforces stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Volcengine submits in flight at once.
    pub concurrency: Option<NonZeroU32>,
    /// Volcengine submits that may wait for a place.
    pub queue: Option<u32>,
    /// Submits and calls in any minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Submits and calls in any 24 hours.
    pub requests_per_day: Option<NonZeroU32>,
    /// Tokens of calls in any minute.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// What it may spend in a day and in a month.
    pub budget: Option<Budget>,
}

impl Limits {
    /// Whether holding `self` gives nothing that holding `other` does not give.
    ///
    /// A missing limit is the server's default, which only a key without that limit may hand on.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        fn within<T: Ord>(mine: Option<T>, theirs: Option<T>) -> bool {
            match (mine, theirs) {
                (_, None) => true,
                (Some(mine), Some(theirs)) => mine <= theirs,
                (None, Some(_)) => false,
            }
        }
        within(self.concurrency, other.concurrency)
            && within(self.queue, other.queue)
            && within(self.requests_per_minute, other.requests_per_minute)
            && within(self.requests_per_day, other.requests_per_day)
            && within(self.tokens_per_minute, other.tokens_per_minute)
            && match (&self.budget, &other.budget) {
                (_, None) => true,
                (Some(mine), Some(theirs)) => mine.is_within(theirs),
                (None, Some(_)) => false,
            }
    }
}

/// Whether a key may be used, apart from its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// In use.
    Active,
    /// Withdrawn for good, at this moment.
    Revoked(Timestamp),
}

/// What a key is at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyStatus {
    /// Verifies and may be used.
    Active,
    /// Verifies, and is answered with `KEY_REVOKED`.
    Revoked,
    /// Verifies, and is answered with `KEY_EXPIRED`.
    Expired,
}

impl KeyStatus {
    /// Every status, for closed label sets.
    pub const ALL: [Self; 3] = [Self::Active, Self::Revoked, Self::Expired];

    /// Its name in metrics and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// A client key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its identifier.
    pub id: KeyId,
    /// The root of its rotation family.
    pub owner: OwnerId,
    /// The public half: `ak_` and 16 base32 characters.
    pub access_key: String,
    /// What the operator calls it.
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
    /// What it may be used for.
    pub scopes: Scopes,
    /// How its holder may prove it.
    pub schemes: Schemes,
    /// Models and `req_key`s it may name; `None` allows every one.
    pub models: Option<Vec<String>>,
    /// Its own limits.
    pub limits: Limits,
}

impl ApiKey {
    /// What it is at `now`. An expiry that has come counts, whatever the standing says; a revocation counts first.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        match (self.standing, self.expires_at) {
            (Standing::Revoked(_), _) => KeyStatus::Revoked,
            (Standing::Active, Some(end)) if end <= now => KeyStatus::Expired,
            (Standing::Active, _) => KeyStatus::Active,
        }
    }

    /// When it was revoked, if it was.
    #[must_use]
    pub const fn revoked_at(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Revoked(at) => Some(at),
            Standing::Active => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_of_scopes_is_recognised() {
        let relay = Scopes::of([Scope::Relay]);
        assert!(relay.is_within(Scopes::all()));
        assert!(!Scopes::all().is_within(relay));
        assert_eq!(
            format!("{:?}", Scopes::of([Scope::Admin, Scope::Relay])),
            r#"{"relay", "admin"}"#
        );
    }

    #[test]
    fn a_key_without_a_limit_may_not_be_made_by_one_with_it() {
        let limited = Limits {
            concurrency: NonZeroU32::new(2),
            tokens_per_minute: NonZeroU64::new(1_000),
            ..Limits::default()
        };
        let tighter = Limits {
            concurrency: NonZeroU32::new(1),
            queue: Some(3),
            tokens_per_minute: NonZeroU64::new(10),
            ..limited
        };
        let wider = Limits {
            tokens_per_minute: None,
            ..tighter
        };
        assert!(tighter.is_within(&limited));
        assert!(!wider.is_within(&limited));
        assert!(!Limits::default().is_within(&limited));
        assert!(limited.is_within(&Limits::default()));
    }
}
