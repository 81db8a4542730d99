//! `tollgate restore`: a backup becomes the store.

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use crate::app;
use crate::backup::restore::{Replace, RestoreReport};
use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::progress;
use crate::cli::table::{Look, fields, moment};
use crate::config::Config;
use crate::model::object_url::ObjectUrl;

/// Make a backup the store of this machine, once all of it was verified; the server must not run
#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreArgs {
    /// The backup: a file, or `s3://bucket/prefix/name`
    #[arg(value_name = "SOURCE")]
    source: ObjectUrl,
    /// Replace the store that is there; it is kept beside, under a name that ends in .before-restore- and the time
    #[arg(long)]
    force: bool,
    /// Print JSON, also on a terminal
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Does it and prints the outcome.
pub(in crate::cli) async fn run(args: RestoreArgs, config: Config) -> Result<(), CliError> {
    let replace = if args.force { Replace::Keep } else { Replace::Never };
    let bar = progress::rows(0);
    let told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let report = app::restore(&config, &args.source, replace, &told).await?;
    bar.finish();
    let store = app::store_path(&config.store.location)?;
    Output::detect(args.json).show(&Restored::of(&report, &store))
}

/// What was restored, as it is printed.
#[derive(Debug, Serialize)]
struct Restored {
    store: String,
    backup_at: String,
    rows: u64,
    epoch: u64,
    head: String,
    replaced: Option<String>,
    kept: Option<String>,
}

impl Restored {
    fn of(report: &RestoreReport, store: &std::path::Path) -> Self {
        let link = |link: &crate::store::chain::Link| format!("{}:{}", link.seq, link.digest);
        Self {
            store: store.display().to_string(),
            backup_at: report.restored.backup_at.to_string(),
            rows: report.header.facts.rows,
            epoch: report.restored.epoch,
            head: link(&report.restored.head),
            replaced: report.restored.replaced.as_ref().map(link),
            kept: report.kept.as_ref().map(|kept| kept.display().to_string()),
        }
    }
}

impl Show for Restored {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("store", Cell::new(&self.store)),
            ("as of", moment(Some(&self.backup_at))),
            ("rows", Cell::new(indicatif::HumanCount(self.rows))),
            ("head", Cell::new(&self.head)),
        ];
        if let Some(replaced) = &self.replaced {
            rows.push(("head before", Cell::new(replaced)));
        }
        if let Some(kept) = &self.kept {
            rows.push(("kept", Cell::new(kept)));
        }
        rows.push(("mind", Cell::new(MIND)));
        fields(rows, look)
    }
}

const MIND: &str = "jobs that had not ended are held until they are released; \
    calls whose idempotency keys were first used after the backup may be sent again";
