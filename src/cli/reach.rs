//! Which server a command speaks to, and in which form it answers.

use std::fmt;

use clap::Args;
use reqwest::Url;

use super::error::CliError;
use super::output::Output;
use crate::model::secret::Secret;

/// The flags that every command of the admin interface shares.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// Print JSON, also on a terminal
    #[arg(long, global = true, help_heading = HEADING)]
    json: bool,
    /// Speak to the server at this address instead of the store of this machine
    #[arg(long, value_name = "URL", global = true, help_heading = HEADING, value_parser = server)]
    url: Option<Url>,
    /// A bearer key with scope admin, for --url; better given in the environment, where `ps` does not show it
    #[arg(
        long,
        value_name = "TOKEN",
        global = true,
        help_heading = HEADING,
        env = "TOLLGATE_TOKEN",
        hide_env_values = true,
        value_parser = secret
    )]
    token: Option<Secret>,
}

/// Where the admin interface is.
#[derive(Debug)]
pub(super) enum Place {
    /// In the store that the configuration of this machine names.
    Local,
    /// At a server elsewhere.
    Remote(Remote),
}

/// A server elsewhere.
pub(super) struct Remote {
    /// Its address; paths are appended to it.
    pub(super) url: Url,
    /// What opens its admin interface.
    pub(super) token: Secret,
}

/// Neither part of the address but its origin is shown.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Reach {
    /// Where the command goes. A token in the environment without `--url` is nobody's mistake.
    ///
    /// # Errors
    /// [`CliError::Usage`] where an address comes without a token, or one of them cannot be used. The parser would
    /// repeat their text, so both are checked here.
    pub(super) fn place(&self) -> Result<Place, CliError> {
        match (&self.url, &self.token) {
            (None, _) => Ok(Place::Local),
            (Some(url), _) if !url.username().is_empty() || url.password().is_some() => {
                Err(usage("--url holds a password: pass the key with --token"))
            }
            (Some(_), None) => Err(usage(
                "--url needs a key with scope admin: set TOLLGATE_TOKEN, or pass --token",
            )),
            (Some(_), Some(token)) if !is_token(token.expose()) => Err(usage(
                "the token cannot be a key: only visible ASCII characters can be one",
            )),
            (Some(url), Some(token)) => Ok(Place::Remote(Remote {
                url: url.clone(),
                token: token.clone(),
            })),
        }
    }

    /// How the command prints.
    pub(super) fn output(&self) -> Output {
        Output::detect(self.json)
    }
}

/// The address of a server: its origin, and a path where a proxy put it under one.
fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it as https://relay.example"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("not an http or https address".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a query or a fragment; give the server's address alone".to_owned());
    }
    Ok(url)
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a parser of arguments")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Whether a header can carry it.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn usage(sentence: &str) -> CliError {
    CliError::Usage(sentence.to_owned())
}

/// In help, these flags stand apart from those of the command itself.
const HEADING: &str = "Which server, and how to print";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_address_of_a_server_is_taken() {
        assert!(server("https://relay.example").is_ok());
        assert!(server("http://127.0.0.1:8080/relay").is_ok());
        for text in ["relay.example", "ftp://x", "https://x/?q=1", "unix:/x"] {
            assert!(server(text).is_err(), "{text}");
        }
    }

    fn reach(url: Option<&str>, token: Option<&str>) -> Reach {
        Reach {
            json: false,
            url: url.map(|url| server(url).unwrap()),
            token: token.map(|token| secret(token).unwrap()),
        }
    }

    #[test]
    fn without_an_address_the_command_stays_here_whatever_the_environment_holds() {
        assert!(matches!(reach(None, Some("t")).place(), Ok(Place::Local)));
    }

    #[test]
    fn an_address_without_a_usable_token_is_a_usage_error_that_does_not_repeat_it() {
        for reach in [
            reach(Some("http://x"), None),
            reach(Some("http://x"), Some("sk canary")),
            reach(Some("http://a:canary@x"), Some("t")),
        ] {
            let error = reach.place().unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_token_is_never_printed() {
        let reach = reach(Some("http://x"), Some("sk_canary"));
        let printed = format!("{reach:?} {:?}", reach.place().unwrap());
        assert!(!printed.contains("canary"), "{printed}");
    }
}
