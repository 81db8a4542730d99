//! `tollgate compact`: the store's file made smaller.

use comfy_table::Cell;
use serde::Serialize;

use super::FileArgs;
use crate::app;
use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::progress;
use crate::cli::table::{Look, fields};
use crate::config::Config;

/// Does it and prints the outcome.
pub(in crate::cli) fn run(args: &FileArgs, config: &Config) -> Result<(), CliError> {
    let spinner = progress::spinner("looking at every page, then moving them together");
    let compacted = app::compact(config)?;
    spinner.finish_and_clear();
    Output::detect(args.json).show(&Sizes {
        before_bytes: compacted.before,
        after_bytes: compacted.after,
    })
}

#[derive(Debug, Serialize)]
struct Sizes {
    before_bytes: u64,
    after_bytes: u64,
}

impl Show for Sizes {
    fn text(&self, look: Look) -> String {
        let rows = vec![
            ("before", Cell::new(indicatif::HumanBytes(self.before_bytes))),
            ("after", Cell::new(indicatif::HumanBytes(self.after_bytes))),
        ];
        fields(rows, look)
    }
}
