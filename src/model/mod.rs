//! Pure values: no input, no output, nothing asynchronous.

pub mod clock;
pub mod control;
pub mod id;
pub mod query;
pub mod secret;
