//! Sealing, digests and signatures.
//!
//! [`keyring::MasterKey`] comes from the environment and wraps the [`keyring::Keyring`], the store's random data keys.
//! The keyring's [`seal::SealKey`] hides secrets at rest; its [`digest::DigestKey`]s name things without showing them.
//! [`sigv4`] is the clients' and Volcengine's signature scheme; [`legacy`] reads what jimeng-relay stored.

pub mod backup;
pub mod digest;
pub mod entropy;
pub mod keyring;
pub mod legacy;
pub mod seal;
pub mod signing;
pub mod sigv4;
