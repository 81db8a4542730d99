//! Upstreams that were added here, rather than in the environment.

use std::time::Duration;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::model::operation::Protocol;
use crate::model::upstream::{StreamUsage, UpstreamName};

const TABLE: &str = "upstreams.v1";

/// One upstream as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRow {
    /// What it is called.
    pub name: UpstreamName,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub base_url: String,
    /// The longest wait for the head of a reply, and between two frames of a stream.
    pub timeout: Duration,
    /// Most attempts of one call that count.
    pub max_attempts: u32,
    /// Whether the usage of every stream is asked for.
    pub stream_usage: StreamUsage,
}

/// Every upstream, by name. They are few.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<UpstreamRow>, StoreError> {
    rows.upstreams()?
        .iter()?
        .map(|row| codec::decode(TABLE, row?.1.value()))
        .collect()
}

impl Tables<'_> {
    /// Adds or replaces an upstream.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_upstream(&mut self, row: &UpstreamRow) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, row)?;
        self.opened().upstreams()?.insert(row.name.as_str(), value.as_slice())?;
        Ok(())
    }

    /// Removes an upstream, if it is there.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be removed.
    pub fn remove_upstream(&mut self, name: &UpstreamName) -> Result<(), StoreError> {
        self.opened().upstreams()?.remove(name.as_str())?;
        Ok(())
    }
}
