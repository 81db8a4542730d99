//! The envelope of every value: one version byte, then postcard.
//!
//! redb stores type names with its tables, so a value is always bytes to it, and a change of ours is a new version here.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;

/// The version of values whose shape never changed.
const VERSION: u8 = 1;

/// A value in its envelope.
///
/// # Errors
/// [`StoreError::Corrupt`] if the value cannot be expressed, which no type of ours does.
pub(super) fn encode<T: Serialize>(table: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    encode_as(table, VERSION, value)
}

/// A value in an envelope of its own version.
///
/// # Errors
/// As [`encode`].
pub(super) fn encode_as<T: Serialize>(table: &'static str, version: u8, value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(value, vec![version]).map_err(|error| StoreError::corrupt(table, error))
}

/// A value out of its envelope.
///
/// # Errors
/// [`StoreError::Corrupt`] for an unknown version or bytes that are not such a value.
pub(super) fn decode<T: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    decode_as(table, VERSION, bytes)
}

/// A value out of an envelope of this version.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_as<T: DeserializeOwned>(table: &'static str, version: u8, bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&found, value)) if found == version => {
            postcard::from_bytes(value).map_err(|error| StoreError::corrupt(table, error))
        }
        Some((found, _)) => Err(StoreError::corrupt(table, format!("value of version {found}"))),
        None => Err(StoreError::corrupt(table, "an empty value")),
    }
}

/// Two big-endian numbers as one key that sorts by the first, then the second.
pub(super) fn pair(first: u64, second: u64) -> [u8; 16] {
    ((u128::from(first) << 64) | u128::from(second)).to_be_bytes()
}

/// The numbers of such a key.
pub(super) fn unpair(key: [u8; 16]) -> (u64, u64) {
    let both = u128::from_be_bytes(key);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a u128")]
    ((both >> 64) as u64, both as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pair_reads_back_and_sorts_like_its_numbers(a: (u64, u64), b: (u64, u64)) {
            prop_assert_eq!(unpair(pair(a.0, a.1)), a);
            prop_assert_eq!(pair(a.0, a.1).cmp(&pair(b.0, b.1)), a.cmp(&b));
        }

        #[test]
        fn a_value_reads_back(value: Vec<(u64, String, Option<bool>)>) {
            let bytes = encode("t", &value).unwrap();
            prop_assert_eq!(decode::<Vec<(u64, String, Option<bool>)>>("t", &bytes).unwrap(), value);
        }

        #[test]
        fn arbitrary_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _ = decode::<crate::model::record::Entry>("t", &bytes);
        }
    }

    #[test]
    fn a_value_of_a_later_version_is_refused() {
        assert!(matches!(decode::<u8>("t", &[9, 1]), Err(StoreError::Corrupt { .. })));
        assert!(matches!(decode::<u8>("t", &[]), Err(StoreError::Corrupt { .. })));
    }
}
