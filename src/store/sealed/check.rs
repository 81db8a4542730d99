//! Whether everything that is sealed still opens.

use std::fmt;

use super::SealedTable;
use super::walk::{self, Batch, Found, Position, Visitor};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::Place;
use crate::model::id::{AccountId, DeliveryId, JobId, KeyId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::keys::{self, KeyRow};

/// What opened and what did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// How many values opened.
    pub opened: u64,
    /// How many did not.
    pub unreadable: u64,
    /// The first [`Seals::MOST_NAMED`] of those that did not.
    pub named: Vec<Damaged>,
}

impl Seals {
    /// The most values that do not open that are named.
    pub const MOST_NAMED: usize = 100;

    fn count(&mut self, found: &Found<Vec<u8>>, damaged: impl FnOnce() -> Damaged) {
        match found {
            Found::Nothing => {}
            Found::Opened | Found::Anew(_) => self.opened += 1,
            Found::Unreadable => {
                self.unreadable += 1;
                if self.named.len() < Self::MOST_NAMED {
                    self.named.push(damaged());
                }
            }
        }
    }
}

/// A value that does not open: it, or what it is sealed to, was changed outside Tollgate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where it is.
    pub table: SealedTable,
    /// The key of its row.
    key: Vec<u8>,
}

/// The row, by the name that it has elsewhere.
impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.key.split_at(self.key.len().min(16));
        // Keys are big-endian numbers: one, or a job and the number of something of it.
        let number = |bytes: &[u8]| bytes.iter().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
        let small = |bytes: &[u8]| u64::try_from(number(bytes)).unwrap_or(u64::MAX);
        match self.table {
            SealedTable::ClientKeys => KeyId::from_bits(small(first)).fmt(f),
            SealedTable::Accounts => AccountId::from_bits(small(first)).fmt(f),
            SealedTable::Replies => write!(f, "record {}", small(first)),
            SealedTable::Jobs => JobId::from_bits(number(first)).fmt(f),
            SealedTable::Bodies | SealedTable::Results => {
                write!(f, "{} item {}", JobId::from_bits(number(first)), small(second))
            }
            SealedTable::Logs => write!(f, "{} line {}", JobId::from_bits(number(first)), small(second)),
            SealedTable::Deliveries => DeliveryId::from_bits(number(first)).fmt(f),
        }
    }
}

/// Opens everything that the store holds sealed, and tells of the progress after some rows. Blocks.
///
/// # Errors
/// [`StoreError`] when the file cannot be read. A row that is not what it should be does not open.
pub fn check(store: &Store, mut told: impl FnMut(&Seals)) -> Result<Seals, StoreError> {
    let opener = Opener(store.keyring());
    let (mut seals, mut next) = (Seals::default(), Some(Position::START));
    while let Some(from) = next {
        let table = from.table();
        let looked = store.read(|rows| walk::look(rows, store.id(), &from, BATCH, &opener))?;
        for (key, found) in looked.rows {
            seals.count(&found, || Damaged { table, key });
        }
        next = looked.next;
        told(&seals);
    }
    Ok(seals)
}

/// Opens, and changes nothing.
struct Opener<'a>(&'a Keyring);

impl Visitor for Opener<'_> {
    fn value(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        Ok(match self.0.seal.open(place, sealed) {
            Ok(_) => Found::Opened,
            Err(_) => Found::Unreadable,
        })
    }

    /// A digest that is not the secret's would let somebody else in.
    fn key(&self, place: &Place<'_>, row: &KeyRow) -> Result<Found<KeyRow>, StoreError> {
        let Ok(secret) = self.0.seal.open(place, &row.sealed) else {
            return Ok(Found::Unreadable);
        };
        let digests = self.0.digest.versions();
        let is_its_own = digests.iter().any(|key| keys::bearer(key, &secret).ct_eq(&row.bearer));
        Ok(if is_its_own { Found::Opened } else { Found::Unreadable })
    }

    fn unreadable<T>(&self, error: StoreError) -> Result<Found<T>, StoreError> {
        match error {
            StoreError::Corrupt { .. } => Ok(Found::Unreadable),
            other => Err(other),
        }
    }
}

/// What is read at once, so that little of it is in memory.
const BATCH: Batch = Batch {
    rows: 200,
    bytes: 8 << 20,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_open_has_the_name_that_it_has_elsewhere() {
        let job = "0190000000000000000000000000000a";
        let key: Vec<u8> = (0..32)
            .step_by(2)
            .map(|at| u8::from_str_radix(&job[at..at + 2], 16).unwrap())
            .collect();
        let behind = |bytes: &[u8]| [&key[..], bytes].concat();
        let names = [
            (
                SealedTable::ClientKeys,
                vec![0, 0, 0, 0, 0, 0, 1, 2],
                "key_0000000000000102".to_owned(),
            ),
            (
                SealedTable::Accounts,
                vec![0, 0, 0, 0, 0, 0, 0, 3],
                "acc_0000000000000003".to_owned(),
            ),
            (
                SealedTable::Replies,
                vec![0, 0, 0, 0, 0, 0, 1, 0],
                "record 256".to_owned(),
            ),
            (SealedTable::Jobs, key.clone(), format!("job_{job}")),
            (SealedTable::Bodies, behind(&[0, 0, 0, 7]), format!("job_{job} item 7")),
            (
                SealedTable::Results,
                behind(&[0, 0, 1, 0]),
                format!("job_{job} item 256"),
            ),
            (
                SealedTable::Logs,
                behind(&[0, 0, 0, 0, 0, 0, 0, 9]),
                format!("job_{job} line 9"),
            ),
            (SealedTable::Deliveries, key.clone(), format!("msg_{job}")),
        ];
        for (table, key, name) in names {
            assert_eq!(Damaged { table, key }.to_string(), name, "{table:?}");
        }
    }
}
