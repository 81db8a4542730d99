//! Lists come in pages: `limit` and `cursor` go in, `items` and `next_cursor` come out.
//!
//! A cursor is opaque and sealed with a MAC, so that nobody walks another list with it.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;

use super::error::ApiError;
use crate::crypto::digest::DigestKey;
use crate::crypto::keyring::Ring;
use crate::model::id::JobId;
use crate::model::job::ItemRef;

/// Where a list can go on.
pub trait Place: Copy {
    /// As a cursor holds it.
    fn bytes(self) -> Vec<u8>;

    /// Out of exactly those bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Place for u64 {
    fn bytes(self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Place for JobId {
    fn bytes(self) -> Vec<u8> {
        self.bits().to_be_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bits = bytes.try_into().ok().map(u128::from_be_bytes)?;
        Some(Self::from_bits(bits))
    }
}

impl Place for ItemRef {
    fn bytes(self) -> Vec<u8> {
        [self.job.bytes().as_slice(), &self.index.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (job, index) = bytes.split_last_chunk::<4>()?;
        Some(Self {
            job: JobId::read(job)?,
            index: u32::from_be_bytes(*index),
        })
    }
}

/// How many items a page has.
///
/// # Errors
/// [`ApiError`] outside of 1 to 1000.
pub fn limit(asked: Option<u32>) -> Result<usize, ApiError> {
    match asked.unwrap_or(100) {
        limit @ 1..=1000 => Ok(limit as usize),
        _ => Err(ApiError::validation("limit is between 1 and 1000").about("limit")),
    }
}

/// A place in a list, as a client carries it.
#[must_use]
pub fn cursor(ring: &Ring<DigestKey>, list: &str, place: impl Place) -> String {
    cursor_under(&ring.newest(), list, place)
}

fn cursor_under(key: &DigestKey, list: &str, place: impl Place) -> String {
    let mut bytes = place.bytes();
    let mac = key.of("cursor", &[list.as_bytes(), &bytes]);
    bytes.extend(mac.as_bytes().iter().take(MAC));
    BASE64URL_NOPAD.encode(&bytes)
}

/// The place that a client's cursor names. One that was made under an older key is as good while that key is kept.
///
/// # Errors
/// [`ApiError`] when we did not make it for this list.
pub fn place<P: Place>(ring: &Ring<DigestKey>, list: &str, text: Option<&str>) -> Result<Option<P>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || ApiError::validation("this cursor is not of this list").about("cursor");
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| wrong())?;
    let (place, _) = bytes.split_last_chunk::<MAC>().ok_or_else(wrong)?;
    let place = P::read(place).ok_or_else(wrong)?;
    let is_ours = |key: &Arc<DigestKey>| cursor_under(key, list, place) == text;
    if ring.versions().iter().any(is_ours) {
        Ok(Some(place))
    } else {
        Err(wrong())
    }
}

/// The page of a list that is held in memory: its items, and the cursor of the next page.
///
/// # Errors
/// [`ApiError`] for a wrong limit or cursor.
pub fn of<T>(
    all: impl IntoIterator<Item = T>,
    ring: &Ring<DigestKey>,
    list: &str,
    asked: Option<u32>,
    from: Option<&str>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let limit = limit(asked)?;
    let from: u64 = place(ring, list, from)?.unwrap_or(0);
    let mut rest = all.into_iter().skip(usize::try_from(from).unwrap_or(usize::MAX));
    let items: Vec<T> = rest.by_ref().take(limit).collect();
    let next = rest.next().map(|_| cursor(ring, list, from + items.len() as u64));
    Ok((items, next))
}

/// Bytes of the MAC that a cursor carries: it guards no secret.
const MAC: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::OsEntropy;
    use crate::crypto::keyring::{Keyring, Keys, Versions};

    fn ring() -> Ring<DigestKey> {
        Ring::new(Versions::only(DigestKey::generate(&OsEntropy).unwrap()))
    }

    #[test]
    fn a_cursor_leads_back_to_its_place_in_its_own_list_only() {
        let key = ring();
        let text = cursor(&key, "audit", 42_u64);
        assert_eq!(place(&key, "audit", Some(&text)).unwrap(), Some(42_u64));
        assert!(place::<u64>(&key, "tasks", Some(&text)).is_err());
        assert!(place::<JobId>(&key, "audit", Some(&text)).is_err());
        assert!(place::<u64>(&key, "audit", Some("AAAA")).is_err());
        assert_eq!(place::<u64>(&key, "audit", None).unwrap(), None);
    }

    #[test]
    fn a_cursor_of_before_its_key_was_replaced_leads_on_while_that_key_is_kept() {
        let keys = Keys::generate(&OsEntropy).unwrap();
        let keyring = Keyring::new(keys.clone());
        let text = cursor(&keyring.cursor, "audit", 42_u64);
        let renewed = keys.renewed(&OsEntropy).unwrap();

        keyring.install(&renewed);
        assert_eq!(place(&keyring.cursor, "audit", Some(&text)).unwrap(), Some(42_u64));
        assert_ne!(cursor(&keyring.cursor, "audit", 42_u64), text);

        keyring.install(&renewed.settled());
        assert!(place::<u64>(&keyring.cursor, "audit", Some(&text)).is_err());
    }

    #[test]
    fn a_place_is_a_number_a_job_or_an_item() {
        let key = ring();
        let job = JobId::from_bits(u128::MAX - 1);
        let item = ItemRef { job, index: 7 };
        assert_eq!(
            place(&key, "jobs", Some(&cursor(&key, "jobs", job))).unwrap(),
            Some(job)
        );
        assert_eq!(
            place(&key, "dead", Some(&cursor(&key, "dead", item))).unwrap(),
            Some(item)
        );
    }

    #[test]
    fn pages_of_a_list_in_memory_follow_one_another_to_its_end() {
        let key = ring();
        let (first, next) = of(1..=3, &key, "numbers", Some(2), None).unwrap();
        let (second, end) = of(1..=3, &key, "numbers", Some(2), next.as_deref()).unwrap();
        assert_eq!((first, second, end), (vec![1, 2], vec![3], None));
        assert!(of(1..=3, &key, "numbers", Some(0), None).is_err());
    }
}
