//! Sealing, digests and signatures.

pub mod entropy;
