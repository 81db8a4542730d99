//! Client keys in use: who holds one, what it allows, and how one is issued.
//!
//! The [`Directory`] is the keys in memory; the [`Issuer`] changes them in the store and then there. The
//! [`Authenticator`] turns the head of a request into a [`Presented`] credential, before the body is read, and that into
//! a [`Caller`](crate::model::caller::Caller).

mod authenticator;
mod authority;
mod bearer;
mod directory;
mod entry;
mod error;
mod issuer;
mod replay;
mod signature;
#[cfg(test)]
mod tests;

pub use authenticator::{Authenticator, Parts, Plane, Presented};
pub use authority::{Actor, Authority};
pub use directory::Directory;
pub use error::{AuthError, KeyError};
pub use issuer::{Imported, Issued, Issuer, KeyChange, KeySpec, Rotation};
pub use signature::rules;
