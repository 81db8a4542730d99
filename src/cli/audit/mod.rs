//! `tollgate audit`: the log book of paid calls.

mod checkpoint;
mod days;
mod export;
mod offline;
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
use crate::crypto::signing::PublicKey;
use crate::model::day::Day;
use crate::model::export::Format;

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
    /// Write entries as NDJSON or Parquet: one file, or a folder with a signed checkpoint for each day
    Export(Export),
    /// Print a signed statement of where the log book ends, to be kept elsewhere
    Checkpoint(Checkpoint),
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
    /// Only entries that tell of this outcome of a call, such as unknown
    #[arg(long)]
    outcome: Option<String>,
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
    /// Check the exported days in this folder instead, without a store, a server or the master key
    #[arg(long, value_name = "DIR", requires = "public_key", conflicts_with = "expect")]
    export: Option<PathBuf>,
    /// With which key their checkpoints are signed: `audit checkpoint --public-key` prints it
    #[arg(long, value_name = "KEY", requires = "export")]
    public_key: Option<PublicKey>,
}

/// `audit export`
#[derive(Debug, Args)]
pub(super) struct Export {
    /// ndjson or parquet; for a folder also both
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "ndjson")]
    format: Vec<Format>,
    /// The first day (UTC); without it, that of the oldest entry
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// The last day (UTC); without it, up to now, or yesterday for a folder
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// The file to make; without it, standard output
    #[arg(long, value_name = "FILE", conflicts_with = "to_dir")]
    out: Option<PathBuf>,
    /// The folder to fill: one file for each day and format, and the day's signed checkpoint
    #[arg(long, value_name = "DIR")]
    to_dir: Option<PathBuf>,
}

/// `audit checkpoint`
#[derive(Debug, Args)]
pub(super) struct Checkpoint {
    /// Of the export of this day (UTC) instead of the newest entry
    #[arg(long, value_name = "DAY", conflicts_with = "public_key")]
    day: Option<Day>,
    /// Print only the key with which anybody can check the signatures
    #[arg(long)]
    public_key: bool,
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
        AuditAction::Verify(Verify { expect, .. }) => return verify::run(expect, target, output).await,
        AuditAction::Export(export) => export.run(target, output).await?,
        AuditAction::Checkpoint(Checkpoint { day, public_key }) => {
            let wanted = if public_key {
                checkpoint::Wanted::PublicKey
            } else {
                checkpoint::Wanted::Text
            };
            checkpoint::run(day, wanted, target).await?;
        }
        AuditAction::Resolve(resolve) => {
            let path = format!("{AUDIT}/{}/resolve", resolve.id);
            let resolved: Resolved = target.put(Method::POST, &path, &Verdict::from(resolve)).await?;
            output.show(&resolved)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl AuditArgs {
    /// Does what needs neither a store nor a server, if that is what is asked.
    pub(super) fn offline(&self) -> Option<Result<ExitCode, CliError>> {
        match &self.action {
            AuditAction::Verify(Verify {
                export: Some(folder),
                public_key: Some(key),
                ..
            }) => Some(offline::run(folder, key, self.reach.output())),
            _ => None,
        }
    }
}

impl Export {
    async fn run(self, target: &Target, output: Output) -> Result<(), CliError> {
        let Self { from, to, .. } = self;
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(CliError::Usage(format!("--from {from} is after --to {to}")));
        }
        if let Some(folder) = &self.to_dir {
            let formats = &self.format;
            let days = days::Days {
                folder,
                formats,
                from,
                to,
            };
            return days.run(target, output).await;
        }
        let [format] = self.format[..] else {
            return Err(CliError::Usage(
                "one file has one format; --to-dir takes both".to_owned(),
            ));
        };
        export::run(export::Wanted { format, from, to }, self.out.as_deref(), target).await
    }
}

impl List {
    async fn page(&self, target: &Target) -> Result<Page<EntryView>, CliError> {
        let limit = self.limit.to_string();
        let filters = [
            ("limit", Some(limit.as_str())),
            ("cursor", self.cursor.as_deref()),
            ("event", self.event.as_deref()),
            ("outcome", self.outcome.as_deref()),
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
    fn an_export_has_one_format_or_goes_to_a_folder() {
        for line in [
            "export",
            "export --format parquet --out x --from 2026-02-24 --to 2026-02-24",
            "export --format parquet,ndjson --to-dir x",
            "verify --export x --public-key 16434178f587cb242c3b4fdd2fdfed65e00ab95aeda7a14537e795cbd117516b",
            "checkpoint --public-key",
            "checkpoint --day 2026-02-24",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
        for line in [
            "export --format csv",
            "export --from yesterday",
            "export --out x --to-dir y",
            "verify --export x",
            "verify --export x --public-key y",
            "verify --public-key 16434178f587cb242c3b4fdd2fdfed65e00ab95aeda7a14537e795cbd117516b",
        ] {
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
