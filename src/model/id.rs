//! Identifiers: prefixed, parsed, ordered by creation where that matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// A text that is not the identifier it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {prefix} followed by {digits} lower-case hexadecimal digits")]
pub struct ParseIdError {
    prefix: &'static str,
    digits: usize,
}

/// Declares an identifier: an unsigned integer shown as a prefix and fixed-width lower-case hex.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $int:ty, $prefix:literal, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name($int);

        impl $name {
            /// From its number, as it stands in a table's key.
            #[must_use]
            pub const fn from_bits(bits: $int) -> Self {
                Self(bits)
            }

            /// Its number, for a table's key.
            #[must_use]
            pub const fn bits(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = ParseIdError { prefix: $prefix, digits: $digits };
                let digits = text.strip_prefix($prefix).ok_or_else(|| error.clone())?;
                let plain = digits.len() == $digits
                    && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                if !plain {
                    return Err(error);
                }
                <$int>::from_str_radix(digits, 16).map(Self).map_err(|_| error)
            }
        }
    };
}

identifier!(
    /// A client key: `key_` and 16 hex digits.
    KeyId, u64, "key_", 16
);
identifier!(
    /// The root of a client key's rotation family, to which tasks, idempotency keys, limits and budgets belong.
    ///
    /// It has the number of the family's first key, so it survives rotation.
    OwnerId, u64, "own_", 16
);
identifier!(
    /// An upstream account: `acc_` and 16 hex digits.
    AccountId, u64, "acc_", 16
);
identifier!(
    /// One HTTP request to us: `req_` and 32 hex digits, of which the first 12 are milliseconds, so ids sort by time.
    RequestId, u128, "req_", 32
);

identifier!(
    /// A job: `job_` and 32 hex digits, of which the first 12 are milliseconds, so ids sort by time.
    JobId, u128, "job_", 32
);
identifier!(
    /// One webhook delivery: `msg_` and 32 hex digits, of which the first 24 are those of its job.
    DeliveryId, u128, "msg_", 32
);

/// Gives an identifier its way of being made: 48 bits of milliseconds, so that ids sort by time, and 80 random bits.
macro_rules! sorted_by_time {
    ($($name:ident),+) => {$(
        impl $name {
            /// A new one.
            #[must_use]
            pub fn at(moment: Timestamp, random: [u8; 16]) -> Self {
                let millis = u128::from(moment.as_micros().unsigned_abs() / 1000);
                Self((millis << 80) | (u128::from_be_bytes(random) >> 48))
            }
        }
    )+};
}

sorted_by_time!(RequestId, JobId, DeliveryId);

impl KeyId {
    /// The owner of a key that is the first of its rotation family.
    #[must_use]
    pub const fn as_owner(self) -> OwnerId {
        OwnerId::from_bits(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_reads_back_what_it_shows() {
        let id = KeyId::from_bits(0xab);
        assert_eq!(id.to_string(), "key_00000000000000ab");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_identifier_refuses_every_other_spelling() {
        for text in [
            "",
            "key_",
            "key_ab",
            "KEY_00000000000000ab",
            "key_00000000000000AB",
            "ak_00000000000000ab",
            "key_+0000000000000ab",
        ] {
            assert!(text.parse::<KeyId>().is_err(), "{text}");
        }
    }
}
