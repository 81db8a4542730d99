//! Sealing anew what older keys sealed: a walk over every row that holds a secret, some rows at a time.

use std::collections::BTreeMap;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::accounts::{self, AccountRow};
use super::error::StoreError;
use super::jobs::log::LogRow;
use super::jobs::{self, item, log};
use super::schema::Rows;
use super::tables::Tables;
use super::{codec, idempotency, keys, upstreams, webhooks};
use crate::crypto::entropy::Entropy;
use crate::crypto::keyring::{Keyring, RenewError, Renewal};
use crate::crypto::seal::{Place, StoreId};
use crate::model::id::DeliveryId;
use crate::model::job::Job;
use crate::model::upstream::UpstreamName;
use crate::model::webhook::Delivery;

/// A table whose rows hold something sealed. Stored: variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedTable {
    /// Secrets of client keys, and the digests that bearers are found by.
    ClientKeys,
    /// Credentials of accounts.
    Accounts,
    /// Kept replies.
    Replies,
    /// Metadata and webhooks of jobs.
    Jobs,
    /// What items ask.
    Bodies,
    /// What items were answered.
    Results,
    /// Log lines of jobs.
    Logs,
    /// Messages to receivers of webhooks.
    Deliveries,
}

/// How far the walk has come: rows behind this one are still to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The table.
    table: SealedTable,
    /// The key of the last row that was looked at; of a table's beginning, nothing.
    after: Vec<u8>,
}

/// The most that one change looks at.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Rows.
    pub rows: usize,
    /// Bytes of their values; one row is looked at, however long.
    pub bytes: usize,
}

/// What sealing anew takes.
pub struct Resealer<'a> {
    /// The keys, old and new.
    pub keyring: &'a Keyring,
    /// The store, which is part of every place.
    pub store: StoreId,
    /// Where salts come from.
    pub entropy: &'a dyn Entropy,
}

/// What some steps of the walk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows that were looked at.
    pub seen: u64,
    /// Rows that were sealed anew.
    pub renewed: u64,
    /// Rows that no key opens: they were damaged before. They stay as they are.
    pub unreadable: u64,
}

impl SealedTable {
    /// Every one, in the order of the walk.
    pub const ALL: [Self; 8] = [
        Self::ClientKeys,
        Self::Accounts,
        Self::Replies,
        Self::Jobs,
        Self::Bodies,
        Self::Results,
        Self::Logs,
        Self::Deliveries,
    ];

    /// The table's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientKeys => keys::TABLE,
            Self::Accounts => accounts::TABLE,
            Self::Replies => idempotency::REPLIES,
            Self::Jobs => jobs::TABLE,
            Self::Bodies => item::BODIES,
            Self::Results => item::RESULTS,
            Self::Logs => log::TABLE,
            Self::Deliveries => webhooks::TABLE,
        }
    }

    fn next(self) -> Option<Self> {
        let mut rest = Self::ALL.into_iter().skip_while(|table| *table != self);
        rest.nth(1)
    }
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

/// A row as the walk sees it: its key and its value.
type Row<K> = (K, Vec<u8>);

/// What is to be written in a row's place.
enum Found {
    Current,
    Anew(Vec<u8>),
    Unreadable,
}

