//! `audit verify --export`: what a third party checks with the exported files and the public key alone.

use std::path::Path;
use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::progress;
use crate::cli::table::{Look, fields, state};
use crate::crypto::signing::PublicKey;
use crate::export::verify;

/// What checking an exported folder found.
#[derive(Debug, Serialize)]
struct Report {
    intact: bool,
    days: u64,
    from: Option<String>,
    to: Option<String>,
    first: Option<u64>,
    last: Option<u64>,
    findings: Vec<String>,
    /// Nothing where something is wrong.
    proves: Option<&'static str>,
    does_not_prove: &'static str,
}

/// Prints the report; the exit code is 1 where anything is wrong. It opens no store and reads no configuration.
pub(in crate::cli) fn run(folder: &Path, key: &PublicKey, output: Output) -> Result<ExitCode, CliError> {
    let bar = progress::spinner("every day");
    let found = verify::folder(folder, key, |file| bar.set_message(file.to_string()));
    bar.finish_and_clear();
    let found = found.map_err(|error| CliError::File {
        path: error.path,
        source: error.source,
    })?;
    let intact = found.findings.is_empty();
    let report = Report {
        intact,
        days: found.days,
        from: found.first.map(|(day, _)| day.to_string()),
        to: found.last.map(|(day, _)| day.to_string()),
        first: found.first.map(|(_, seq)| seq),
        last: found.last.map(|(_, seq)| seq),
        findings: found.findings,
        proves: intact.then_some(PROVES),
        does_not_prove: DOES_NOT_PROVE,
    };
    output.show(&report)?;
    Ok(if report.intact {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Show for Report {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![("export", state(if self.intact { "intact" } else { "broken" }))];
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            rows.push(("days", Cell::new(format!("{} from {from} to {to}", self.days))));
        }
        if let (Some(first), Some(last)) = (self.first, self.last) {
            rows.push(("entries", Cell::new(format!("{first} to {last}"))));
        }
        rows.extend(self.findings.iter().map(|finding| ("found", Cell::new(finding))));
        rows.extend(self.proves.map(|proves| ("proves", Cell::new(proves))));
        rows.push(("does not prove", Cell::new(self.does_not_prove)));
        fields(rows, look)
    }
}

const PROVES: &str = "These rows are those that the holder of the private key signed, in their order, with no day between \
    the first and the last left out.";

const DOES_NOT_PROVE: &str = "That there are no later days, that nothing is missing before the first, that the times are \
    true, or that whoever holds the master key did not write another history and sign that.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::Colour;

    #[test]
    fn what_was_found_is_told_one_sentence_a_line() {
        let report = Report {
            intact: false,
            days: 2,
            from: Some("2026-02-20".to_owned()),
            to: Some("2026-02-22".to_owned()),
            first: Some(1),
            last: Some(30),
            findings: vec!["one is wrong".to_owned(), "so is another".to_owned()],
            proves: None,
            does_not_prove: "age.",
        };
        let plain = Look {
            colour: Colour::Plain,
            width: None,
        };
        assert_eq!(
            report.text(plain),
            "export          broken
days            2 from 2026-02-20 to 2026-02-22
entries         1 to 30
found           one is wrong
found           so is another
does not prove  age.
"
        );
    }
}
