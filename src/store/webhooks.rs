//! Webhook deliveries: those to be made, and those that have ended.
//!
//! One index holds both by time: those to be made come first, by when they are due; behind them those that have ended,
//! by when they did.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use super::{codec, meta};
use crate::crypto::seal::{Place, StoreId};
use crate::model::clock::Timestamp;
use crate::model::id::{DeliveryId, JobId, OwnerId};
use crate::model::webhook::{Delivery, DeliveryState, ids_of};

/// The table's name, which is part of what a delivery is sealed to.
pub const TABLE: &str = "deliveries.v1";

const INDEX: &str = "deliveries_due.v1";

/// A delivery that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Since when.
    pub at: Timestamp,
    /// Which one.
    pub id: DeliveryId,
    /// Whose.
    pub owner: OwnerId,
}

/// How many deliveries are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// To be made.
    pub pending: u64,
    /// Taken by a receiver.
    pub delivered: u64,
    /// Given up.
    pub given_up: u64,
}

impl Counts {
    const fn of(&mut self, state: DeliveryState) -> &mut u64 {
        match state {
            DeliveryState::Pending { .. } => &mut self.pending,
            DeliveryState::Delivered { .. } => &mut self.delivered,
            DeliveryState::GivenUp { .. } => &mut self.given_up,
        }
    }
}

/// The place that a delivery is sealed to: its row, whose it is and what it tells of, so that nobody's message can be
/// signed with somebody else's secret.
pub fn at_place<T>(id: DeliveryId, delivery: &Delivery, store: StoreId, then: impl FnOnce(&Place<'_>) -> T) -> T {
    then(&Place {
        context: &[&delivery.owner.bits().to_be_bytes(), &delivery.job.bits().to_be_bytes()],
        ..Place::of_row(store, TABLE, &id.bits().to_be_bytes(), "message")
    })
}

/// One delivery, if its row is still there.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn get(rows: &mut impl Rows, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    rows.deliveries()?
        .get(id.bits().to_be_bytes())?
        .map(|row| codec::decode(TABLE, row.value()))
        .transpose()
}

/// Up to `limit` deliveries that are due at `now` and `wanted`, the longest due first.
///
/// It looks at one short row of an index for each that is due, wanted or not.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn due(
    rows: &mut impl Rows,
    now: Timestamp,
    limit: usize,
    mut wanted: impl FnMut(&Due) -> bool,
) -> Result<Vec<Due>, StoreError> {
    let range = key(0, LOWEST)..=key(moment(now), HIGHEST);
    rows.deliveries_due()?
        .range(range)?
        .map(|row| {
            let (key, owner) = row?;
            read_due(key.value(), owner.value())
        })
        .filter(|due| due.as_ref().map_or(true, &mut wanted))
        .take(limit)
        .collect()
}

/// When the first delivery is due of those that are due after `now`.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn next_due(rows: &mut impl Rows, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let range = key(moment(now) + 1, LOWEST)..key(ENDED, LOWEST);
    match rows.deliveries_due()?.range(range)?.next() {
        Some(row) => Ok(Some(split(row?.0.value())?.0)),
        None => Ok(None),
    }
}

/// Up to `limit` deliveries of a job, in no order.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn of_job(rows: &mut impl Rows, job: JobId, limit: usize) -> Result<Vec<(DeliveryId, Delivery)>, StoreError> {
    let ids = ids_of(job);
    let range = ids.start().bits().to_be_bytes()..=ids.end().bits().to_be_bytes();
    rows.deliveries()?
        .range(range)?
        .map(|row| {
            let (id, value) = row?;
            let id = DeliveryId::from_bits(u128::from_be_bytes(id.value()));
            Ok((id, codec::decode::<Delivery>(TABLE, value.value())?))
        })
        // An id may begin as another job's does.
        .filter(|row| row.as_ref().map_or(true, |(_, delivery)| delivery.job == job))
        .take(limit)
        .collect()
}

