//! What is done with the store's file while no server runs.

pub(super) mod check;
pub(super) mod compact;

use clap::Args;

/// How a command of the file prints.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// Print JSON, also on a terminal
    #[arg(long)]
    pub(super) json: bool,
}
