//! The names and the secret of a new key.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::auth::directory::Directory;
use crate::crypto::entropy::{Entropy, EntropyError, random};
use crate::model::id::KeyId;
use crate::model::secret::Secret;

/// The names and the secret of a new key, in jimeng-relay's formats.
pub(super) struct Fresh {
    /// `key_` and 16 hex digits.
    pub(super) id: KeyId,
    /// `ak_` and 16 lower-case base32 characters.
    pub(super) access_key: String,
    /// `sk_` and 32 lower-case base32 characters: 160 bits.
    pub(super) secret: Secret,
}

impl Fresh {
    /// Draws until both names are free. Call it within a turn, so that they stay free.
    ///
    /// # Errors
    /// [`EntropyError`] also from a source that only repeats itself.
    pub(super) fn draw(directory: &Directory, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        for _ in 0..MOST_TRIES {
            let id = KeyId::from_bits(u64::from_be_bytes(random(entropy)?));
            let access_key = base32("ak_", &random::<10>(entropy)?);
            if directory.entry(id).is_none() && directory.by_access_key(&access_key).is_none() {
                let secret = Zeroizing::new(random::<20>(entropy)?);
                return Ok(Self {
                    id,
                    access_key,
                    secret: Secret::new(base32("sk_", secret.as_slice())),
                });
            }
        }
        Err(EntropyError)
    }
}

/// The prefix and the bytes in lower-case base32, in one allocation, so that no copy of a secret stays behind.
fn base32(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(prefix.len() + BASE32_NOPAD.encode_len(bytes.len()));
    text.push_str(prefix);
    BASE32_NOPAD.encode_append(bytes, &mut text);
    text.make_ascii_lowercase();
    text
}

const MOST_TRIES: u32 = 16;
