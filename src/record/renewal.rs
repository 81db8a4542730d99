//! What a store that was restored from a backup must know before calls come.

use crate::model::record::{Event, Restoration};
use crate::store::error::StoreError;
use crate::store::restored::{self, Restored, Stage};
use crate::store::{Change, Store, Tables};

/// Puts a restoration into the log book, where that was not done yet: the first entry after the backup's head, it ties
/// what follows to what was lost. Returns it while there is more to do about it.
///
/// # Errors
/// [`StoreError`] when the store fails; nothing may then be admitted.
///
/// # Cancel safety
/// Dropped, it may be done all the same.
pub async fn record(store: &Store) -> Result<Option<Restored>, StoreError> {
    let found = store.read_aside(restored::get).await?;
    let Some(restored) = found.filter(|restored| restored.stage < Stage::Complete) else {
        return Ok(None);
    };
    if restored.stage == Stage::Fresh {
        store.change(Record { restored }).await?;
    }
    Ok(Some(restored))
}

/// Notes that nothing more is to be done about a restoration.
///
/// # Errors
/// [`StoreError`] when the store fails.
///
/// # Cancel safety
/// Dropped, it may be done all the same.
pub async fn complete(store: &Store, restored: Restored) -> Result<(), StoreError> {
    store.change(Complete { restored }).await
}

struct Record {
    restored: Restored,
}

impl Change for Record {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let Restored {
            epoch,
            at,
            backup_at,
            head,
            replaced,
            ..
        } = self.restored;
        tables.append(Event::Restored(Box::new(Restoration {
            epoch,
            restored_at: at,
            backup_at,
            through: head.seq,
            digest: *head.digest.as_bytes(),
            replaced: replaced.map(|replaced| (replaced.seq, *replaced.digest.as_bytes())),
        })))?;
        tables.put_restored(&Restored {
            stage: Stage::Recorded,
            ..self.restored
        })
    }
}

struct Complete {
    restored: Restored,
}

impl Change for Complete {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_restored(&Restored {
            stage: Stage::Complete,
            ..self.restored
        })
    }
}
