//! `tollgate account`: the keys that an upstream is called with.

mod view;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use self::view::{AccountView, ImportedAccounts};
use super::error::CliError;
use super::output::Output;
use super::page::{Page, Removed};
use super::reach::Reach;
use super::target::Target;
use crate::catalogue::key_file;
use crate::model::id::AccountId;
use crate::model::secret::Secret;
use crate::model::upstream::UpstreamName;

/// Add, see and switch the accounts of an upstream
#[derive(Debug, Args)]
pub(super) struct AccountArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: AccountAction,
}

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum AccountAction {
    /// Add an account; its key is read from a file or from standard input, and never shown again
    Add(Add),
    /// List an upstream's accounts and how they stand
    List(Pool),
    /// Use an account again, whatever took it out
    Enable(Id),
    /// Take an account out until it is enabled
    Disable(Id),
    /// Forget what was seen of an account, and use it again
    Reset(Id),
    /// Remove an account with its key
    Remove(Id),
    /// Add an account for each line of a key file
    Import(Import),
}

/// Names one upstream.
#[derive(Debug, Args)]
pub(super) struct Pool {
    /// The upstream
    #[arg(long, value_name = "UPSTREAM")]
    upstream: UpstreamName,
}

/// Names one account.
#[derive(Debug, Args)]
pub(super) struct Id {
    #[command(flatten)]
    pool: Pool,
    /// The account, such as `acc_0123456789abcdef`
    #[arg(long, value_name = "ACCOUNT")]
    id: AccountId,
}

/// `account add`
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    pool: Pool,
    /// The file that holds the key; - is standard input
    #[arg(long, value_name = "FILE", default_value = STDIN)]
    key_file: PathBuf,
    /// Its share of the traffic beside the others; 1 unless told
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
}

/// `account import`
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    pool: Pool,
    /// The file with one key on each line; blank lines and those that begin with # are skipped; - is standard input
    file: PathBuf,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: AccountAction, target: &Target, output: Output) -> Result<(), CliError> {
    match action {
        AccountAction::Add(Add { pool, key_file, weight }) => {
            let credential = only(&key_file, read(&key_file)?)?;
            let body = NewAccount {
                credential: credential.expose(),
                weight,
            };
            let account: AccountView = target.put(Method::POST, &pool.path(), &body).await?;
            output.show(&account)
        }
        AccountAction::List(pool) => output.show(&Page::<AccountView>::all(target, &pool.path()).await?),
        AccountAction::Enable(id) => decide(&id, "enable", target, output).await,
        AccountAction::Disable(id) => decide(&id, "disable", target, output).await,
        AccountAction::Reset(id) => decide(&id, "reset", target, output).await,
        AccountAction::Remove(id) => output.show(&target.delete::<Removed>(&id.path()).await?),
        AccountAction::Import(Import { pool, file }) => {
            let keys = read(&file)?;
            let body = Keys {
                credentials: keys.iter().map(Secret::expose).collect(),
            };
            let path = format!("{}/import", pool.path());
            let imported: ImportedAccounts = target.put(Method::POST, &path, &body).await?;
            output.show(&imported)
        }
    }
}

async fn decide(id: &Id, decision: &str, target: &Target, output: Output) -> Result<(), CliError> {
    let path = format!("{}/{decision}", id.path());
    output.show(&target.post::<AccountView>(&path).await?)
}

impl Pool {
    fn path(&self) -> String {
        format!("/admin/upstreams/{}/accounts", self.upstream)
    }
}

impl Id {
    fn path(&self) -> String {
        format!("{}/{}", self.pool.path(), self.id)
    }
}

/// A new account, as the admin interface wants it.
#[derive(Serialize)]
struct NewAccount<'a> {
    credential: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

/// Several, as the admin interface wants them.
#[derive(Serialize)]
struct Keys<'a> {
    credentials: Vec<&'a str>,
}

/// The keys of a file, or of standard input.
///
/// # Errors
/// [`CliError::File`] where it cannot be read, [`CliError::Import`] where a line is no key; neither quotes it.
fn read(path: &Path) -> Result<Vec<Secret>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let found = if path == Path::new(STDIN) {
        io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text).map(drop))
    };
    found.map_err(|source| CliError::File {
        path: path.to_owned(),
        source,
    })?;
    key_file::parse(&text).map_err(|line| CliError::Import {
        path: path.to_owned(),
        reason: format!("line {line} is not a key, which has visible ASCII characters only"),
    })
}

/// The one key of a file.
fn only(path: &Path, keys: Vec<Secret>) -> Result<Secret, CliError> {
    let count = keys.len();
    let mut keys = keys.into_iter();
    match (keys.next(), count) {
        (Some(key), 1) => Ok(key),
        _ => Err(CliError::Import {
            path: path.to_owned(),
            reason: format!("holds {count} keys, not one; `tollgate account import` takes several"),
        }),
    }
}

const STDIN: &str = "-";

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::cli::command::{Cli, Command};

    fn parse(line: &str) -> Result<AccountAction, clap::Error> {
        match Cli::parse_line(format!("tollgate account {line}").split(' '))?.command {
            Some(Command::Account(args)) => Ok(args.action),
            other => panic!("{other:?}"),
        }
    }

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_key_is_read_from_a_file_or_from_standard_input_and_never_from_the_command_line() {
        let AccountAction::Add(add) = parse("add --upstream mine").unwrap() else {
            panic!()
        };
        assert_eq!(add.key_file, Path::new("-"));
        for line in ["add --upstream mine --key fake-key", "add --upstream mine fake-key"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn an_account_is_named_with_its_upstream() {
        let AccountAction::Disable(id) = parse("disable --upstream mine --id acc_0123456789abcdef").unwrap() else {
            panic!()
        };
        assert_eq!(id.path(), "/admin/upstreams/mine/accounts/acc_0123456789abcdef");
        assert!(parse("disable --id acc_0123456789abcdef").is_err());
    }

    #[test]
    fn one_key_is_added_and_several_are_imported() {
        let one = file("# the key\nfake-key\n");
        assert_eq!(
            only(one.path(), read(one.path()).unwrap()).unwrap().expose(),
            "fake-key"
        );
        let two = file("fake-one\nfake-two\n");
        assert_eq!(read(two.path()).unwrap().len(), 2);
        let error = only(two.path(), read(two.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains("holds 2 keys") && !error.contains("fake"), "{error}");
    }

    #[test]
    fn a_file_of_something_else_is_refused_without_quoting_it() {
        let error = read(file("fake-one\nfake two\n").path()).unwrap_err().to_string();
        assert!(
            error.contains("line 2 is not a key") && !error.contains("fake"),
            "{error}"
        );
        assert!(matches!(
            read(Path::new("/nowhere/keys.txt")),
            Err(CliError::File { .. })
        ));
    }
}
