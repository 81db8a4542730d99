//! Where a webhook goes.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Serialize};

use crate::model::http_url::{Host, HttpUrl, HttpUrlError, Scheme};

/// The URL that a webhook is posted to, exactly as it was written.
///
/// Path and query may hold a token, so it is never printed: `Debug` shows the host alone. Whether its host may be
/// reached is judged before each delivery, not here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl {
    uri: Uri,
    url: HttpUrl,
}

/// Why a text is not where a webhook goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It is longer than [`WebhookUrl::MAX_LENGTH`].
    #[error("the webhook's URL is longer than {} bytes", WebhookUrl::MAX_LENGTH)]
    TooLong,
    /// It is no URL, or one that parsers read differently.
    #[error("the webhook's URL {0}")]
    Malformed(#[from] HttpUrlError),
    /// It has a fragment, which no request carries.
    #[error("the webhook's URL must not have a fragment (#)")]
    Fragment,
    /// Its path or query holds what no request line can carry.
    #[error("the webhook's URL holds a character that must be percent-encoded")]
    Unescaped,
}

impl WebhookUrl {
    /// The most bytes of a URL.
    pub const MAX_LENGTH: usize = 2048;

    /// Whom it names.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.url.authority.host
    }

    /// The port, named or not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.authority.port.unwrap_or(self.url.scheme.port())
    }

    /// How the host is spoken to.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.url.scheme
    }

    /// All of it, with what may be secret in it: for the request alone.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;

    fn from_str(text: &str) -> Result<Self, WebhookUrlError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(WebhookUrlError::TooLong);
        }
        let url = text.parse()?;
        if text.contains('#') {
            return Err(WebhookUrlError::Fragment);
        }
        match text.parse() {
            Ok(uri) if text.is_ascii() => Ok(Self { uri, url }),
            _ => Err(WebhookUrlError::Unescaped),
        }
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = WebhookUrlError;

    fn try_from(text: String) -> Result<Self, WebhookUrlError> {
        text.parse()
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.uri.to_string()
    }
}

/// The host alone.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Host::Name(name) => write!(f, "WebhookUrl({name}, …)"),
            Host::Address(address) => write!(f, "WebhookUrl({address}, …)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> WebhookUrlError {
        text.parse::<WebhookUrl>().expect_err(text)
    }

    #[test]
    fn a_url_reads_back_as_it_was_written() {
        for text in [
            "https://hooks.example/a/b?token=x%20y&z",
            "http://hooks.example:8080/",
            "http://[2606:4700::1]:81/x",
            "https://1.1.1.1/",
        ] {
            let url: WebhookUrl = text.parse().unwrap();
            assert_eq!(String::from(url.clone()), text);
            let stored = postcard::to_stdvec(&url).unwrap();
            assert_eq!(postcard::from_bytes::<WebhookUrl>(&stored).unwrap(), url);
        }
    }

    #[test]
    fn a_port_that_is_not_named_is_that_of_the_scheme() {
        let port = |text: &str| text.parse::<WebhookUrl>().unwrap().port();
        assert_eq!(port("https://hooks.example"), 443);
        assert_eq!(port("http://hooks.example"), 80);
        assert_eq!(port("http://hooks.example:8080"), 8080);
    }

    #[test]
    fn only_the_host_is_printed() {
        let url: WebhookUrl = "https://hooks.example/canary/x?token=canary".parse().unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl(hooks.example, …)");
    }

    #[test]
    fn what_no_request_could_carry_is_refused() {
        assert_eq!(refused("https://hooks.example/#x"), WebhookUrlError::Fragment);
        assert_eq!(refused("https://hooks.example/图"), WebhookUrlError::Unescaped);
        assert_eq!(refused("https://hooks.example/<x>"), WebhookUrlError::Unescaped);
        assert_eq!(refused("ftp://hooks.example/"), HttpUrlError::Scheme.into());
        assert_eq!(refused("https://me@hooks.example/"), HttpUrlError::User.into());
        assert_eq!(
            refused(&format!("https://hooks.example/{}", "a".repeat(WebhookUrl::MAX_LENGTH))),
            WebhookUrlError::TooLong
        );
    }
}
