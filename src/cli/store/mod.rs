//! What is done with the store's file while no server runs.

pub(super) mod check;
pub(super) mod compact;

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

/// How a command of the file prints.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// Print JSON, also on a terminal
    #[arg(long)]
    pub(super) json: bool,
}

/// What shows that something is being done, on standard error; it is hidden where that is no terminal.
fn spinner(text: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(text);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
