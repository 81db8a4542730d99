//! `audit verify`: the report on the chain of entries.

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;

use comfy_table::Cell;
use serde::{Deserialize, Serialize};

use super::AUDIT;
use crate::cli::error::CliError;
use crate::cli::output::{Output, Show};
use crate::cli::page::with_query;
use crate::cli::table::{Look, fields, moment, state};
use crate::cli::target::Target;
use crate::crypto::digest::Digest;

/// Prints the report; the exit code is 1 where the chain is broken.
pub(super) async fn run(expect: Option<Head>, target: &Target, output: Output) -> Result<ExitCode, CliError> {
    let expect = expect.map(|head| head.to_string());
    let path = with_query(&format!("{AUDIT}/verify"), &[("expect", expect.as_deref())]);
    let report: Report = target.get(&path).await?;
    output.show(&report)?;
    Ok(if report.intact {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A head of the log book as the log states it: the number of an entry and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    seq: u64,
    digest: Digest,
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (seq, digest) = text.split_once(':').ok_or(HEAD_FORM)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| HEAD_FORM)?,
            digest: digest.parse().map_err(|_| HEAD_FORM)?,
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.digest)
    }
}

/// What the verification found.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    intact: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<HeadView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broken: Option<Break>,
    proves: String,
    does_not_prove: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeadView {
    seq: u64,
    digest: String,
    at: String,
}

/// Where the chain breaks first.
#[derive(Debug, Serialize, Deserialize)]
struct Break {
    at: u64,
    why: String,
}

impl Show for Report {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![("log book", state(if self.intact { "intact" } else { "broken" }))];
        if let Some(broken) = &self.broken {
            rows.push(("broken at", Cell::new(format!("entry {}: {}", broken.at, broken.why))));
        }
        if let Some(head) = &self.head {
            if let Some(first) = self.first {
                rows.push(("entries", Cell::new(format!("{first} to {}", head.seq))));
            }
            rows.push(("newest", moment(Some(&head.at))));
            rows.push(("head", Cell::new(format!("{}:{}", head.seq, head.digest))));
        }
        rows.push(("proves", Cell::new(&self.proves)));
        rows.push(("does not prove", Cell::new(&self.does_not_prove)));
        fields(rows, look)
    }
}

const HEAD_FORM: &str = "write it as the log states it: the number of an entry, a colon, 64 hexadecimal digits";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::table::Colour;

    const PLAIN: Look = Look {
        colour: Colour::Plain,
        width: None,
    };

    #[test]
    fn an_intact_chain_is_reported_with_the_head_to_note_elsewhere() {
        let report: Report = serde_json::from_value(json!({
            "intact": true, "first": 3, "head": {"seq": 9, "digest": "ab", "at": "2026-02-24T10:00:00.1Z"},
            "broken": null, "proves": "order.", "does_not_prove": "age."
        }))
        .unwrap();
        assert_eq!(
            report.text(PLAIN),
            "log book        intact
entries         3 to 9
newest          2026-02-24T10:00:00Z
head            9:ab
proves          order.
does not prove  age.
"
        );
    }

    #[test]
    fn a_broken_chain_is_reported_with_the_place_and_the_reason() {
        let report: Report = serde_json::from_value(json!({
            "intact": false, "first": null, "head": null,
            "broken": {"at": 5, "why": "its digest is another"}, "proves": "order.", "does_not_prove": "age."
        }))
        .unwrap();
        assert_eq!(
            report.text(PLAIN),
            "log book        broken
broken at       entry 5: its digest is another
proves          order.
does not prove  age.
"
        );
    }
}
