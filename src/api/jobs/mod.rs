//! Durable jobs over HTTP.

pub mod events;
pub mod logs;
