//! Models that were registered here.

mod older;

use redb::ReadableTable;

use crate::model::catalogue::Model;
use crate::store::codec;
use crate::store::error::StoreError;
use crate::store::schema::Rows;
use crate::store::tables::Tables;

const TABLE: &str = "models.v1";

/// Every model, by name.
///
/// # Errors
/// [`StoreError`] when a row cannot be read.
pub fn all(rows: &mut impl Rows) -> Result<Vec<Model>, StoreError> {
    rows.models()?.iter()?.map(|row| decode(row?.1.value())).collect()
}

/// A row of any version. One that is written anew is of the present one.
fn decode(bytes: &[u8]) -> Result<Model, StoreError> {
    match bytes.first() {
        Some(&older::VERSION) => codec::decode_as::<older::Row>(TABLE, older::VERSION, bytes).map(Model::from),
        _ => codec::decode_as(TABLE, VERSION, bytes),
    }
}

impl Tables<'_> {
    /// Adds or replaces a model.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be written.
    pub fn put_model(&mut self, model: &Model) -> Result<(), StoreError> {
        let value = codec::encode_as(TABLE, VERSION, model)?;
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

/// The version byte of the rows that are written: prices of cached input, images and seconds came with it.
const VERSION: u8 = 2;
