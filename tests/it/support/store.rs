//! A store on a disk in memory.

use std::sync::Arc;

use tollgate::crypto::entropy::OsEntropy;
use tollgate::crypto::keyring::MasterKey;
use tollgate::crypto::seal::StoreId;
use tollgate::model::secret::Secret;
use tollgate::store::error::OpenError;
use tollgate::store::{Missing, OpenOptions, Opened, Store};

use super::{Disk, ManualClock};

/// The key that every test store is sealed under.
pub(crate) const MASTER: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The store on a disk that no process has open.
pub(crate) fn open_disk(disk: &Disk) -> Store {
    open(disk, Arc::default()).unwrap().store
}

/// Opens a store on a disk, under the test's master key.
pub(super) fn open(disk: &Disk, clock: Arc<ManualClock>) -> Result<Opened, OpenError> {
    let keys = |_: StoreId| Ok(vec![MasterKey::from_base64(&Secret::new(MASTER.to_owned())).unwrap()]);
    Store::open_backend(
        disk.clone(),
        &OpenOptions {
            master_keys: &keys,
            cache_bytes: 8 << 20,
            missing: Missing::Create,
            progress: |_| {},
            clock,
            entropy: &OsEntropy,
        },
    )
}
