//! A store made from a backup, while no server runs.

use super::error::StartError;
use super::{Outside, master_keys, store_path};
use crate::backup::BackupError;
use crate::backup::restore::{Replace, Restoration, RestoreReport};
use crate::config::Config;
use crate::crypto::seal::StoreId;
use crate::model::object_url::ObjectUrl;
use crate::object::{ObjectError, ObjectStorage};

/// Makes a backup the store of `config`. The store that is there is untouched until the backup was verified as a whole.
/// `progress` is told how many rows were restored, and of how many.
///
/// # Errors
/// [`StartError::Backup`] with what is wrong with the backup; everything is then as it was.
pub async fn restore(
    config: &Config,
    source: &ObjectUrl,
    replace: Replace,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<RestoreReport, StartError> {
    let path = store_path(&config.store.location)?;
    if let ObjectUrl::Folder(folder) = source
        && folder.is_dir()
    {
        return Err(BackupError::Folder { path: folder.clone() }.into());
    }
    let outside = Outside::real()?;
    let missing = || ObjectError::Missing {
        place: source.to_string(),
    };
    let (place, name) = source.split_name().ok_or_else(missing)?;
    let place = ObjectStorage::find(&place, &config.aws)?;
    let pieces = place.read(&name).await?;
    let keys = |id: StoreId| master_keys(config, id);
    let restoration = Restoration {
        path: &path,
        replace,
        master_keys: &keys,
        cache_bytes: config.store.cache_bytes,
        clock: outside.clock,
        entropy: outside.entropy.as_ref(),
        progress,
    };
    Ok(restoration.run(pieces).await?)
}
