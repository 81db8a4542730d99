//! What happens before the first task runs: the environment, the user, the logs, the runtime.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::path::Path;

use super::error::CliError;
use crate::app;
use crate::config::{self, Aws, Config, Environment, LogFormat, Server};
use crate::server::privilege;
use crate::telemetry::init::{self, Format, Stream};
use crate::telemetry::log_file::{Keep, LogFile};

/// The configuration of the environment and of `.env` in the working directory.
///
/// # Errors
/// [`CliError::Config`] with every mistake, [`CliError::File`] where `.env` cannot be read.
pub(super) fn config() -> Result<Config, CliError> {
    Ok(Config::parse_with_dotenv(&Environment, &dotenv(Path::new(".env"))?)?)
}

/// Where the server of this environment listens.
///
/// # Errors
/// As [`fn@config`].
pub(super) fn server() -> Result<Server, CliError> {
    Ok(Config::parse_server(&Environment, &dotenv(Path::new(".env"))?)?)
}

/// What opens a bucket, in this environment.
///
/// # Errors
/// As [`fn@config`].
pub(super) fn aws() -> Result<Aws, CliError> {
    Ok(Config::parse_aws(&Environment, &dotenv(Path::new(".env"))?)?)
}

fn dotenv(path: &Path) -> Result<String, CliError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(CliError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Becomes the user that `RUN_AS_UID` names and hands it the store. Call it before [`run`], while there is one thread.
///
/// # Errors
/// [`CliError::Privilege`], or [`CliError::Start`] where it cannot be told which file the store is.
pub(super) fn become_user(config: &Config) -> Result<(), CliError> {
    if let Some(uid) = config.server.run_as {
        privilege::run_as(uid, &app::store_path(&config.store.location)?)?;
    }
    Ok(())
}

/// Logs as the operator configured them: to standard output, and to a file where one is named.
///
/// # Errors
/// [`CliError::LogFile`] where that file cannot be written.
pub(super) fn log_everything(config: &Config) -> Result<(), CliError> {
    let telemetry = &config.telemetry;
    let format = match telemetry.format {
        LogFormat::Text => Format::Text,
        LogFormat::Automatic if io::stdout().is_terminal() => Format::Text,
        LogFormat::Automatic | LogFormat::Json => Format::Json,
    };
    let file = telemetry.log_file.as_ref().map(log_file).transpose()?;
    init::logs(&telemetry.level.to_string(), format, Stream::Output, file);
    Ok(())
}

fn log_file(settings: &config::LogFile) -> Result<LogFile, CliError> {
    let keep = Keep {
        bytes: settings.max_bytes,
        files: settings.max_files,
    };
    LogFile::open(&settings.path, keep).map_err(|source| CliError::LogFile {
        path: settings.path.clone(),
        source,
    })
}

/// Logs warnings alone, to standard error, so that what a command prints stays clean.
pub(super) fn log_warnings() {
    init::logs("warn", Format::Text, Stream::Error, None);
}

/// Runs `work` to its end on a new runtime.
///
/// # Errors
/// [`CliError::System`] where there is no runtime; else what `work` fails with.
pub(super) fn run<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::System)?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_dotenv_is_empty_and_an_unreadable_one_is_named() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(dotenv(&folder.path().join(".env")).unwrap(), "");

        let error = dotenv(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
