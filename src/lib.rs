//! Tollgate: a relay for paid AI APIs in one binary, over one redb file.
//!
//! Clients hold keys that Tollgate issued; Tollgate holds the real upstream credentials, sealed. Every call passes one
//! gate: it is authenticated ([`auth`]), admitted ([`admission`]), written down durably ([`record`], [`store`]), sent
//! ([`dispatch`], [`upstream`]), and settled. [`relay`] is that path at a glance; [`api`] is its HTTP.
//!
//! Modules stand on floors and import only from below: [`model`] and [`telemetry`] lowest, then [`config`] and
//! [`crypto`], [`store`], [`upstream`] and [`object`], [`auth`], [`admission`], [`record`], [`import`], [`catalogue`] and [`backup`], [`dispatch`],
//! [`relay`], [`api`], [`server`], [`app`] and [`sandbox`], and [`cli`] on top. `ARCHITECTURE.md` is the map.

pub mod admission;
pub mod api;
pub mod app;
pub mod auth;
pub mod backup;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod dispatch;
pub mod export;
pub mod import;
pub mod jobs;
pub mod model;
pub mod object;
pub mod record;
pub mod rekey;
pub mod relay;
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
