//! Upstreams: the providers that calls go to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::operation::Protocol;

/// What an upstream is called: 1 to 32 of `a-z`, `0-9`, `-` and `_`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamName(Arc<str>);

/// A text that cannot name an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an upstream's name has 1 to 32 of a-z, 0-9, - and _, and begins with a letter")]
pub struct ParseUpstreamNameError;

impl UpstreamName {
    /// One of the names that the program itself gives, which are well-formed.
    #[must_use]
    pub fn of_ours(name: &'static str) -> Self {
        debug_assert!(name.parse::<Self>().is_ok(), "{name}");
        Self(name.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UpstreamName {
    type Err = ParseUpstreamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let fits = text.len() <= 32 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(plain);
        fits.then(|| Self(text.into())).ok_or(ParseUpstreamNameError)
    }
}

impl TryFrom<String> for UpstreamName {
    type Error = ParseUpstreamNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UpstreamName> for String {
    fn from(name: UpstreamName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads an upstream's address: `http` or `https`, a host, perhaps a port and a path. Slashes at its end are dropped.
///
/// Any host will do: an operator may well have an upstream in a private network. No client's request can name one.
///
/// # Errors
/// [`InvalidBaseUrl`], which does not repeat the text: it may hold a password.
pub fn parse_base_url(text: &str) -> Result<String, InvalidBaseUrl> {
    // The parser drops a fragment without a word.
    if text.contains(['?', '#']) {
        return Err(InvalidBaseUrl::Query);
    }
    let uri: Uri = text.parse().map_err(|_| InvalidBaseUrl::Malformed)?;
    let scheme = uri.scheme_str().ok_or(InvalidBaseUrl::Malformed)?;
    if !["http", "https"].contains(&scheme) {
        return Err(InvalidBaseUrl::Scheme);
    }
    let authority = uri.authority().ok_or(InvalidBaseUrl::Malformed)?.as_str();
    if authority.contains('@') {
        return Err(InvalidBaseUrl::Credentials);
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(InvalidBaseUrl::Malformed);
    }
    Ok(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')))
}

/// A text that is not an upstream's address. Each says what is wrong, as a sentence without its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// It is no address at all.
    #[error("is not an address such as https://api.example.com/v1")]
    Malformed,
    /// It is for another protocol.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// It holds a user or a password.
    #[error("must not hold a user or a password")]
    Credentials,
    /// It goes on behind its path.
    #[error("must not hold a query or a fragment")]
    Query,
}

/// Where an upstream, an account or a model is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// In the environment: read-only here, and its credentials are never written to disk.
    Environment,
    /// In the store, through the admin interface; its credentials are sealed.
    Store,
}

impl Source {
    /// Its name in lists.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Store => "store",
        }
    }
}

/// Whether Tollgate asks an upstream to report the usage of a stream whose client did not ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamUsage {
    /// It does not: usage is what the client asked for, else estimated.
    #[default]
    AsAsked,
    /// It splices `stream_options` into the request, and hides the extra frame from the client.
    Always,
}

/// One provider, as the operator defined it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What it is called.
    pub name: UpstreamName,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is: `https://host[:port][/path]` without query, fragment or trailing slash.
    pub base_url: String,
    /// The longest wait for the head of a reply, and between two frames of a stream.
    pub timeout: Duration,
    /// Most attempts of one call that count (switches after 401, 402 and 403 do not).
    pub max_attempts: u32,
    /// Whether the usage of every stream is asked for.
    pub stream_usage: StreamUsage,
    /// Where it is defined.
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_begins_with_a_letter() {
        for name in ["openai", "megallm", "my-upstream_2"] {
            assert_eq!(name.parse::<UpstreamName>().unwrap().as_str(), name);
        }
        for name in ["", "2nd", "Open", "a b", "a/b", &"x".repeat(33)] {
            assert!(name.parse::<UpstreamName>().is_err(), "{name}");
        }
    }

    #[test]
    fn an_address_is_http_with_a_host_and_loses_its_last_slash() {
        for (text, read) in [
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
            ("HTTPS://[::1]:1/a%2Fb", "https://[::1]:1/a%2Fb"),
        ] {
            assert_eq!(parse_base_url(text).as_deref(), Ok(read));
        }
    }

    #[test]
    fn an_address_with_more_than_host_and_path_is_refused() {
        for (text, why) in [
            ("", InvalidBaseUrl::Malformed),
            ("/v1", InvalidBaseUrl::Malformed),
            ("api.openai.com", InvalidBaseUrl::Malformed),
            ("https://two words", InvalidBaseUrl::Malformed),
            ("https://:80", InvalidBaseUrl::Malformed),
            ("ftp://host", InvalidBaseUrl::Scheme),
            ("https://user:password@host", InvalidBaseUrl::Credentials),
            ("https://host/v1?key=1", InvalidBaseUrl::Query),
            ("https://host/#v1", InvalidBaseUrl::Query),
        ] {
            assert_eq!(parse_base_url(text), Err(why), "{text}");
        }
    }
}
