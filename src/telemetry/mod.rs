//! What the operator sees: names and units, no policy.

pub mod fields;
pub mod init;
pub mod metrics;
