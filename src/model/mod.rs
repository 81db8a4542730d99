//! Pure values: no input, no output, nothing asynchronous.

pub mod clock;
pub mod id;
pub mod secret;
