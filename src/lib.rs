//! Tollgate: a relay for paid AI APIs in one binary, over one redb file.

pub mod admission;
pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod dispatch;
pub mod import;
pub mod model;
pub mod record;
pub mod relay;
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
