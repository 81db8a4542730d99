//! `tollgate audit`: the log book of paid calls.

mod export;
mod tail;
mod verify;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use http::Method;
use serde::Serialize;

use self::verify::Head;
use self::view::{EntryView, Resolved};
use super::error::CliError;
use super::output::Output;
use super::page::Page;
use super::reach::Reach;
use super::target::Target;

/// Read, prove and settle the record of paid calls
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: AuditAction,
}

/// What is done with the log book.
#[derive(Debug, Subcommand)]
pub(super) enum AuditAction {
    /// Print the last entries and then new ones as they come, until Ctrl-C
    Tail(Tail),
    /// List entries
    List(List),
    /// Prove that no entry was changed, dropped or reordered; exit code 1 where one was
    Verify(Verify),
    /// Write every entry as one line of JSON
    Export(Export),
    /// Say what became of a call whose outcome is unknown
    Resolve(Resolve),
}

/// `audit tail`
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// How many entries to begin with
    #[arg(
        long,
        short = 'n',
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    lines: u16,
}

/// `audit list`
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only events of this kind, such as intent, settlement, task, admin, refusals
    #[arg(long)]
    event: Option<String>,
    /// Which come first
    #[arg(long, value_enum, default_value_t = Order::Newest)]
    first: Order,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where an earlier list ended (its `next_cursor`)
    #[arg(long)]
    cursor: Option<String>,
}

/// Which entries come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// The newest
    Newest,
    /// The oldest
    Oldest,
}

/// `audit verify`
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A head that was noted elsewhere: also prove that its entry is still there, as it was
    #[arg(long, value_name = "SEQ:DIGEST")]
    expect: Option<Head>,
}

/// `audit export`
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to make; without it, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `audit resolve`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("outcome").required(true)))]
pub(super) struct Resolve {
    /// The number of the call's intent in the log book
    id: u64,
    /// The upstream never had it
    #[arg(long, group = "outcome")]
    not_sent: bool,
    /// The upstream took it, as this task
    #[arg(long, value_name = "ID", group = "outcome")]
    task_id: Option<String>,
}

/// Does it and prints the outcome; the exit code is 1 where the log book does not verify.
pub(super) async fn run(action: AuditAction, target: &Target, output: Output) -> Result<ExitCode, CliError> {
    match action {
        AuditAction::Tail(Tail { lines }) => tail::run(lines, target, output).await?,
        AuditAction::List(list) => output.show(&list.page(target).await?)?,
        AuditAction::Verify(Verify { expect }) => return verify::run(expect, target, output).await,
        AuditAction::Export(Export { out }) => export::run(out.as_deref(), target).await?,
        AuditAction::Resolve(resolve) => {
            let path = format!("{AUDIT}/{}/resolve", resolve.id);
            let resolved: Resolved = target.put(Method::POST, &path, &Verdict::from(resolve)).await?;
            output.show(&resolved)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl List {
    async fn page(&self, target: &Target) -> Result<Page<EntryView>, CliError> {
        let limit = self.limit.to_string();
        let filters = [
            ("limit", Some(limit.as_str())),
            ("cursor", self.cursor.as_deref()),
            ("event", self.event.as_deref()),
            ("order", Some(self.first.label())),
        ];
        Page::get(target, AUDIT, &filters).await
    }
}

impl Order {
    /// Its name in the admin interface.
    const fn label(self) -> &'static str {
        match self {
            Self::Newest => "desc",
            Self::Oldest => "asc",
        }
    }
}

/// What became of a call, as the admin interface wants it.
#[derive(Serialize)]
#[serde(untagged)]
enum Verdict {
    NotSent { outcome: &'static str },
    Task { task_id: String },
}

impl From<Resolve> for Verdict {
    fn from(resolve: Resolve) -> Self {
        match resolve.task_id {
            Some(task_id) => Self::Task { task_id },
            None => Self::NotSent { outcome: "not_sent" },
        }
    }
}

const AUDIT: &str = "/admin/audit";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::{Cli, Command};
    use crate::cli::output::compact;

    fn parse(line: &str) -> Result<AuditAction, clap::Error> {
        let line = ["tollgate", "audit"]
            .into_iter()
            .chain(line.split(' '))
            .map(str::to_owned);
        match Cli::parse_line(line)?.command {
            Some(Command::Audit(args)) => Ok(args.action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_is_resolved_as_not_sent_or_as_a_task() {
        for (line, body) in [
            ("resolve 7 --not-sent", r#"{"outcome":"not_sent"}"#),
            ("resolve 7 --task-id 42", r#"{"task_id":"42"}"#),
        ] {
            let AuditAction::Resolve(resolve) = parse(line).unwrap() else {
                panic!()
            };
            assert_eq!(resolve.id, 7);
            assert_eq!(compact(&Verdict::from(resolve)), body);
        }
    }

    #[test]
    fn a_resolution_must_be_one_of_the_two() {
        for line in ["resolve 7", "resolve 7 --not-sent --task-id 42", "resolve x --not-sent"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_noted_head_is_a_number_and_a_digest() {
        let digest = "ab".repeat(32);
        assert!(parse(&format!("verify --expect 7:{digest}")).is_ok());
        for head in ["7", "7:ab", &digest, &format!("x:{digest}")] {
            assert!(parse(&format!("verify --expect {head}")).is_err(), "{head}");
        }
    }
}
