//! What webhooks are signed with.

use std::fmt;

use data_encoding::BASE64;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::id::OwnerId;
use crate::model::secret::Secret;

/// `INTERNAL_CALLBACK_SECRET`, from which every owner's secret is derived. Nothing is signed with it.
#[derive(Clone, Debug)]
pub struct RootSecret(Secret);

/// One owner's secret: 32 bytes, which receivers hold too. Wiped when dropped, never printed.
pub struct OwnerSecret(Zeroizing<[u8; 32]>);

impl RootSecret {
    /// From the configuration, which has checked its length.
    #[must_use]
    pub const fn new(root: Secret) -> Self {
        Self(root)
    }

    /// An owner's secret: HKDF-SHA256 of the root, for its version and the owner. It outlives a rotation of keys, as
    /// the owner does.
    ///
    /// # Panics
    /// Never: it asks for far less than HKDF gives.
    #[must_use]
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    pub fn of(&self, owner: OwnerId) -> OwnerSecret {
        let mut derived = Zeroizing::new([0; 32]);
        let purpose = [[VERSION].as_slice(), &owner.bits().to_be_bytes()];
        Hkdf::<Sha256>::new(Some(b"tollgate webhook secret"), self.0.expose().as_bytes())
            .expand_multi_info(&purpose, derived.as_mut_slice())
            .expect("32 of 8160 bytes");
        OwnerSecret(derived)
    }
}

impl OwnerSecret {
    /// As receivers are given it: `whsec_` and base64, the form of Standard Webhooks.
    #[must_use]
    pub fn shown(&self) -> Secret {
        Secret::new(format!("whsec_{}", BASE64.encode(self.0.as_slice())))
    }

    /// The key itself, for signing.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for OwnerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerSecret(…)")
    }
}

/// The version of the secrets. Another one would give every owner a new secret.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> RootSecret {
        RootSecret::new(Secret::new(text.to_owned()))
    }

    fn shown(root: &RootSecret, owner: u64) -> String {
        root.of(OwnerId::from_bits(owner)).shown().expose().to_owned()
    }

    #[test]
    fn an_owners_secret_is_always_the_same_and_nobody_elses() {
        let root_secret = root("canary-root-secret-of-32-characters");
        assert_eq!(shown(&root_secret, 1), shown(&root_secret, 1));
        assert_ne!(shown(&root_secret, 1), shown(&root_secret, 2));
        assert_ne!(
            shown(&root_secret, 1),
            shown(&root("another-root-secret-of-32-characters"), 1)
        );
        let secret = shown(&root_secret, 1);
        let bytes = BASE64
            .decode(secret.strip_prefix("whsec_").unwrap().as_bytes())
            .unwrap();
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn a_later_version_of_tollgate_derives_the_same_secret() {
        assert_eq!(
            shown(&root("canary-root-secret-of-32-characters"), 0xab),
            "whsec_6oDi7KO/5c14NR8DuFidqM/9caSja45RYEijIQscotI="
        );
    }

    #[test]
    fn neither_can_be_printed() {
        let root = root("canary-root-secret-of-32-characters");
        let printed = format!("{root:?} {:?}", root.of(OwnerId::from_bits(1)));
        assert_eq!(printed, "RootSecret(Secret(…)) OwnerSecret(…)");
    }
}
