//! Durable jobs over HTTP.

pub mod admin;
pub mod client;
pub mod events;
pub mod logs;
mod read;
pub mod schema;
mod search;
pub mod view;

/// What owners ask, in one: a tuple of poem-openapi's has no more than sixteen.
pub type Group = (client::JobsApi, events::JobEventsApi, logs::JobLogsApi);

/// The one that there is.
pub const GROUP: Group = (client::JobsApi, events::JobEventsApi, logs::JobLogsApi);
