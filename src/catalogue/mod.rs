//! What is defined at one moment: upstreams, their accounts and the models, from three sources.
//!
//! The environment's definitions are read-only here and never written to disk. The store's are made through the admin
//! interface; their credentials are sealed. Beside them stand the models that an upstream of the environment is known
//! to serve. The [`Curator`] makes one [`model::catalogue::Catalogue`](crate::model::catalogue::Catalogue) of all of
//! them, and a new one after every change, which is in force from the next call on.

mod curator;
mod environment;
mod error;
pub mod key_file;
mod mask;
mod sealed;
mod seeds;
mod sources;
mod standings;

pub use self::curator::{By, Curator, Decision, Imported, NewAccount, NewUpstream, Reloaded};
pub use self::error::CurateError;
pub use self::standings::Standings;

#[cfg(test)]
mod tests;