/// A key that can stand in a [`Position`].
trait Key: Copy {
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

/// Walks some rows of one table: reads them, and writes those that change.
macro_rules! walk {
    ($tables:expr, $rows:ident, $from:expr, $batch:expr, $renew:expr) => {{
        let page = page($tables.view().$rows()?, &$from.after, $batch)?;
        let mut tally = Tally::default();
        for (key, value) in &page.rows {
            tally.seen += 1;
            match $renew(key, value.as_slice())? {
                Found::Current => {}
                Found::Anew(value) => {
                    tally.renewed += 1;
                    $tables.opened().$rows()?.insert(key, value.as_slice())?;
                }
                Found::Unreadable => tally.unreadable += 1,
            }
        }
        (tally, page.last())
    }};
}

impl Tables<'_> {
    /// Looks at some rows behind `from`, and seals anew those that an older key sealed. Gives where the walk goes on;
    /// nothing behind the last row.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written, or no randomness is to be had.
    pub fn reseal(
        &mut self,
        from: &Position,
        batch: Batch,
        resealer: &Resealer<'_>,
    ) -> Result<(Tally, Option<Position>), StoreError> {
        let (tally, last) = match from.table {
            SealedTable::ClientKeys => walk!(self, client_keys, from, batch, |_: &u64, value| resealer.key(value)),
            SealedTable::Accounts => {
                let addresses = addresses(self.view())?;
                walk!(self, accounts, from, batch, |_: &u64, value| resealer
                    .account(value, &addresses))
            }
            SealedTable::Replies => walk!(self, replies, from, batch, |key: &u64, value| {
                resealer.plain(idempotency::REPLIES, &key.to_be_bytes(), idempotency::REPLY, value)
            }),
            SealedTable::Jobs => walk!(self, jobs, from, batch, |key: &[u8; 16], value| resealer
                .job(key, value)),
            SealedTable::Bodies => walk!(self, job_bodies, from, batch, |key: &[u8; 20], value| {
                resealer.plain(item::BODIES, key, item::BODY, value)
            }),
            SealedTable::Results => walk!(self, job_results, from, batch, |key: &[u8; 20], value| {
                resealer.plain(item::RESULTS, key, item::RESULT, value)
            }),
            SealedTable::Logs => walk!(self, job_logs, from, batch, |key: &[u8; 24], value| resealer
                .line(key, value)),
            SealedTable::Deliveries => walk!(self, deliveries, from, batch, |key: &[u8; 16], value| {
                resealer.delivery(*key, value)
            }),
        };
        let table = from.table;
        let next = match last {
            Some(after) => Some(Position { table, after }),
            None => table.next().map(|table| Position {
                table,
                after: Vec::new(),
            }),
        };
        Ok((tally, next))
    }
}

/// How many rows a walk looks at.
///
/// # Errors
/// [`StoreError`] when a table cannot be opened.
pub fn rows(reader: &super::Reader) -> Result<u64, StoreError> {
    let counts = reader.row_counts()?;
    let is_sealed = |name: &str| SealedTable::ALL.iter().any(|table| table.name() == name);
    Ok(counts
        .iter()
        .filter(|(name, _)| is_sealed(name))
        .map(|(_, count)| count)
        .sum())
}

/// Some rows of a table.
struct Page<K> {
    rows: Vec<Row<K>>,
    /// Whether there may be more behind them.
    full: bool,
}

impl<K: Key> Page<K> {
    /// Where the next one begins, if there is one.
    fn last(&self) -> Option<Vec<u8>> {
        self.rows.last().filter(|_| self.full).map(|(key, _)| key.bytes())
    }
}

