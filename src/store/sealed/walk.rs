//! The walk: every sealed value with the place that it is sealed to, some rows at a time.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadableTable, Table};
use serde::{Deserialize, Serialize};

use super::SealedTable;
use crate::crypto::seal::{Place, StoreId};
use crate::model::id::DeliveryId;
use crate::model::job::Job;
use crate::model::upstream::UpstreamName;
use crate::model::webhook::{Delivery, DeliveryState};
use crate::store::accounts::{self, AccountRow};
use crate::store::error::StoreError;
use crate::store::jobs::log::LogRow;
use crate::store::jobs::{self, item, log};
use crate::store::keys::KeyRow;
use crate::store::schema::Rows;
use crate::store::tables::Tables;
use crate::store::{codec, idempotency, keys, upstreams, webhooks};

/// How far a walk has come: rows behind this one are still to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The table.
    table: SealedTable,
    /// The key of the last row that was looked at; of a table's beginning, nothing.
    after: Vec<u8>,
}

/// The most that one step looks at.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Rows.
    pub rows: usize,
    /// Bytes of their values; one row is looked at, however long.
    pub bytes: usize,
}

impl Position {
    /// Before the first row.
    pub const START: Self = Self {
        table: SealedTable::ClientKeys,
        after: Vec::new(),
    };

    /// The table that is walked.
    #[must_use]
    pub const fn table(&self) -> SealedTable {
        self.table
    }
}

/// Who looks at sealed values.
pub(super) trait Visitor {
    /// Looks at a value that is sealed to a place.
    fn value(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Found<Vec<u8>>, StoreError>;

    /// Looks at a client key, whose secret is sealed to a place and found by a digest.
    fn key(&self, place: &Place<'_>, row: &KeyRow) -> Result<Found<KeyRow>, StoreError>;

    /// Looks at a row that cannot be read.
    fn unreadable<T>(&self, error: StoreError) -> Result<Found<T>, StoreError>;
}

/// What was found in a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// Nothing that is sealed: it has been told.
    Nothing,
    /// It opens, and stays.
    Opened,
    /// It opens, and this is to stand in its place.
    Anew(T),
    /// It does not open.
    Unreadable,
}

impl<T> Found<T> {
    /// The row around what is to stand in its place.
    fn within<U>(self, row: impl FnOnce(T) -> Result<U, StoreError>) -> Result<Found<U>, StoreError> {
        Ok(match self {
            Self::Nothing => Found::Nothing,
            Self::Opened => Found::Opened,
            Self::Anew(value) => Found::Anew(row(value)?),
            Self::Unreadable => Found::Unreadable,
        })
    }
}

/// Some rows of one table.
pub(super) struct Looked {
    /// The key of each, and what was found in it.
    pub(super) rows: Vec<(Vec<u8>, Found<Vec<u8>>)>,
    /// Where the walk goes on; nothing behind the last row of all.
    pub(super) next: Option<Position>,
}

/// Looks at some rows behind `from`.
pub(super) fn look(
    rows: &mut impl Rows,
    store: StoreId,
    from: &Position,
    batch: Batch,
    visitor: &impl Visitor,
) -> Result<Looked, StoreError> {
    let walk = Walk { store, visitor };
    let (after, table) = (&from.after, from.table);
    let (rows, last) = match table {
        SealedTable::ClientKeys => page(rows.client_keys()?, after, batch, |_, value| walk.key(value)),
        SealedTable::Accounts => {
            let addresses = addresses(rows)?;
            page(rows.accounts()?, after, batch, |_, value| {
                walk.account(value, &addresses)
            })
        }
        SealedTable::Replies => page(rows.replies()?, after, batch, |key: u64, value| {
            walk.whole(idempotency::REPLIES, &key.to_be_bytes(), idempotency::REPLY, value)
        }),
        SealedTable::Jobs => page(rows.jobs()?, after, batch, |key, value| walk.job(&key, value)),
        SealedTable::Bodies => page(rows.job_bodies()?, after, batch, |key: [u8; 20], value| {
            walk.whole(item::BODIES, &key, item::BODY, value)
        }),
        SealedTable::Results => page(rows.job_results()?, after, batch, |key: [u8; 20], value| {
            walk.whole(item::RESULTS, &key, item::RESULT, value)
        }),
        SealedTable::Logs => page(rows.job_logs()?, after, batch, |key, value| walk.line(&key, value)),
        SealedTable::Deliveries => page(rows.deliveries()?, after, batch, |key, value| walk.delivery(key, value)),
    }?;
    let next = match last {
        Some(after) => Some(Position { table, after }),
        None => table.next().map(|table| Position {
            table,
            after: Vec::new(),
        }),
    };
    Ok(Looked { rows, next })
}

impl Tables<'_> {
    /// Puts a row in the place of the one that the walk found under this key.
    pub(super) fn put_sealed(&mut self, table: SealedTable, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let opened = self.opened();
        match table {
            SealedTable::ClientKeys => put(opened.client_keys()?, key, value),
            SealedTable::Accounts => put(opened.accounts()?, key, value),
            SealedTable::Replies => put(opened.replies()?, key, value),
            SealedTable::Jobs => put(opened.jobs()?, key, value),
            SealedTable::Bodies => put(opened.job_bodies()?, key, value),
            SealedTable::Results => put(opened.job_results()?, key, value),
            SealedTable::Logs => put(opened.job_logs()?, key, value),
            SealedTable::Deliveries => put(opened.deliveries()?, key, value),
        }
    }
}

