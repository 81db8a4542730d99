//! The command line: parse, choose where the admin interface is, call it, print.
//!
//! A command that touches keys, upstreams, models, tasks, jobs, queues, usage or the log book is a client of the admin
//! interface, whether that is in this process, behind the control socket or at a server elsewhere (`target`). So there is
//! one piece of code for each thing that can be done, and it is the server's.

mod account;
mod argv;
mod audit;
mod backup;
mod command;
mod doctor;
mod error;
mod health;
mod job;
mod key;
mod keygen;
mod man;
mod model;
mod openapi;
mod output;
mod page;
mod progress;
mod queue;
mod reach;
mod rekey;
mod sandbox;
mod serve;
mod startup;
mod store;
mod table;
mod target;
mod task;
mod upstream;
mod usage;

use std::process::ExitCode;

use clap::CommandFactory;

use self::account::{AccountAction, AccountArgs};
use self::audit::AuditAction;
use self::backup::{BackupArgs, Destination, restore};
use self::command::{Cli, Command};
use self::error::CliError;
use self::job::{JobAction, JobArgs};
use self::key::{KeyAction, KeyArgs};
use self::model::{ModelAction, ModelArgs};
use self::output::Output;
use self::queue::{QueueAction, QueueArgs};
use self::reach::{Place, Reach};
use self::rekey::{RekeyAction, RekeyArgs};
use self::store::{check, compact};
use self::target::Target;
use self::task::{TaskAction, TaskArgs};
use self::upstream::{UpstreamAction, UpstreamArgs};
use self::usage::{Asked, UsageArgs};

/// Runs the process's command line to its end.
///
/// The exit code is 0 when it was done, 1 when it failed (a sentence on standard error says why) and 2 when the command
/// line was wrong. Call it from `main` alone, before any thread is started.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::parse_line(std::env::args_os()) {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are told this way, too. There is nobody to tell where printing fails.
            drop(told.print());
            return u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match execute(cli.command.unwrap_or(Command::Serve)) {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Serve => {
            let config = startup::config()?;
            startup::become_user(&config)?;
            startup::log_everything(&config)?;
            startup::run(Box::pin(serve::run(config)))?;
        }
        Command::Sandbox(args) => {
            startup::log_warnings();
            startup::run(Box::pin(sandbox::run(args)))?;
        }
        Command::Key(KeyArgs { reach, action }) => return administer(&reach, Errand::Key(action)),
        Command::Upstream(UpstreamArgs { reach, action }) => return administer(&reach, Errand::Upstream(action)),
        Command::Account(AccountArgs { reach, action }) => return administer(&reach, Errand::Account(action)),
        Command::Model(ModelArgs { reach, action }) => return administer(&reach, Errand::Model(action)),
        Command::Task(TaskArgs { reach, action }) => return administer(&reach, Errand::Task(action)),
        Command::Job(JobArgs { reach, action }) => return administer(&reach, Errand::Job(action)),
        Command::Queue(QueueArgs { reach, action }) => return administer(&reach, Errand::Queue(action)),
        Command::Audit(args) => {
            return args
                .offline()
                .unwrap_or_else(|| administer(&args.reach, Errand::Audit(args.action)));
        }
        Command::Usage(UsageArgs { reach, asked }) => return administer(&reach, Errand::Usage(asked)),
        Command::Rekey(RekeyArgs { reach, action }) => return administer(&reach, Errand::Rekey(action)),
        Command::Backup(BackupArgs { reach, target }) => return administer(&reach, Errand::Backup(target)),
        Command::Restore(args) => {
            startup::log_warnings();
            let config = startup::config()?;
            startup::become_user(&config)?;
            startup::run(Box::pin(restore::run(args, config)))?;
        }
        Command::Check(args) => {
            startup::log_warnings();
            let config = startup::config()?;
            startup::become_user(&config)?;
            return check::run(&args, &config);
        }
        Command::Compact(args) => {
            startup::log_warnings();
            let config = startup::config()?;
            startup::become_user(&config)?;
            compact::run(&args, &config)?;
        }
        Command::Keygen => keygen::run()?,
        Command::Openapi => openapi::run()?,
        Command::Health => {
            let server = startup::server()?;
            startup::run(health::run(&server))?;
        }
        Command::Doctor(args) => return doctor::run(&args),
        Command::Man => man::run()?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
            output::write(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked of the admin interface.
enum Errand {
    Key(KeyAction),
    Upstream(UpstreamAction),
    Account(AccountAction),
    Model(ModelAction),
    Task(TaskAction),
    Job(JobAction),
    Queue(QueueAction),
    Audit(AuditAction),
    Usage(Asked),
    Rekey(RekeyAction),
    Backup(Option<Destination>),
}

impl Errand {
    async fn run(self, target: &Target, output: Output) -> Result<ExitCode, CliError> {
        match self {
            Self::Key(action) => key::run(action, target, output).await?,
            Self::Upstream(action) => upstream::run(action, target, output).await?,
            Self::Account(action) => account::run(action, target, output).await?,
            Self::Model(action) => model::run(action, target, output).await?,
            Self::Task(action) => task::run(action, target, output).await?,
            Self::Job(action) => job::run(action, target, output).await?,
            Self::Usage(asked) => usage::run(asked, target, output).await?,
            Self::Queue(action) => queue::run(action, target, output).await?,
            Self::Rekey(action) => rekey::run(action, target, output).await?,
            Self::Backup(to) => backup::run(to, target, output).await?,
            Self::Audit(action) => return audit::run(action, target, output).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn administer(reach: &Reach, errand: Errand) -> Result<ExitCode, CliError> {
    let output = reach.output();
    let place = reach.place()?;
    startup::log_warnings();
    match place {
        Place::Remote(remote) => startup::run(Box::pin(async {
            let target = Target::remote(remote)?;
            errand.run(&target, output).await
        })),
        Place::Local => {
            let config = startup::config()?;
            startup::become_user(&config)?;
            startup::run(Box::pin(async {
                let target = Target::local(&config).await?;
                let done = errand.run(&target, output).await;
                // Also after a failure: a store that was opened here is closed in order.
                target.close().await;
                done
            }))
        }
    }
}
