//! `audit checkpoint`: a signed statement of where the log book ends, to be kept elsewhere.

use serde::Deserialize;

use super::AUDIT;
use crate::cli::error::CliError;
use crate::cli::output::write;
use crate::cli::target::Target;
use crate::model::day::Day;

/// What is asked of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The statement itself.
    Text,
    /// The key with which its signature is checked.
    PublicKey,
}

/// What of the answer is printed.
#[derive(Deserialize)]
struct CheckpointView {
    text: String,
    public_key: String,
}

/// Prints the checkpoint of the head, or of a day, as it would stand in a file; or the public key.
pub(super) async fn run(day: Option<Day>, wanted: Wanted, target: &Target) -> Result<(), CliError> {
    let path = match day {
        Some(day) => format!("{AUDIT}/checkpoint/{day}"),
        None => format!("{AUDIT}/checkpoint"),
    };
    let found: CheckpointView = target.get(&path).await?;
    match wanted {
        Wanted::Text => write(found.text.as_bytes()),
        Wanted::PublicKey => write(format!("{}\n", found.public_key).as_bytes()),
    }
}