/// How many deliveries are in each state.
///
/// # Errors
/// [`StoreError`] when the row cannot be read.
pub fn counts(rows: &mut impl Rows) -> Result<Counts, StoreError> {
    Ok(meta::get(rows, meta::DELIVERIES)?.unwrap_or_default())
}

impl Tables<'_> {
    /// Adds a delivery, or notes how it stands by now.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or written.
    pub fn put_delivery(&mut self, id: DeliveryId, delivery: &Delivery) -> Result<(), StoreError> {
        let before = get(self.view(), id)?;
        let value = codec::encode(TABLE, delivery)?;
        self.opened()
            .deliveries()?
            .insert(id.bits().to_be_bytes(), value.as_slice())?;
        self.index_delivery(id, before.as_ref(), Some(delivery))
    }

    /// Forgets up to `limit` deliveries that ended before `moment`, the oldest first. Returns how many it forgot.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or removed.
    pub fn forget_deliveries_before(&mut self, moment: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let range = key(ENDED, LOWEST)..key(self::moment(moment) | ENDED, LOWEST);
        let mut old = Vec::new();
        for row in self.opened().deliveries_due()?.range(range)?.take(limit) {
            old.push(split(row?.0.value())?.1);
        }
        for id in &old {
            let before = get(self.view(), *id)?;
            self.opened().deliveries()?.remove(id.bits().to_be_bytes())?;
            self.index_delivery(*id, before.as_ref(), None)?;
        }
        Ok(old.len())
    }

    /// Changes the index and the counts by what a row was and is.
    fn index_delivery(
        &mut self,
        id: DeliveryId,
        before: Option<&Delivery>,
        after: Option<&Delivery>,
    ) -> Result<(), StoreError> {
        let mut counts = counts(self.view())?;
        if let Some(before) = before {
            self.opened().deliveries_due()?.remove(index_key(id, before.state))?;
            let count = counts.of(before.state);
            *count = count.saturating_sub(1);
        }
        if let Some(after) = after {
            let owner = codec::encode(INDEX, &after.owner)?;
            self.opened()
                .deliveries_due()?
                .insert(index_key(id, after.state), owner.as_slice())?;
            *counts.of(after.state) += 1;
        }
        self.put_meta(meta::DELIVERIES, &counts)
    }
}

fn index_key(id: DeliveryId, state: DeliveryState) -> [u8; 24] {
    match state {
        DeliveryState::Pending { due } => key(moment(due), id),
        DeliveryState::Delivered { at } | DeliveryState::GivenUp { at } => key(moment(at) | ENDED, id),
    }
}

fn key(moment: u64, id: DeliveryId) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (first, rest) = bytes.split_at_mut(8);
    first.copy_from_slice(&moment.to_be_bytes());
    rest.copy_from_slice(&id.bits().to_be_bytes());
    bytes
}

/// The moment of a delivery that is to be made, and its id.
fn split(key: [u8; 24]) -> Result<(Timestamp, DeliveryId), StoreError> {
    let (Some(moment), Some(id)) = (key.first_chunk::<8>(), key.last_chunk::<16>()) else {
        return Err(StoreError::corrupt(INDEX, "a short key"));
    };
    let micros = u64::from_be_bytes(*moment) & !ENDED;
    let at = Timestamp::from_micros(micros.try_into().unwrap_or(i64::MAX));
    Ok((at, DeliveryId::from_bits(u128::from_be_bytes(*id))))
}

fn read_due(key: [u8; 24], owner: &[u8]) -> Result<Due, StoreError> {
    let (at, id) = split(key)?;
    let owner = codec::decode(INDEX, owner)?;
    Ok(Due { at, id, owner })
}

/// Microseconds, which leave the highest bit free.
fn moment(at: Timestamp) -> u64 {
    at.as_micros().max(0).unsigned_abs()
}

/// The bit of the index's moments that sets apart what has ended.
const ENDED: u64 = 1 << 63;

const LOWEST: DeliveryId = DeliveryId::from_bits(0);
const HIGHEST: DeliveryId = DeliveryId::from_bits(u128::MAX);
