//! Durable jobs over HTTP.

pub mod client;
pub mod events;
pub mod logs;
mod read;
pub mod schema;
pub mod view;
