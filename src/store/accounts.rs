//! Upstream accounts that were added here, and how every account stands.

use std::num::NonZeroU32;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::crypto::seal::{Place, StoreId};
use crate::model::account::{AccountState, Standing};
use crate::model::id::AccountId;
use crate::model::upstream::UpstreamName;

/// The table's name, which is part of what a credential is sealed to.
pub const TABLE: &str = "accounts.v1";

const STANDINGS: &str = "account_standings.v1";

/// One account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// A keyed digest of upstream and credential.
    pub id: AccountId,
    /// Whose pool it is in.
    pub upstream: UpstreamName,
    /// Its share of the traffic.
    pub weight: NonZeroU32,
    /// Accounts are listed in rising order of it.
    pub position: u64,
    /// Its credential, sealed to this row and to the address of its upstream.
    pub sealed: Vec<u8>,
}

/// Where a credential is sealed to: its row, and the one address that it may be sent to.
pub fn at_place<T>(
    id: AccountId,
    upstream: &UpstreamName,
    base_url: &str,
    store: StoreId,
    then: impl FnOnce(&Place<'_>) -> T,
) -> T {
    then(&Place {
        context: &[upstream.as_str().as_bytes(), base_url.as_bytes()],
        ..Place::of_row(store, TABLE, &id.bits().to_be_bytes(), "credential")
    })
}

/// Every account, in the order of their definition.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<AccountRow>, StoreError> {
    let mut accounts: Vec<AccountRow> = rows
        .accounts()?
        .iter()?
        .map(|row| codec::decode(TABLE, row?.1.value()))
        .collect::<Result<_, _>>()?;
    accounts.sort_by_key(|account| account.position);
    Ok(accounts)
}

/// How every account stands of which something was written, by id.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn standings(rows: &mut impl Rows) -> Result<Vec<(AccountId, Standing)>, StoreError> {
    rows.account_standings()?
        .iter()?
        .map(|row| {
            let (id, value) = row?;
            Ok((
                AccountId::from_bits(id.value()),
                codec::decode(STANDINGS, value.value())?,
            ))
        })
        .collect()
}

impl Tables<'_> {
    /// Adds or replaces an account.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_account(&mut self, row: &AccountRow) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, row)?;
        self.opened().accounts()?.insert(row.id.bits(), value.as_slice())?;
        Ok(())
    }

    /// Removes an account and how it stood, if it is there.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be removed.
    pub fn remove_account(&mut self, id: AccountId) -> Result<(), StoreError> {
        self.opened().accounts()?.remove(id.bits())?;
        self.opened().account_standings()?.remove(id.bits())?;
        Ok(())
    }

    /// Notes how an account stands, whoever decided.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_standing(&mut self, id: AccountId, standing: &Standing) -> Result<(), StoreError> {
        let value = codec::encode(STANDINGS, standing)?;
        self.opened().account_standings()?.insert(id.bits(), value.as_slice())?;
        Ok(())
    }

    /// Notes how an account was seen to stand. What a person took out stays out: this was seen before they decided.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be read or written.
    pub fn observe_standing(&mut self, id: AccountId, standing: &Standing) -> Result<(), StoreError> {
        let known: Option<Standing> = self
            .view()
            .account_standings()?
            .get(id.bits())?
            .map(|row| codec::decode(STANDINGS, row.value()))
            .transpose()?;
        if known.is_some_and(|known| known.state == AccountState::OUT) {
            return Ok(());
        }
        self.put_standing(id, standing)
    }
}
