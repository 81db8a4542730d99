//! Upstreams: the providers that calls go to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

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
}
