//! Webhooks: a client's server is told that its job has ended, signed as Standard Webhooks asks.
//!
//! A delivery is a row that is written with the commit it tells of ([`Outbox::prepare`]), and is tried until a receiver
//! takes it or eight attempts are used up ([`Outbox::run`]). It may come twice, after a crash for example: the id in its
//! `webhook-id` stays the same. Nothing is sent but to addresses that the [`egress`] guard has judged.

mod courier;
pub mod egress;
mod outbox;
mod secret;
mod sender;
mod sign;

#[cfg(test)]
mod tests;

pub use outbox::{NotAccepted, NotPrepared, Outbox, Surroundings};
pub use secret::{OwnerSecret, RootSecret};
