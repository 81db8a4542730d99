//! What tests stand on: a store in memory, under master keys that everybody knows.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::error::OpenError;
use super::{Missing, OpenOptions, Opened, Store};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::crypto::seal::StoreId;
use crate::model::clock::Clock;
use crate::model::secret::Secret;

/// A file in memory that can be looked at, and outlives the store that was opened on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct File(Arc<InMemoryBackend>);

impl File {
    /// Whether a text stands anywhere in it.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let mut bytes = vec![0; usize::try_from(self.len().unwrap()).unwrap()];
        self.read(0, &mut bytes).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// The master key that is one byte over and over.
pub(crate) fn master(byte: u8) -> MasterKey {
    let text = data_encoding::BASE64.encode(&[byte; 32]);
    MasterKey::from_base64(&Secret::new(text)).unwrap()
}

/// Opens the store on a disk under these master keys, the present one first, or makes it.
pub(crate) fn open_under(
    disk: &(impl StorageBackend + Clone),
    clock: Arc<dyn Clock>,
    masters: &[u8],
) -> Result<Opened, OpenError> {
    let keys = |_: StoreId| Ok(masters.iter().map(|byte| master(*byte)).collect());
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: 1 << 20,
        missing: Missing::Create,
        progress: |_| {},
        clock,
        entropy: &OsEntropy,
    };
    Store::open_backend(disk.clone(), &options)
}

/// The store on a disk, under the one key that most tests use.
pub(crate) fn open(disk: &(impl StorageBackend + Clone), clock: Arc<dyn Clock>) -> Store {
    open_under(disk, clock, &[1]).unwrap().store
}
