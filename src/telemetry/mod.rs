//! What the operator sees: names and units, no policy.

pub mod fields;
pub mod init;
pub mod log_file;
pub mod metrics;
