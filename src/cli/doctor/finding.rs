//! What a check found, and how that is printed.

use comfy_table::Cell;
use serde::Serialize;

use crate::cli::output::Show;
use crate::cli::table::{Column, Look, state, table, text};

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Check {
    /// The environment and `.env`.
    Configuration,
    /// Who may read and write which file.
    Permissions,
    /// Room on the disk.
    Disk,
    /// Who holds the store.
    Lock,
    /// The file and its schema.
    Store,
    /// Whether the master key opens it.
    MasterKey,
    /// This machine's clock.
    Clock,
    /// Whether upstreams can be reached.
    Upstream,
    /// Whether the server that runs would serve calls.
    Server,
}

impl Check {
    const fn label(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Permissions => "permissions",
            Self::Disk => "disk",
            Self::Lock => "lock",
            Self::Store => "store",
            Self::MasterKey => "master_key",
            Self::Clock => "clock",
            Self::Upstream => "upstream",
            Self::Server => "server",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// All is well.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// Calls fail, or will.
    Problem,
}

impl Status {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) status: Status,
    /// A sentence.
    pub(super) message: String,
    /// What to do about it; `None` where all is well.
    pub(super) fix: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(check: Check, message: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            message: message.into(),
            fix: None,
        }
    }

    /// Somebody should look at it.
    pub(super) fn warning(check: Check, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Warning,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }

    /// Calls fail, or will.
    pub(super) fn problem(check: Check, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Problem,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }

    /// What is wrong in one of our own sentences, which name their fix behind the first semicolon.
    pub(super) fn of_sentence(check: Check, sentence: &str) -> Self {
        let (message, fix) = sentence
            .split_once("; ")
            .unwrap_or((sentence, "look at the log, which tells more"));
        Self::problem(check, message, fix)
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether nothing is a problem.
    pub(super) healthy: bool,
    pub(super) findings: Vec<Finding>,
}

impl From<Vec<Finding>> for Report {
    fn from(findings: Vec<Finding>) -> Self {
        Self {
            healthy: findings.iter().all(|finding| finding.status != Status::Problem),
            findings,
        }
    }
}

impl Show for Report {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("CHECK"),
            Column::Word("STATUS"),
            Column::Text("FINDING"),
            Column::Text("FIX"),
        ];
        let row = |finding: &Finding| {
            vec![
                Cell::new(finding.check.label()),
                state(finding.status.label()),
                Cell::new(&finding.message),
                text(finding.fix.as_deref()),
            ]
        };
        table(
            &columns,
            self.findings.iter().map(row).collect(),
            look,
            "nothing was checked",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::compact;
    use crate::cli::table::Colour;

    fn report() -> Report {
        Report::from(vec![
            Finding::ok(Check::Disk, "1 GiB is free"),
            Finding::of_sentence(Check::MasterKey, "it does not open the store; set the right one"),
        ])
    }

    #[test]
    fn on_a_terminal_a_report_is_a_table() {
        let look = Look {
            colour: Colour::Plain,
            width: None,
        };
        assert_eq!(
            report().text(look),
            "CHECK       STATUS   FINDING                     FIX
disk        ok       1 GiB is free               -
master_key  problem  it does not open the store  set the right one
"
        );
    }

    #[test]
    fn in_json_a_program_sees_by_one_word_whether_all_is_well() {
        assert_eq!(
            compact(&report()),
            r#"{"healthy":false,"findings":[{"check":"disk","status":"ok","message":"1 GiB is free","fix":null},"#
                .to_owned()
                + r#"{"check":"master_key","status":"problem","message":"it does not open the store","fix":"set the right one"}]}"#
        );
    }

    #[test]
    fn warnings_are_no_reason_to_fail() {
        let warned = Report::from(vec![Finding::warning(Check::Disk, "little room", "make some")]);
        assert!(warned.healthy);
    }
}
