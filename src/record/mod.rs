//! x
pub mod claim;
pub mod error;
pub mod intent;
pub mod observation;
pub mod recovery;
pub mod refusals;
pub mod settlement;
