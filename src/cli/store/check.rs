//! `tollgate check`: the store looked through as a whole.

use std::collections::BTreeMap;
use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::FileArgs;
use crate::app::{self, CheckReport, Step};
use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::progress;
use crate::cli::table::{Look, fields, state};
use crate::config::Config;
use crate::store::audit::Verdict;
use crate::store::file::Pages;

/// Does it and prints the outcome; the exit code is 1 where something is wrong.
pub(in crate::cli) fn run(args: &FileArgs, config: &Config) -> Result<ExitCode, CliError> {
    // How many pages there are, only redb knows.
    let pages = progress::spinner("every page of the file");
    let rows = progress::rows(0);
    let told = |step| {
        let (done, all) = match step {
            Step::Pages => return,
            Step::LogBook(done, all) | Step::Seals(done, all) => (done, all),
        };
        pages.finish_and_clear();
        rows.set_length(all);
        rows.set_position(done);
    };
    let report = app::check(config, &told)?;
    rows.finish_and_clear();
    Output::detect(args.json).show(&Checked::of(&report))?;
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a check found, as it is printed.
#[derive(Debug, Serialize)]
struct Checked {
    sound: bool,
    pages: &'static str,
    log_book: String,
    /// How many sealed values opened.
    opened: u64,
    /// How many did not.
    unreadable: u64,
    /// The first of those that did not.
    damaged: Vec<DamagedValue>,
    catalogue: String,
    rows: BTreeMap<&'static str, u64>,
}

/// A sealed value that does not open.
#[derive(Debug, Serialize)]
struct DamagedValue {
    what: String,
    row: String,
}

impl Checked {
    fn of(report: &CheckReport) -> Self {
        let seals = &report.seals;
        let damaged = seals.named.iter().map(|damaged| DamagedValue {
            what: damaged.table.to_string(),
            row: damaged.to_string(),
        });
        Self {
            sound: report.is_sound(),
            pages: match report.pages {
                Pages::Sound => "sound",
                Pages::Repaired => "repaired after a crash, sound now",
            },
            log_book: match &report.log_book {
                Verdict::Intact { first, head } => format!("intact, entries {first} to {}", head.seq),
                Verdict::Broken { at, why } => format!("broken at entry {at}: {why}"),
            },
            opened: seals.opened,
            unreadable: seals.unreadable,
            damaged: damaged.collect(),
            catalogue: match &report.catalogue {
                Ok(()) => "taken up".to_owned(),
                Err(error) => error.clone(),
            },
            rows: report.rows.iter().copied().collect(),
        }
    }
}

impl Show for Checked {
    fn text(&self, look: Look) -> String {
        let rows: u64 = self.rows.values().sum();
        let seals = match self.unreadable {
            0 => format!("{} opened", indicatif::HumanCount(self.opened)),
            unreadable => format!(
                "{} do not open, {} do",
                indicatif::HumanCount(unreadable),
                indicatif::HumanCount(self.opened)
            ),
        };
        let mut all = vec![
            ("store", state(if self.sound { "sound" } else { "damaged" })),
            ("pages", Cell::new(self.pages)),
            ("log book", Cell::new(&self.log_book)),
            ("seals", Cell::new(seals)),
        ];
        let damaged = self.damaged.iter();
        all.extend(damaged.map(|value| ("does not open", Cell::new(format!("{}: {}", value.what, value.row)))));
        all.push(("catalogue", Cell::new(&self.catalogue)));
        all.push(("rows", Cell::new(indicatif::HumanCount(rows))));
        fields(all, look)
    }
}
