//! What people administer beside keys and upstreams, in the log book.

use super::Recorder;
use crate::model::record::{AdminAction, Event};
use crate::store::error::StoreError;
use crate::store::{Change, Tables};

impl Recorder {
    /// Notes in the log book that somebody administered something. Waits until it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    ///
    /// # Cancel safety
    /// Dropped, the note may be made all the same.
    pub async fn note(&self, action: AdminAction) -> Result<(), StoreError> {
        self.store.change(Note(action)).await
    }
}

struct Note(AdminAction);

impl Change for Note {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.append(Event::Admin(self.0.clone())).map(drop)
    }
}
