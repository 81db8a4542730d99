//! The command line's grammar.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::account::AccountArgs;
use super::argv;
use super::audit::AuditArgs;
use super::backup::BackupArgs;
use super::backup::restore::RestoreArgs;
use super::doctor::DoctorArgs;
use super::job::JobArgs;
use super::key::KeyArgs;
use super::model::ModelArgs;
use super::queue::QueueArgs;
use super::rekey::RekeyArgs;
use super::sandbox::SandboxArgs;
use super::store::FileArgs;
use super::task::TaskArgs;
use super::upstream::UpstreamArgs;
use super::usage::UsageArgs;

/// A relay for paid AI APIs: one binary, one file, no other database.
///
/// Without a command it serves. Configuration comes from the environment and from a file .env in the working directory.
/// Commands print tables on a terminal and JSON when piped; they work with the server running or not.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the relay until SIGTERM or Ctrl-C
    Serve,
    Sandbox(SandboxArgs),
    /// Print a new master key for `API_KEY_ENCRYPTION_KEY`
    Keygen,
    Key(KeyArgs),
    Upstream(UpstreamArgs),
    Account(AccountArgs),
    Model(ModelArgs),
    Task(TaskArgs),
    Job(JobArgs),
    Queue(QueueArgs),
    Audit(AuditArgs),
    Usage(UsageArgs),
    Rekey(RekeyArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    /// Check the whole store of this machine: its pages, its log book, and that what is sealed opens; the server must not
    /// run. A store of an older version is brought to the schema of this one first
    Check(FileArgs),
    /// Make the file of the store as small as it can be; the server must not run
    Compact(FileArgs),
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
    /// Ask the server of this machine whether it is alive; the exit code is the answer
    Health,
    Doctor(DoctorArgs),
    /// Print the manual page: `tollgate man | man -l -`
    Man,
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Cli {
    /// Reads a command line, the program's name first, with jimeng-relay's spelling of flags accepted.
    ///
    /// # Errors
    /// clap's, which is also how help and version are told.
    pub(super) fn parse_line<T: Into<OsString>>(line: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        Self::try_parse_from(argv::normalise(line.into_iter().map(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Option<Command>, clap::Error> {
        Cli::parse_line(line.split(' ')).map(|cli| cli.command)
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert!(parse("tollgate").unwrap().is_none());
        assert!(matches!(parse("tollgate serve").unwrap(), Some(Command::Serve)));
    }

    #[test]
    fn help_and_version_are_told_on_request_and_are_no_failure() {
        for line in [
            "help",
            "-h",
            "--help",
            "--version",
            "key help",
            "key create -h",
            "audit --help",
        ] {
            assert_eq!(parse(&format!("tollgate {line}")).unwrap_err().exit_code(), 0, "{line}");
        }
    }

    #[test]
    fn an_unknown_command_is_a_usage_error() {
        for line in [
            "frobnicate",
            "key frobnicate",
            "serve --port 1",
            "sandbox --concurrency 0",
        ] {
            assert_eq!(parse(&format!("tollgate {line}")).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_sandbox_has_defaults_for_everything() {
        let Some(Command::Sandbox(args)) = parse("tollgate sandbox").unwrap() else {
            panic!()
        };
        assert_eq!(args.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            (args.latency, args.task_duration),
            (Duration::ZERO, Duration::from_secs(4))
        );
        assert_eq!((args.concurrency.get(), args.database, args.json), (4, None, false));
    }

    #[test]
    fn the_servers_address_may_stand_before_and_after_the_action() {
        for line in [
            "key --url http://x --token t list --json",
            "key list --json --token t --url http://x",
        ] {
            let Some(Command::Key(args)) = parse(&format!("tollgate {line}")).unwrap() else {
                panic!()
            };
            assert!(format!("{:?}", args.reach.place()).contains("http://x"), "{line}");
        }
    }
}