/// Rows behind a key, up to the bounds of a batch.
fn page<K>(table: &impl ReadableTable<K, &'static [u8]>, after: &[u8], batch: Batch) -> Result<Page<K>, StoreError>
where
    K: Key + redb::Key + for<'a> redb::Value<SelfType<'a> = K> + std::borrow::Borrow<K> + 'static,
{
    let from = K::read(after).map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    let mut page = Page {
        rows: Vec::new(),
        full: false,
    };
    let mut bytes = 0;
    for row in table.range::<K>((from, std::ops::Bound::Unbounded))? {
        if page.rows.len() >= batch.rows || bytes >= batch.bytes {
            page.full = true;
            break;
        }
        let (key, value) = row?;
        bytes += value.value().len();
        page.rows.push((key.value(), value.value().to_vec()));
    }
    Ok(page)
}

/// Where the accounts of each stored upstream send.
fn addresses(rows: &mut impl Rows) -> Result<BTreeMap<UpstreamName, String>, StoreError> {
    let upstreams = upstreams::all(rows)?.into_iter();
    Ok(upstreams.map(|row| (row.name, row.base_url)).collect())
}

impl Resealer<'_> {
    /// A row that is sealed as a whole.
    fn plain(&self, table: &str, record: &[u8], field: &str, value: &[u8]) -> Result<Found, StoreError> {
        self.renew(&Place::of_row(self.store, table, record, field), value)
    }

    /// A client key, with the digest of its secret.
    fn key(&self, value: &[u8]) -> Result<Found, StoreError> {
        let mut row = keys::decode(value)?;
        let seal = &self.keyring.seal;
        let (renewed, secret) = keys::at_place(&row.key, self.store, |place| {
            (self.renew(place, &row.sealed), seal.open(place, &row.sealed))
        });
        let Ok(secret) = secret else {
            return Ok(Found::Unreadable);
        };
        let bearer = keys::bearer(&self.keyring.digest.newest(), &secret);
        match renewed? {
            Found::Anew(sealed) => row.sealed = sealed,
            _ if bearer == row.bearer => return Ok(Found::Current),
            _ => {}
        }
        row.bearer = bearer;
        keys::encode(&row).map(Found::Anew)
    }

    fn account(&self, value: &[u8], addresses: &BTreeMap<UpstreamName, String>) -> Result<Found, StoreError> {
        let mut row: AccountRow = codec::decode(accounts::TABLE, value)?;
        let address = addresses.get(&row.upstream).map(String::as_str).unwrap_or_default();
        let found = accounts::at_place(row.id, &row.upstream, address, self.store, |place| {
            self.renew(place, &row.sealed)
        })?;
        within(found, |sealed| {
            row.sealed = sealed;
            codec::encode(accounts::TABLE, &row)
        })
    }

    fn job(&self, key: &[u8; 16], value: &[u8]) -> Result<Found, StoreError> {
        let mut job: Job = codec::decode(jobs::TABLE, value)?;
        let place = Place::of_row(self.store, jobs::TABLE, key, jobs::SEALED);
        within(self.renew(&place, &job.private)?, |sealed| {
            job.private = sealed;
            codec::encode(jobs::TABLE, &job)
        })
    }

    fn line(&self, key: &[u8; 24], value: &[u8]) -> Result<Found, StoreError> {
        let mut row: LogRow = codec::decode(log::TABLE, value)?;
        let place = Place::of_row(self.store, log::TABLE, key, log::SEALED);
        within(self.renew(&place, &row.sealed)?, |sealed| {
            row.sealed = sealed;
            codec::encode(log::TABLE, &row)
        })
    }

    fn delivery(&self, key: [u8; 16], value: &[u8]) -> Result<Found, StoreError> {
        let mut delivery: Delivery = codec::decode(webhooks::TABLE, value)?;
        let id = DeliveryId::from_bits(u128::from_be_bytes(key));
        let found = webhooks::at_place(id, &delivery, self.store, |place| self.renew(place, &delivery.sealed))?;
        within(found, |sealed| {
            delivery.sealed = sealed;
            codec::encode(webhooks::TABLE, &delivery)
        })
    }

    fn renew(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Found, StoreError> {
        match self.keyring.seal.renew(place, sealed, self.entropy) {
            Ok(Renewal::Current) => Ok(Found::Current),
            Ok(Renewal::Anew(sealed)) => Ok(Found::Anew(sealed)),
            Err(RenewError::Seal(_)) => Ok(Found::Unreadable),
            Err(RenewError::Entropy(error)) => Err(StoreError::Seal(error.to_string())),
        }
    }
}

/// The row around a secret that was sealed anew.
fn within(found: Found, row: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, StoreError>) -> Result<Found, StoreError> {
    match found {
        Found::Anew(sealed) => row(sealed).map(Found::Anew),
        other => Ok(other),
    }
}
