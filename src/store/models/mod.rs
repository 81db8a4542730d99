//! Models that were registered here.

use redb::ReadableTable;

use super::codec;
use super::error::StoreError;
use super::schema::Rows;
use super::tables::Tables;
use crate::model::catalogue::Model;

const TABLE: &str = "models.v1";

/// Every model, by name.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<Model>, StoreError> {
    rows.models()?
        .iter()?
        .map(|row| codec::decode(TABLE, row?.1.value()))
        .collect()
}

impl Tables<'_> {
    /// Adds or replaces a model.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_model(&mut self, model: &Model) -> Result<(), StoreError> {
        let value = codec::encode(TABLE, model)?;
        self.opened().models()?.insert(model.name.as_str(), value.as_slice())?;
        Ok(())
    }

    /// Removes a model, if it is there.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be removed.
    pub fn remove_model(&mut self, name: &str) -> Result<(), StoreError> {
        self.opened().models()?.remove(name)?;
        Ok(())
    }
}