/// A key that can stand in a [`Position`].
trait Key: redb::Key + for<'a> redb::Value<SelfType<'a> = Self> + Borrow<Self> + Copy + 'static {
    fn bytes(self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Key for u64 {
    fn bytes(self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl<const N: usize> Key for [u8; N] {
    fn bytes(self) -> Vec<u8> {
        self.to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

/// Some rows of a table, and the key of the last one if there may be more behind it.
type Page = (Vec<(Vec<u8>, Found<Vec<u8>>)>, Option<Vec<u8>>);

/// Looks at the rows behind a key, up to the bounds of a batch.
fn page<K: Key>(
    table: &impl ReadableTable<K, &'static [u8]>,
    after: &[u8],
    batch: Batch,
    mut look: impl FnMut(K, &[u8]) -> Result<Found<Vec<u8>>, StoreError>,
) -> Result<Page, StoreError> {
    let from = K::read(after).map_or(Bound::Unbounded, Bound::Excluded);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for row in table.range::<K>((from, Bound::Unbounded))? {
        if rows.len() >= batch.rows || bytes >= batch.bytes {
            let last = rows.last().map(|(key, _): &(Vec<u8>, _)| key.clone());
            return Ok((rows, last));
        }
        let (key, value) = row?;
        let (key, value) = (key.value(), value.value());
        bytes += value.len();
        rows.push((key.bytes(), look(key, value)?));
    }
    Ok((rows, None))
}

fn put<K: Key>(table: &mut Table<'_, K, &'static [u8]>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let key = K::read(key).ok_or_else(|| StoreError::corrupt("a sealed table", "a key of another length"))?;
    table.insert(key, value)?;
    Ok(())
}

/// Where the accounts of each stored upstream send.
fn addresses(rows: &mut impl Rows) -> Result<BTreeMap<UpstreamName, String>, StoreError> {
    let upstreams = upstreams::all(rows)?.into_iter();
    Ok(upstreams.map(|row| (row.name, row.base_url)).collect())
}

/// What tells the place of each value.
struct Walk<'a, V> {
    store: StoreId,
    visitor: &'a V,
}

impl<V: Visitor> Walk<'_, V> {
    /// A row that is sealed as a whole.
    fn whole(&self, table: &str, record: &[u8], field: &str, value: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        self.visitor
            .value(&Place::of_row(self.store, table, record, field), value)
    }

    fn key(&self, value: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        let row = match keys::decode(value) {
            Ok(row) => row,
            Err(error) => return self.visitor.unreadable(error),
        };
        let found = keys::at_place(&row.key, self.store, |place| self.visitor.key(place, &row))?;
        found.within(|row| keys::encode(&row))
    }

    fn account(&self, value: &[u8], addresses: &BTreeMap<UpstreamName, String>) -> Result<Found<Vec<u8>>, StoreError> {
        let mut row: AccountRow = match codec::decode(accounts::TABLE, value) {
            Ok(row) => row,
            Err(error) => return self.visitor.unreadable(error),
        };
        let address = addresses.get(&row.upstream).map(String::as_str).unwrap_or_default();
        let found = accounts::at_place(row.id, &row.upstream, address, self.store, |place| {
            self.visitor.value(place, &row.sealed)
        })?;
        found.within(|sealed| {
            row.sealed = sealed;
            codec::encode(accounts::TABLE, &row)
        })
    }

    fn job(&self, key: &[u8; 16], value: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        let mut job: Job = match codec::decode(jobs::TABLE, value) {
            Ok(job) => job,
            Err(error) => return self.visitor.unreadable(error),
        };
        self.whole(jobs::TABLE, key, jobs::SEALED, &job.private)?
            .within(|sealed| {
                job.private = sealed;
                codec::encode(jobs::TABLE, &job)
            })
    }

    fn line(&self, key: &[u8; 24], value: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        let mut row: LogRow = match codec::decode(log::TABLE, value) {
            Ok(row) => row,
            Err(error) => return self.visitor.unreadable(error),
        };
        self.whole(log::TABLE, key, log::SEALED, &row.sealed)?.within(|sealed| {
            row.sealed = sealed;
            codec::encode(log::TABLE, &row)
        })
    }

    /// A message, which is gone once its delivery has ended.
    fn delivery(&self, key: [u8; 16], value: &[u8]) -> Result<Found<Vec<u8>>, StoreError> {
        let mut delivery: Delivery = match codec::decode(webhooks::TABLE, value) {
            Ok(delivery) => delivery,
            Err(error) => return self.visitor.unreadable(error),
        };
        if delivery.sealed.is_empty() && !matches!(delivery.state, DeliveryState::Pending { .. }) {
            return Ok(Found::Nothing);
        }
        let id = DeliveryId::from_bits(u128::from_be_bytes(key));
        let found = webhooks::at_place(id, &delivery, self.store, |place| {
            self.visitor.value(place, &delivery.sealed)
        })?;
        found.within(|sealed| {
            delivery.sealed = sealed;
            codec::encode(webhooks::TABLE, &delivery)
        })
    }
}
