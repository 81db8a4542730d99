//! `tollgate check`: the store looked through as a whole.

use std::collections::BTreeMap;
use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::{FileArgs, spinner};
use crate::app::{self, CheckReport, Step};
use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::table::{Look, fields, state};
use crate::config::Config;
use crate::store::audit::Verdict;
use crate::store::file::Pages;

/// Does it and prints the outcome; the exit code is 1 where something is wrong.
pub(in crate::cli) fn run(args: &FileArgs, config: &Config) -> Result<ExitCode, CliError> {
    let spinner = spinner("pages");
    let progress = |step| match step {
        Step::Pages => {}
        Step::LogBook(done, all) => spinner.set_message(format!("log book: {done} of {all} entries")),
        Step::Seals(opened) => spinner.set_message(format!("{opened} sealed values")),
    };
    let report = app::check(config, &progress)?;
    spinner.finish_and_clear();
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
    client_keys: String,
    accounts: String,
    jobs: String,
    rows: BTreeMap<&'static str, u64>,
}

impl Checked {
    fn of(report: &CheckReport) -> Self {
        let seals = report.jobs;
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
            client_keys: match &report.client_keys {
                Ok(number) => format!("{number} opened"),
                Err(error) => error.clone(),
            },
            accounts: match &report.accounts {
                Ok(()) => "opened".to_owned(),
                Err(error) => error.clone(),
            },
            jobs: match seals.damaged {
                0 => format!("{} sealed values opened", seals.opened),
                damaged => format!("{damaged} sealed values do not open, {} do", seals.opened),
            },
            rows: report.rows.iter().copied().collect(),
        }
    }
}

impl Show for Checked {
    fn text(&self, look: Look) -> String {
        let rows: u64 = self.rows.values().sum();
        let rows = vec![
            ("store", state(if self.sound { "sound" } else { "damaged" })),
            ("pages", Cell::new(self.pages)),
            ("log book", Cell::new(&self.log_book)),
            ("client keys", Cell::new(&self.client_keys)),
            ("accounts", Cell::new(&self.accounts)),
            ("jobs", Cell::new(&self.jobs)),
            ("rows", Cell::new(indicatif::HumanCount(rows))),
        ];
        fields(rows, look)
    }
}
