//! Pure values: no input, no output, nothing asynchronous.

pub mod account;
pub mod address;
pub mod call;
pub mod caller;
pub mod catalogue;
pub mod clock;
pub mod control;
pub mod http_url;
pub mod id;
pub mod job;
pub mod key;
pub mod lane;
pub mod legacy;
pub mod media;
pub mod operation;
pub mod origin;
pub mod outcome;
pub mod query;
pub mod record;
pub mod reply;
pub mod secret;
pub mod task;
pub mod upstream;
pub mod usage;
pub mod vision;
pub mod webhook;
