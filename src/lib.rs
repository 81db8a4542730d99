//! Tollgate: a relay for paid AI APIs in one binary, over one redb file.

pub mod auth;
pub mod config;
pub mod crypto;
pub mod import;
pub mod model;
pub mod record;
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
