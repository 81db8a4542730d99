//! Moving over from jimeng-relay: its `DATABASE_URL` keeps working, and its clients keep their keys.

use std::path::{Path, PathBuf};

use super::error::StartError;
use crate::auth::{Actor, Authority, Issuer};
use crate::config::Location;
use crate::crypto::keyring::MasterKey;
use crate::import::{is_sqlite, jimeng};

/// Where the store goes, and where its first keys may come from.
pub(super) struct Place {
    /// The store's file.
    pub(super) store: PathBuf,
    /// A jimeng-relay database whose keys are imported into a new store.
    pub(super) legacy: Option<PathBuf>,
}

/// Where the store of a location goes, without touching anything.
///
/// # Errors
/// [`StartError`] when a file is there that cannot be looked at.
pub fn store_path(location: &Location) -> Result<PathBuf, StartError> {
    place(location).map(|place| place.store)
}

pub(super) fn place(location: &Location) -> Result<Place, StartError> {
    let path = location.path();
    if is_old_database(path)? {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".redb");
        return Ok(Place {
            store: PathBuf::from(beside),
            legacy: Some(path.to_owned()),
        });
    }
    let left_behind = Path::new(OLD_DEFAULT);
    let legacy = matches!(location, Location::Default) && is_old_database(left_behind)?;
    Ok(Place {
        store: path.to_owned(),
        legacy: legacy.then(|| left_behind.to_owned()),
    })
}

fn is_old_database(path: &Path) -> Result<bool, StartError> {
    if !path.is_file() {
        return Ok(false);
    }
    is_sqlite(path).map_err(|source| StartError::Legacy {
        path: path.to_owned(),
        source,
    })
}

/// Imports the keys of an old database into a new store. The old file is only read.
pub(super) async fn import(issuer: &Issuer, legacy: &Path, master: &MasterKey) -> Result<(), StartError> {
    let unreadable = |source| StartError::Import {
        path: legacy.to_owned(),
        source,
    };
    let found = jimeng::from_sqlite(legacy, master).map_err(unreadable)?;
    for refused in &found.refused {
        tracing::warn!(key = %refused, "a key of the old database was not imported");
    }
    let by = Actor {
        name: "first_start".to_owned(),
        request: None,
        authority: Authority::Full,
    };
    let imported = issuer.import(found.keys, &by).await?;
    tracing::info!(
        added = imported.added,
        skipped = imported.skipped,
        from = %legacy.display(),
        "the client keys of the old database were imported"
    );
    Ok(())
}

/// Where jimeng-relay kept its database unless told otherwise.
const OLD_DEFAULT: &str = "./jimeng-relay.db";
